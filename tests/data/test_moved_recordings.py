"""Recordings that have moved since their manifest was written are found under another folder."""

import json
from pathlib import Path

import pytest
from helpers import tones
from helpers.commands import Command
from helpers.cuts import loader

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.moved_recordings import find_relocation
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


def test_the_folders_below_the_root_are_kept(tmp_path: Path) -> None:
    """The same name in another folder is another recording."""
    root = tmp_path / "new"
    paths = [Path(f"a/{split}/{name}.wav") for split in ("train", "x/train") for name in "123"]
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(bytes(number))
    (root / "1.wav").touch()  # a shorter end of the path exists too
    relocate = find_relocation([f"/old/b/{path}" for path in paths], root, tmp_path)
    for path in paths:
        assert relocate(f"/old/b/{path}") == str(root / path)
    assert relocate("/elsewhere/1.wav") == "/elsewhere/1.wav"


def test_the_first_recording_may_be_missing_under_the_root(tmp_path: Path) -> None:
    (tmp_path / "new" / "a").mkdir(parents=True)
    (tmp_path / "new" / "a" / "2.wav").touch()
    written_paths = ["/old/b/gone.wav", "/old/b/a/2.wav"]
    relocate = find_relocation(written_paths, tmp_path / "new", tmp_path)
    assert relocate("/old/b/gone.wav") == str(tmp_path / "new" / "gone.wav")


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
