"""Options of the search: what is asked for, else what was tuned, else defaults."""

from dataclasses import replace
from typing import Any

import pytest

from sorigeul.base.errors import UserError
from sorigeul.search.options import AS_TUNED, SearchOptions, SearchRequest

TUNED = SearchOptions(beam=10, ctc_weight=0.4, length_bonus=0.9, lm_weights=(0.6,))


def test_without_anything_the_defaults_hold() -> None:
    assert AS_TUNED.options(None) == SearchOptions()
    assert SearchRequest(lm=("a", "b")).options(None).lm_weights == (0.2, 0.2)
    assert SearchRequest(lm=("a",)).options(None).internal_lm_weight == 0.1
    assert SearchRequest(lm=("a",)).options(None).length_bonus == 1.0


@pytest.mark.parametrize(
    ("speller", "ctc", "weight"),
    [
        ("28.08", "48.37", 0.578),  # a speller that is behind has less to say
        ("97.98", "96.49", 0.361),
        ("-300", "40", 0.7),
        ("99.9", "50", 0.2),
        ("100", "100", 0.35),  # few errors tell little
        ("99.9", "100", 0.381),
        ("100", "nan", 0.35),
        ("seven", "50", 0.35),
        ("100", "150", 0.35),  # of a file that was edited by hand
    ],
)
def test_what_was_not_tuned_goes_by_the_errors_on_dev(
    speller: str, ctc: str, weight: float
) -> None:
    results = {"valid_crr": speller, "valid_ctc_crr": ctc}
    assert AS_TUNED.options(None, results=results).ctc_weight == weight
    assert AS_TUNED.options(TUNED, results=results).ctc_weight == 0.4
    assert SearchRequest(ctc_weight=0.1).options(None, results=results).ctc_weight == 0.1


@pytest.mark.parametrize(
    ("speller", "ctc", "weight", "internal"),
    [
        ("98", "95", 0.3, 0.0),
        ("49.3", "54.2", 0.5, 0.3),
        ("80", "70", 0.4, 0.1),
        ("100", "0", 0.3, 0.0),
        ("nan", "70", 0.5, 0.2),
        ("seven", "150", 0.4, 0.1),  # nothing is known
    ],
)
def test_language_models_that_were_not_tuned_go_by_the_errors_on_dev(
    speller: str, ctc: str, weight: float, internal: float
) -> None:
    results = {"valid_crr": speller, "valid_ctc_crr": ctc}
    one = SearchRequest(lm=("a",)).options(None, results=results)
    assert (one.lm_weights, one.internal_lm_weight) == ((weight,), internal)
    two = SearchRequest(lm=("a", "b")).options(None, results=results)
    assert two.lm_weights == (weight / 2, weight / 2)
    assert AS_TUNED.options(None, results=results).internal_lm_weight == 0.0


def test_with_less_of_a_language_model_less_is_subtracted() -> None:
    tuned = SearchOptions(lm_weights=(0.4, 0.2), internal_lm_weight=0.3)
    for asked, expected in (((0.0, 0.0), 0.0), ((0.2, 0.1), 0.15), ((1.0, 1.0), 0.3)):
        options = SearchRequest(lm=("a", "b"), lm_weight=asked).options(tuned)
        assert options.internal_lm_weight == pytest.approx(expected)
        told = SearchRequest(lm=("a", "b"), lm_weight=asked, internal_lm_weight=0.25)
        assert told.options(tuned).internal_lm_weight == 0.25
    untuned = SearchRequest(lm=("a",), lm_weight=(0.2,)).options(None)
    assert untuned.internal_lm_weight == pytest.approx(0.05)
    without = replace(tuned, lm_weights=(0.0, 0.0))
    assert SearchRequest(lm=("a", "b"), lm_weight=(1.0, 1.0)).options(without).lm_weights == (1, 1)


def test_what_was_tuned_is_used_unless_something_else_is_asked_for() -> None:
    assert SearchRequest(lm=("a",)).options(TUNED) == TUNED
    asked = SearchRequest(beam=3, lm=("a",), lm_weight=(0.1,), length_bonus=0.0, ctc_weight=1.0)
    assert asked.options(TUNED, nbest=5) == SearchOptions(3, 1.0, 0.0, lm_weights=(0.1,), nbest=5)


@pytest.mark.parametrize(
    "values",
    [
        {"beam": -1},
        {"ctc_weight": 1.1},
        {"nbest": 0},
        {"coverage_weight": -0.1},
        {"lm_weights": (0.3, -1.0)},
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(values))} (is|are) "):
        SearchOptions(**values)


def test_a_weight_for_each_language_model_or_none() -> None:
    with pytest.raises(UserError, match="2 of --lm_weight and 1 of --lm"):
        SearchRequest(lm=("a",), lm_weight=(0.1, 0.2))
    with pytest.raises(UserError, match="--term_weight goes with --terms"):
        SearchRequest(term_weight=1.0)
    with pytest.raises(UserError, match="--rescore_weight goes with --rescore RUN"):
        SearchRequest(rescore_weight=1.0)
    with pytest.raises(UserError, match=r"rescore_weight is -1.0, but must be at least 0"):
        SearchRequest(rescore="run", rescore_weight=-1.0)


def test_no_language_model_goes_with_no_other() -> None:
    with pytest.raises(UserError, match="--lm none means no language model"):
        SearchRequest(lm=("none", "a"))
