"""A file of texts as an engine."""

from collections.abc import Sequence
from pathlib import Path

from sorigeul.evaluation.engines.engine import Utterance
from sorigeul.evaluation.engines.text_file import TextFile


def test_texts_are_looked_up_and_those_that_are_missing_named(
    tmp_path: Path, utterances: Sequence[Utterance]
) -> None:
    first, second, third = (utterance.id for utterance in utterances[:3])
    path = tmp_path / "theirs.jsonl"
    lines = [f'{{"id": "{first}", "text": "가 나"}}', f'{{"id": "{second}", "error": "broken"}}']
    path.write_text("\n".join(lines), encoding="utf-8")
    results = list(TextFile(path, "test").transcribe(utterances[:3]))
    assert [one.id for one in results] == [first, second, third]
    assert [one.text for one in results] == ["가 나", "", ""]
    assert [one.error for one in results] == ["", "broken", f"no line in {path}"]
    assert [one.seconds for one in results] == [None] * 3


def test_the_fingerprint_is_that_of_the_texts(tmp_path: Path) -> None:
    fingerprints = set()
    for name, content in (("a", "u0\t가\n"), ("b", "u0\t가\n"), ("c", "u0\t나\n")):
        (tmp_path / name).write_text(content, encoding="utf-8")
        fingerprints.add(TextFile(tmp_path / name, "test").fingerprint)
    assert len(fingerprints) == 2
