"""benchmarks/learning_curve.py: shares that hold each other, the curve, and that it runs."""

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import tones
from helpers.scripts import load_benchmark

from sorigeul.base.errors import UserError
from sorigeul.data.manifests import required_manifest

learning_curve = load_benchmark("learning_curve")
POINT = {"share": 50.0, "speakers": 2, "crr": 40.0, "cer": 60.0, "wer": 90.0}


def test_the_fit_finds_the_power_law_that_made_the_errors() -> None:
    hours = np.array([0.2, 0.6, 1.3, 2.1])
    scale, exponent = learning_curve.power_law(hours, 45 / hours**0.3)
    assert (scale, exponent) == (pytest.approx(45), pytest.approx(0.3))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--epochs", "8", "--shares", "50"), "two or more"),
        (("--epochs", "8", "--shares", "50", "200"), "at most 100"),
        (("--epochs", "0"), "at least 1"),
        ((), "--epochs"),
    ],
)
def test_what_makes_no_curve_is_refused_before_anything_is_trained(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    out = tmp_path / "curve"
    monkeypatch.setattr(sys, "argv", ["learning_curve.py", str(corpus), str(out), *words])
    with pytest.raises(SystemExit) as ended:
        learning_curve.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_other_arguments_are_refused_in_a_folder_that_was_begun(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["learning_curve.py", str(corpus), str(tmp_path), "--epochs"]
    monkeypatch.setattr(learning_curve, "_point", lambda _, share: POINT | {"hours": share})
    monkeypatch.setattr(sys, "argv", [*words, "8"])
    learning_curve.main()
    monkeypatch.setattr(sys, "argv", [*words, "9"])
    with pytest.raises(UserError, match="of other arguments"):
        learning_curve.main()


def test_a_larger_share_holds_the_smaller_one_and_all_that_models_are_judged_by(
    corpus: Path,
) -> None:
    whole = {
        cut.id for split in ("train", "dev", "test") for cut in required_manifest(corpus, split)
    }
    judged = {cut.id for split in ("dev", "test") for cut in required_manifest(corpus, split)}
    shares = [learning_curve._drawn(corpus, share, 0) for share in (30, 60, 100)]
    held = [set(ids) for ids, _, _ in shares]
    assert judged < held[0] < held[1] < held[2] == whole
    hours = [hours for _, hours, _ in shares]
    assert 0.2 < hours[0] / hours[2] <= 0.3
    assert 0.5 < hours[1] / hours[2] <= 0.6


@pytest.mark.prove
def test_it_trains_every_share_once_and_draws_the_curve(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(tones.TINY.to_yaml(), encoding="utf-8")
    words = [
        "learning_curve.py",
        corpus,
        tmp_path / "curve",
        "--shares",
        "25",
        "100",
        "--epochs",
        "1",
    ]
    options = ["--", "--config", config, "--augment_ratio", "1"]
    monkeypatch.setattr(sys, "argv", [*map(str, words), *map(str, options)])
    learning_curve.main()
    printed = capfd.readouterr().out
    rows = [line for line in printed.splitlines() if "% |" in line]
    assert [row.split("|")[1].strip() for row in rows] == ["25 %", "100 %"]
    assert "if it goes on like that" in printed
    assert (tmp_path / "curve" / "curve.png").read_bytes().startswith(b"\x89PNG")
    epochs = (tmp_path / "curve" / "25" / "run" / "metrics.jsonl").read_text().count('"epoch",')
    assert epochs == 2  # by the root of what is missing
    monkeypatch.setattr(learning_curve, "_sorigeul", lambda *words: pytest.fail(f"again: {words}"))
    learning_curve.main()
    assert capfd.readouterr().out.splitlines()[-5:] == printed.splitlines()[-5:]
