"""Manifests of recordings that have moved: read, trained on and evaluated at their new place."""

import json
from pathlib import Path

import pytest
from helpers import tones
from helpers.commands import Command
from helpers.cuts import loader

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.training.run import train


def test_moved_recordings_are_found(prepared: Path, tmp_path: Path) -> None:
    new_folder = prepared / "moved"
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "audio").symlink_to(new_folder, target_is_directory=True)
    for root in (new_folder, tmp_path / "mounted"):
        cuts = manifests.required_manifest(prepared / "files", "train", str(root))
        assert len([load_cut_audio(cut) for cut in cuts]) == 120
    batches = list(loader(cuts, num_workers=1))
    assert sum(map(len, batches)) == 120


def test_a_root_without_any_of_the_recordings_is_refused(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^audio_root {tmp_path}: holds no recording") as error:
        manifests.required_manifest(prepared / "files", "train", str(tmp_path))
    assert "audio/u08.wav" in str(error.value)
    assert "\n" not in str(error.value)


def test_train_and_evaluate_take_the_root(
    prepared: Path, tmp_path: Path, sorigeul: Command
) -> None:
    run, moved = tmp_path / "run", prepared / "moved"
    options = {"max_steps": 2, "augment_ratio": 0.0, "audio_root": str(moved)}
    train(prepared / "files", run, tones.TINY.changed(options, "test"))
    assert f"audio_root: {moved}" in (run / "config.yaml").read_text("utf-8")
    evaluate = ("evaluate", run, prepared / "files", "--json", "-")
    scores = json.loads(sorigeul(*evaluate, "--audio-root", moved).out)
    assert (scores["utterances"], scores["failures"]) == (4, {})
    assert len(json.loads(sorigeul(*evaluate).out)["failures"]) == 4
    assert "audio_root" in sorigeul(*evaluate, "--audio_root", tmp_path).error()
