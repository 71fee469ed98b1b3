"""The overfit test: when it ends, and what it trains on.

That it passes, and ends as soon as it has, is in `test_preflight.py`.
"""

from pathlib import Path

import pytest
from helpers import tones
from helpers.fake_clock import FakeClock
from lhotse import MonoCut

from sorigeul.data import manifests
from sorigeul.data.statistics import manifest_statistics
from sorigeul.doctor import overfit as overfit_module
from sorigeul.doctor.overfit import UTTERANCES, Outcome, choose_utterances, overfit
from sorigeul.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def cuts(corpus: Path) -> list[MonoCut]:
    return list(manifests.required_manifest(corpus, "train"))


@pytest.fixture(scope="module")
def vocabulary(corpus: Path) -> Vocabulary:
    statistics = manifest_statistics(manifests.required_manifest(corpus, "train"))
    return Vocabulary.from_characters(statistics.characters, "syllable", 1)


def run_test(
    cuts: list[MonoCut],
    vocabulary: Vocabulary,
    clock: FakeClock,
    time_limit: float,
    **changes: float,
) -> Outcome:
    settings = tones.TINY.changed(changes, "test")
    return overfit(choose_utterances(cuts), vocabulary, settings, time_limit, clock=clock)


def test_it_ends_within_its_time_limit(
    cuts: list[MonoCut], vocabulary: Vocabulary, clock: FakeClock
) -> None:
    """The last recognition, which takes as long as two steps here, ends in time too."""
    clock.charge(overfit_module, "recognize", 2.0)
    outcome = run_test(cuts, vocabulary, clock, 20)
    assert not outcome.passed
    assert outcome.falling
    assert 15 < outcome.seconds == clock.now <= 20


def test_it_ends_when_the_loss_does_not_fall(
    cuts: list[MonoCut], vocabulary: Vocabulary, clock: FakeClock
) -> None:
    outcome = run_test(cuts, vocabulary, clock, 10_000, lr=30.0)
    assert not outcome.passed
    assert not outcome.falling
    assert outcome.epochs <= 40


def test_each_text_is_chosen_once_and_the_durations_are_near_the_median(
    cuts: list[MonoCut],
) -> None:
    chosen = choose_utterances(cuts)
    texts = [manifests.transcript(cut) for cut in chosen]
    durations = [cut.duration for cut in chosen]
    assert len(set(texts)) == len(texts) == min(UTTERANCES, len({*map(manifests.transcript, cuts)}))
    assert durations == sorted(durations)
    assert choose_utterances([]) == []
