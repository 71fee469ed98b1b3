"""Audio that cannot be loaded, from files or archives, is reported with the reason."""

import shutil
from pathlib import Path

import pytest
from helpers import tones
from helpers.cuts import loader

from sorigeul.data import manifests


@pytest.mark.parametrize("num_workers", [0, 1])
def test_damaged_recordings_in_archives_are_reported_and_the_others_loaded(
    prepared: Path, tmp_path: Path, num_workers: int
) -> None:
    out = shutil.copytree(prepared / "archives", tmp_path / "out")
    archives = sorted((out / "train.shar").glob("*.tar"))
    members = {cut.id: cut.custom["member"] for cut in manifests.required_manifest(out, "train")}
    ids = list(members)
    content = bytearray(archives[0].read_bytes())
    content[members[ids[3]]["offset"] + 60] ^= 1
    archives[0].write_bytes(content)
    archives[1].write_bytes(archives[1].read_bytes()[: members[ids[17]]["offset"] + 100])
    archives[2].unlink()
    shutil.copy(archives[4], archives[3])
    batches = list(loader(manifests.required_manifest(out, "train"), num_workers=num_workers))
    reasons = {failure.id: failure.reason for batch in batches for failure in batch.failures}
    assert sorted(reasons) == sorted([ids[3], *ids[17:40]])
    loaded = sorted(utterance_id for batch in batches for utterance_id in batch.ids)
    assert loaded == sorted(set(ids) - set(reasons))
    assert "damaged, its checksum differs" in reasons[ids[3]]
    for number in (3, 17, 25, 35):
        reason = reasons[ids[number]]
        assert reason.startswith(f"{ids[number]} in {archives[number // 10]}: ")
        assert "\n" not in reason
    assert "No such file" in reasons[ids[25]]


def test_a_missing_recording_is_reported_with_the_option_for_moved_ones(prepared: Path) -> None:
    batches = list(loader(manifests.required_manifest(prepared / "files", "dev")))
    (failures,) = [batch.failures for batch in batches]
    assert len(failures) == 4
    for failure in failures:
        assert failure.reason.startswith(str(prepared / "audio" / failure.id))
        assert failure.reason.endswith("--audio_root")
        assert "\n" not in failure.reason


def test_a_damaged_recording_is_not_reported_as_moved(tmp_path: Path) -> None:
    folder = tones.manifests(tmp_path, tones.texts(3), ["train", "dev", "test"])
    (tmp_path / "audio" / "u00.wav").write_bytes(b"")
    (batch,) = loader(manifests.required_manifest(folder, "train"))
    assert "audio_root" not in batch.failures[0].reason
