"""Why an overfit test failed."""

from dataclasses import replace
from typing import Any

import pytest

from sorigeul.doctor.overfit import Outcome
from sorigeul.doctor.overfit_diagnosis import explain_failure
from sorigeul.training.settings import Settings

NOT_PASSED = Outcome(
    utterances=30,
    seconds=200.0,
    epochs=80,
    crr=10.0,
    ctc_crr=5.0,
    forced_crr=40.0,
    loss=3.0,
    falling=False,
    finite=True,
    lr=0.002,
)


@pytest.mark.parametrize(
    ("changes", "settings", "words"),
    [
        ({"finite": False}, {}, "set precision float32"),
        ({"finite": False}, {"precision": "float32"}, "lower lr (it is 0.002)"),
        ({"finite": False, "lr": 0.5}, {}, "lower lr (it is 0.5)"),
        ({"ctc_crr": 95.0}, {"ctc_weight": 0.3}, "found no alignment; set guide_weight 2"),
        ({"ctc_crr": 95.0}, {"ctc_weight": 0.3, "guide_weight": 1.0}, "raise guide_weight"),
        ({"lr": 0.5}, {}, "at lr 0.5: set lr 0.001"),
        ({"forced_crr": 95.0, "ctc_crr": None}, {}, "set guide_weight 2, with ctc_weight 0.3"),
        ({"falling": True}, {}, "raise --time_limit"),
        ({}, {}, "the loss stands at 3.00"),
    ],
)
def test_the_most_likely_reason_is_named(
    changes: dict[str, Any], settings: dict[str, Any], words: str
) -> None:
    outcome = replace(NOT_PASSED, **changes)
    assert words in explain_failure(outcome, Settings().changed(settings, "test"))
