"""Descriptions of labels: what is refused, and what becomes of marks."""

from pathlib import Path

import pytest
from helpers.trees import write_text

from sorigeul.base.errors import UserError
from sorigeul.corpora.label_layouts import (
    HiddenWordsError,
    LabelLayout,
    find_layout,
    ready_layouts,
)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("text: [a", "cannot be read as YAML"),
        ("- text", "must hold lines of the form"),
        ("audio: a", "neither text nor text_file says what holds the text"),
        ("text: a\nstart: b", "start and end go together"),
        ("text: a\nspeekers: b", "unknown: speekers; there are about, source"),
        ("text: 5", "text is 5; give a text, or a list of texts"),
        ("text: a\nabout: [b]", r"about is \['b'\]; give a text$"),
        ("text: a\ndual: both", "dual is 'both', but may be spelling first or pronunciation first"),
        ("text: a\nremoved: '(('", r"removed: \(\( is no regular expression"),
        ("text: a\nunwrapped: 'ab'", "unwrapped: ab has 0 groups; put brackets around"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(
    tmp_path: Path, content: str, fault: str
) -> None:
    path = write_text(tmp_path / "mine.yaml", content)
    with pytest.raises(UserError, match=f"mine.yaml:? {fault}"):
        find_layout(str(path))


def test_a_description_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    for name in ("freetlak", str(tmp_path / "gone.yaml"), str(write_text(tmp_path / "a.txt", ""))):
        with pytest.raises(
            UserError, match=r"no such file; give a \.yaml file, or one of .*frees?"
        ):
            find_layout(name)


def test_the_ready_ones_say_which_sets_they_are_for_and_what_they_rest_on() -> None:
    assert len(ready_layouts()) >= 5
    for name in ready_layouts():
        layout = find_layout(name)
        assert layout.about
        assert layout.source
        assert layout.unverified


@pytest.mark.parametrize(
    ("dual", "text", "expected"),
    [
        ("spelling first", "(2시)/(두 시)", "(2시)/(두 시)"),
        ("pronunciation first", "(두 시)/(2시)", "(2시)/(두 시)"),
        ("pronunciation first", "(렌털) / (렌탈)", "(렌탈)/(렌털)"),
        ("spelling first", "(두 시)/(2시)", "(2시)/(두 시)"),
        ("", "(두 시)/(2시)", "(두 시)/(2시)"),
    ],
)
def test_the_spelling_comes_first_whatever_the_order_in_the_labels(
    dual: str, text: str, expected: str
) -> None:
    assert LabelLayout("x", text=("t",), dual=dual).without_marks(text) == expected


def test_marks_are_removed_unwrapped_or_refused() -> None:
    layout = LabelLayout(
        "x", text=("t",), removed=("&소음&",), unwrapped=(r"\(SP:([^)]*)\)",), refused=(r"@이름\d",)
    )
    assert layout.without_marks("&소음& 오늘 (SP:회의)").split() == ["오늘", "회의"]
    with pytest.raises(HiddenWordsError, match="@이름1"):
        layout.without_marks("@이름1 씨")
