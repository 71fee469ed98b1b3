"""Resuming a run with other settings: what may change, what is refused, when an epoch starts over.

That a resumed run ends as if it had never stopped is in `test_interruptions.py`.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.runs import checkpoints, equal, settings, weights

from sorigeul.base.errors import UserError
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import train


def test_a_run_resumes_only_with_its_own_model_and_vocabulary(babble: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(babble, run, settings())
    before = weights(run)
    with pytest.raises(UserError, match="begun with hidden_size 8, not 16"):
        train(babble, run, settings(hidden_size=16))
    with pytest.raises(UserError, match="begun with vocabulary syllable, not jamo"):
        train(babble, run, settings(vocabulary="jamo"))
    assert equal(weights(run), before), "a refusal must leave the run as it was"
    train(babble, run, settings(max_steps=5))
    assert read_metrics(run, "epoch")[-1]["step"] == 5


def test_checkpoints_of_another_version_are_refused(babble: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(babble, run, settings())
    for path in checkpoints(run):
        state = torch.load(path, weights_only=True)
        del state["format"]
        torch.save(state, path)
    with pytest.raises(UserError, match="begun by another version of sorigeul"):
        train(babble, run, settings(max_steps=5))


@pytest.fixture
def halfway(babble: Path, tmp_path: Path) -> Path:
    """A run whose newest checkpoint is after three of the six or seven steps of its epoch."""
    run = tmp_path / "run"
    train(babble, run, settings(max_steps=4, checkpoint_every=3))
    (run / "checkpoints" / "step-000000004.pt").unlink()  # by which the epoch is closed
    return run


@pytest.mark.parametrize(
    "changes", [{"batch_size": 3}, {"batch_seconds": 4.0}, {"num_workers": 1}, {"seed": 1}]
)
def test_an_epoch_starts_over_if_its_batches_change(
    babble: Path, halfway: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    """For example with smaller batches after memory ran out: else the old ones would continue."""
    train(babble, halfway, settings(max_steps=0, max_epochs=1, checkpoint_every=3, **changes))
    (name,) = changes
    warning = f"{name} changed: epoch 0 begins again from its first batch"
    assert warning in [record.getMessage() for record in caplog.records]
    (row,) = read_metrics(halfway, "epoch")
    whole_epoch = 24 / changes.get("batch_size", 4)
    assert row["step"] >= 3 + (whole_epoch if name != "batch_seconds" else 0)


def test_other_settings_do_not_make_an_epoch_start_over(
    babble: Path, halfway: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(babble, halfway, settings(max_steps=0, max_epochs=1, lr=0.02, log_every=1))
    assert not [r for r in caplog.records if "begins again" in r.getMessage()]
    assert read_metrics(halfway, "epoch")[0]["step"] < 3 + 24 / 4
