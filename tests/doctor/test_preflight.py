"""The checks of `sorigeul doctor` as a whole."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.commands import Command
from helpers.fake_clock import FakeClock
from helpers.paths import SHARED

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.doctor import overfit, preflight
from sorigeul.synthesis.demo import DEMO

TINY = [
    "--preset=quickstart",
    "--n_mels=16",
    "--hidden_size=16",
    "--conv_channels=4",
    "--lr=0.01",
    "--score_function=location",
]
"""A model that learns four tones within some hundred steps, but no speech."""


def test_a_corpus_that_can_be_learnt_is_fit_to_train(
    sorigeul: Command,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sorigeul("doctor", corpus, *TINY, "--time_limit", "2000")
    assert done.status == 0, done.err
    assert done.out.endswith("fit to train\n")
    assert re.search(r"overfit test on \d+ utterances", done.out)
    assert re.search(r"CRR \d+\.\d % of the speller, \d+\.\d % of the CTC head", done.out)
    assert clock.now < 1000, "the overfit test ends as soon as the utterances are recited"
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_time_limit_that_is_too_short_is_named(
    sorigeul: Command, small_demo: Path, clock: FakeClock
) -> None:
    """The data pass, but five steps are too few for the overfit test."""
    done = sorigeul("doctor", small_demo, *TINY, "--time_limit", "5")
    assert done.status == 2
    assert re.match(r"5 s were too short for the overfit test on \d+ utterances", done.error())
    assert "raise --time_limit" in done.error()
    assert clock.now == 5


def test_slow_recordings_leave_time_for_the_overfit_test(
    sorigeul: Command, corpus: Path, clock: FakeClock
) -> None:
    """Recordings are read for at most 30 % of the time."""
    clock.charge(preflight, "load_cut_audio", 1.0)
    done = sorigeul("doctor", corpus, *TINY, "--time_limit", "10")
    assert "warning: recordings are slow to read: 4 of 40 examined" in done.err
    assert "overfit test on 4 utterances" in done.out
    assert clock.now == 10


def test_the_settings_are_those_of_train(
    sorigeul: Command, small_demo: Path, tmp_path: Path
) -> None:
    assert "perhaps --hidden_size" in sorigeul("doctor", small_demo, "--hiden_size", "4").error()
    config = tmp_path / "config.yaml"
    config.write_text("time_reduction: 16\nlistener_layer_size: 3\n", encoding="utf-8")
    by_file = sorigeul("doctor", small_demo, "--config", config).error()
    by_preset = sorigeul("doctor", small_demo, "--preset", "seed").error()
    assert by_file == by_preset
    assert "16-fold time_reduction" in by_file
    assert "time_limit is 0" in sorigeul("doctor", small_demo, "--time_limit", "0").error()


def test_a_folder_without_manifests_is_refused(sorigeul: Command, tmp_path: Path) -> None:
    assert "make it with 'sorigeul prepare'" in sorigeul("doctor", tmp_path).error()


def test_a_learning_rate_that_is_too_high_is_named(sorigeul: Command, corpus: Path) -> None:
    error = sorigeul("doctor", corpus, *TINY, "--lr", "30", "--time_limit", "2000").error()
    assert "lr 30" in error or "lower lr (it is 30)" in error


# Long proofs.


@pytest.fixture
def fit_to_train(sorigeul: Command, clock: FakeClock) -> Callable[[Path, str], None]:
    """Checks that the doctor accepts a corpus with a preset, within the time of 1,000 steps.

    A recognition takes as long as four steps by the clock of these tests, about as it does in fact.
    """

    def check(corpus: Path, preset_name: str) -> None:
        clock.charge(overfit, "recognize", 4.0)
        done = sorigeul("doctor", corpus, "--preset", preset_name, "--time_limit", "1000")
        print(done.out, done.err)
        assert done.status == 0, done.err
        assert done.out.endswith("fit to train\n")

    return check


@pytest.mark.prove
def test_synthesised_speech_is_fit_to_train(
    fit_to_train: Callable[[Path, str], None], tmp_path: Path
) -> None:
    prepare(DEMO, None, tmp_path / "data", PrepareOptions(utterances=1000))
    fit_to_train(tmp_path / "data", "quickstart")


@pytest.mark.prove
@pytest.mark.parametrize("preset_name", ["quickstart", "small"])
def test_real_speech_is_fit_to_train(
    fit_to_train: Callable[[Path, str], None], tmp_path: Path, preset_name: str
) -> None:
    corpus = SHARED / "corpora" / "pansori-tedxkr"
    if not corpus.is_dir():
        pytest.skip("Pansori TEDxKR is not here")
    prepare(CORPORA["pansori"], corpus, tmp_path / "data")
    fit_to_train(tmp_path / "data", preset_name)
