"""Warnings of a run: attention that finds no alignment."""

from pathlib import Path
from typing import Any

import pytest
from helpers.runs import settings

from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import train


def test_a_missing_alignment_is_warned_of_once_even_if_the_run_is_resumed(
    babble: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> list[str]:
        lines = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        return [line for line in lines if "alignment" in line]

    run = tmp_path / "run"  # its epochs have six or seven steps
    changes: dict[str, Any] = {"max_steps": 0, "alignment_by": 8, "listener_layer_size": 4}
    train(babble, run, settings(max_epochs=1, **changes))
    assert warnings() == []
    train(babble, run, settings(max_epochs=3, **changes))
    (warning,) = warnings()
    row = read_metrics(run, "epoch")[1]
    for name in ("diagonality", "coverage", "focus"):
        assert f"{name} {row[f'valid_{name}']:.2f}" in warning
    assert f"in {row['step']} steps" in warning
    remedies = (
        "guide_weight",
        "time_reduction below 16",
        "listener_layer_size of 3",
        f"sorigeul doctor {babble}",
    )
    for remedy in remedies:
        assert remedy in warning
    train(babble, run, settings(max_epochs=4, **changes))
    assert warnings() == [warning]


def test_no_alignment_is_expected_without_attention_or_if_the_setting_is_zero(
    babble: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one_epoch: dict[str, Any] = {"max_steps": 0, "max_epochs": 1}
    never, without = tmp_path / "never", tmp_path / "without"
    train(babble, never, settings(**one_epoch, alignment_by=0))
    train(babble, without, settings(**one_epoch, alignment_by=1, use_attention=False))
    assert not [r for r in caplog.records if "alignment" in r.getMessage()]
    assert "valid_focus" in read_metrics(never, "epoch")[0]
    assert "valid_focus" not in read_metrics(without, "epoch")[0]
