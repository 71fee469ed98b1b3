"""Ranges: every number that a user can give has one, and it is checked wherever it comes from."""

import inspect
import math
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import Range, check_ranges
from sorigeul.cli.entry import COMMANDS
from sorigeul.corpora.options import PrepareOptions
from sorigeul.recognition.corpus_transcription import CorpusOptions
from sorigeul.search.options import SearchOptions, SearchRequest
from sorigeul.serving.options import ServingOptions
from sorigeul.sound.audio import AudioOptions
from sorigeul.training.language_model_settings import LanguageModelSettings
from sorigeul.training.settings import Settings

OPTIONS = [
    *(field.type for settings in (Settings, LanguageModelSettings) for field in fields(settings)),
    PrepareOptions,
    CorpusOptions,
    SearchOptions,
    SearchRequest,
    ServingOptions,
    AudioOptions,
]


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "text", "brief"),
    [
        (Range(0, 1), (0, 0.5, 1, -0.0), (-0.1, 1.1), "at least 0 and at most 1", "0 to 1"),
        (
            *(Range(0, 1, above=True), (0.1, 1), (0, -0.0, 2)),
            *("above 0 and at most 1", "above 0 to 1"),
        ),
        (
            *(Range(1, 10**6, below=True), (1, 10**6 - 1), (0, 10**6)),
            *("at least 1 and below 1,000,000", "1 to below 1000000"),
        ),
        (
            *(Range(0, 0.5, below=True), (0.4,), (0.5,)),
            *("at least 0 and below 0.5", "0 to below 0.5"),
        ),
    ],
)
def test_a_range_has_its_ends_unless_it_says_otherwise(
    limits: Range, inside: tuple[float, ...], outside: tuple[float, ...], text: str, brief: str
) -> None:
    assert all(number in limits for number in inside)
    for number in (*outside, math.nan, math.inf, -math.inf, 10**400):
        assert number not in limits
    assert (str(limits), limits.brief) == (text, brief)


def limits_of(hint: Any) -> Range | None:
    """The range in an annotation; an AssertionError if it is of a number without one."""
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    numbers = {plain, *get_args(plain)} & {int, float}
    found = [one for one in get_args(hint) if isinstance(one, Range)]
    assert not numbers or found, hint
    return found[0] if found else None


def test_a_word_may_stand_in_place_of_a_number() -> None:
    limits = Range(1, 9, word="auto")
    assert (str(limits), limits.brief) == ("at least 1 and at most 9, or auto", "1 to 9, or auto")
    assert all(value in limits for value in (1, 9, "auto"))
    assert all(value not in limits for value in (0, 10, "", "Auto", "many"))
    assert "" not in Range(1, 9)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: options.__name__)
def test_every_number_among_the_options_has_a_range(options: type[Any]) -> None:
    assert is_dataclass(options)
    for name, hint in get_type_hints(options, include_extras=True).items():
        if name == "time_reduction":  # 8 or 16, which is no range
            continue
        limits = limits_of(hint)
        if limits is None:
            continue
        for number in (math.nan, math.inf, -math.inf, 10**30, -(10**30)):
            value = (number,) if "tuple" in str(hint) else number
            with pytest.raises(UserError) as error:
                options(**{name: value})
            assert f"but must be {limits}" in str(error.value)
            assert str(error.value).startswith(f"{name} is ")
            assert len(str(error.value)) < 200


@pytest.mark.parametrize("name", COMMANDS)
def test_every_number_among_the_arguments_of_a_command_has_a_range(name: str) -> None:
    for argument in inspect.signature(COMMANDS[name]).parameters.values():
        limits_of(argument.annotation)


def test_each_of_several_numbers_is_checked_and_what_is_left_out_is_not() -> None:
    check_ranges(SearchRequest(lm=("a", "b"), lm_weight=(0.1, 0.2), ctc_weight=None))
    with pytest.raises(UserError, match=r"^lm_weight is -0.2, but must be at least 0"):
        SearchRequest(lm=("a", "b"), lm_weight=(0.1, -0.2))
