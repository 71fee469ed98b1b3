"""A run made before the package was split into folders (commit 43650ee) can still be used.

`old_run` holds the finished run, and one checkpoint from the middle of its second epoch.
"""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers import tones
from helpers.commands import Command

from sorigeul.training.metrics import read_metrics
from sorigeul.training.settings import Settings

pytestmark = pytest.mark.usefixtures("undrawn")

OLD_RUN = Path(__file__).parent / "old_run"
STEPS_BEFORE = 90  # of 336; an epoch has about 80


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """A copy that may be written to."""
    return Path(shutil.copytree(OLD_RUN, tmp_path / "old_run"))


def test_it_transcribes_and_evaluates(old_run: Path, corpus: Path, sorigeul: Command) -> None:
    recordings = sorted((corpus.parent / "audio").glob("u1[0-3].wav"))
    done = sorigeul("transcribe", old_run, *recordings)
    assert [line.rpartition(": ")[2] for line in done.out.splitlines()] == tones.texts(14)[10:]
    evaluated = sorigeul("evaluate", old_run, corpus, "--json", "-")
    assert json.loads(evaluated.out)["crr"] > 90
    assert "(listener): Listener(" in sorigeul("info", old_run).out


def test_it_resumes_in_the_middle_of_an_epoch(
    old_run: Path, corpus: Path, sorigeul: Command
) -> None:
    """From its checkpoint on, the run takes the steps that the old code took without a stop.

    Of five epochs the first three are enough.
    """
    expected = [row for row in read_metrics(OLD_RUN) if row["epoch"] < 3]
    done = sorigeul("train", corpus, old_run, "--max_epochs", "3")
    assert done.status == 0, done.err
    assert f"step {STEPS_BEFORE}" in done.err
    resumed = read_metrics(old_run)
    assert [(row["kind"], row["step"]) for row in resumed] == [
        (row["kind"], row["step"]) for row in expected
    ]
    for row, old in zip(resumed, expected, strict=True):
        assert row.keys() - {"train_jamo_loss"} == old.keys()
        # Later, differences in rounding between processors may have grown.
        if row["kind"] == "step" and STEPS_BEFORE < row["step"] <= STEPS_BEFORE + 20:
            assert losses(row) == pytest.approx(losses(old), rel=0.05)
    assert resumed[-1]["train_crr"] > 70


def losses(row: dict[str, Any]) -> dict[str, float]:
    """All losses but that of the jamo, which is younger than the old run."""
    return {
        name: value
        for name, value in row.items()
        if name.endswith("_loss") and name != "train_jamo_loss"
    }


def test_it_is_fine_tuned(corpus: Path, tmp_path: Path, sorigeul: Command) -> None:
    done = sorigeul("train", corpus, tmp_path / "run", "--init_from", OLD_RUN, "--max_steps", "2")
    assert done.status == 0, done.err
    assert read_metrics(tmp_path / "run", "epoch")[-1]["step"] == 2


def test_its_settings_start_a_new_run(corpus: Path, tmp_path: Path, sorigeul: Command) -> None:
    config = OLD_RUN / "config.yaml"
    done = sorigeul("train", corpus, tmp_path / "run", "--config", config, "--max_steps", "3")
    assert done.status == 0, done.err
    (epoch,) = read_metrics(tmp_path / "run", "epoch")
    assert epoch["step"] == 3
    assert math.isfinite(epoch["train_loss"])
    new_settings = Settings.of_run(tmp_path / "run")
    assert new_settings == Settings.from_yaml(config).changed({"max_steps": 3}, "test")
