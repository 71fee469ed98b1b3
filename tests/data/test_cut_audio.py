"""Audio that cannot be loaded, from files or archives, is reported with the reason."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.cuts import loader
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from lhotse.cut import Cut

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.manifests import CutPart
from sorigeul.recognition.recording_list import read_recording_list
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, AudioOptions
from sorigeul.sound.segments import SegmentLimits


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


# Parts of recordings, in manifests from elsewhere


@pytest.fixture
def stereo(tmp_path: Path) -> MonoCut:
    """A cut of lhotse's own of a recording whose channels differ, 2 s long, at 8 kHz."""
    sound = 0.3 * np.random.default_rng(0).standard_normal((16_000, 2)).clip(-3, 3)
    soundfile.write(tmp_path / "stereo.wav", sound, 8_000)
    return Recording.from_file(tmp_path / "stereo.wav").to_cut().to_mono()[0]


def saved(folder: Path, *cuts: Cut) -> Path:
    """A manifest of the cuts, each with a text unless it has one."""
    for cut in cuts:
        if isinstance(cut, MonoCut) and not cut.supervisions:
            cut.supervisions = [SupervisionSegment(cut.id, cut.id, 0, cut.duration, text="가")]
    CutSet.from_cuts(cuts).to_file(folder / "train.jsonl")
    return folder / "train.jsonl"


def test_a_cut_is_the_part_and_the_channel_that_it_says(tmp_path: Path, stereo: MonoCut) -> None:
    cuts = []
    for channel in (0, 1):
        for start, seconds in ((0.0, 2.0), (0.5, 0.5), (1.5, 0.5)):
            cut = replace(stereo, channel=channel, start=start, duration=seconds)
            cuts.append(replace(cut, id=f"{channel}-{start}", supervisions=[]))
    path = saved(tmp_path, *cuts)
    names = {0: "left", 1: "right"}
    for cut in manifests.open_manifest(path):
        whole = audio.load(tmp_path / "stereo.wav", None, AudioOptions(names[cut.channel])).samples
        first = round(cut.start * SAMPLE_RATE)
        expected = whole[first : first + round(cut.duration * SAMPLE_RATE)]
        np.testing.assert_allclose(load_cut_audio(cut), expected, atol=1e-6)
    for entry, cut in zip(read_recording_list(path), cuts, strict=True):
        assert entry.seconds == cut.duration
        assert entry.load(SegmentLimits()).duration == pytest.approx(cut.duration)


def test_augmentation_does_not_change_which_part_is_loaded(tmp_path: Path, stereo: MonoCut) -> None:
    path = saved(tmp_path, replace(stereo, start=0.5, duration=1.0))
    draws = {"speed_perturbation": True, "use_augment": True, "silence_share": 1.0}
    (batch,) = loader(manifests.open_manifest(path), **draws)
    (cut,) = manifests.open_manifest(path)
    expected = load_cut_audio(cut)
    assert len(expected) == SAMPLE_RATE
    assert not batch.failures
    plain = loader(manifests.open_manifest(path))
    np.testing.assert_array_equal(next(iter(plain)).rows()[0], expected)


def test_a_part_of_a_recording_in_an_archive(prepared: Path, tmp_path: Path) -> None:
    out = shutil.copytree(prepared / "archives", tmp_path / "out")
    path = out / "train.shar" / "cuts.000000.jsonl.gz"
    whole = load_cut_audio(next(iter(manifests.required_manifest(out, "train"))))
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    lines[0] |= {"start": 0.05, "duration": 0.1}
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    part = load_cut_audio(next(iter(manifests.required_manifest(out, "train"))))
    np.testing.assert_array_equal(part, whole[800:2400])
    del lines[0]["custom"]["member"]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    with pytest.raises(AudioError, match="does not say where in the archive"):
        load_cut_audio(next(iter(manifests.required_manifest(out, "train"))))


def test_a_part_that_is_not_there_is_reported(tmp_path: Path, stereo: MonoCut) -> None:
    path = saved(tmp_path, replace(stereo, start=0.5, duration=1.0))
    sound, rate = soundfile.read(tmp_path / "stereo.wav")
    (cut,) = manifests.open_manifest(path)
    for changed, reason in (
        (sound[:10_000], r"stereo\.wav: is 1\.25 s long, and has no part up to 1\.50 s"),
        (sound * (np.arange(len(sound)) < 3_000)[:, None], "holds only silence from 0.50 s on"),
        (sound[:, 0], None),
    ):
        soundfile.write(tmp_path / "stereo.wav", changed, rate)
        if reason is not None:
            with pytest.raises(AudioError, match=reason):
                load_cut_audio(cut)
    cut.custom["part"] = CutPart(0.5, 1.0, "2")
    with pytest.raises(AudioError, match="has no channel 2, but 1"):
        load_cut_audio(cut)


def test_cuts_that_are_not_read_are_refused_by_name(tmp_path: Path, stereo: MonoCut) -> None:
    other = replace(stereo, id="other")
    two = replace(stereo, id="two texts")
    two.supervisions = [
        SupervisionSegment(f"{n}", stereo.recording_id, n, 0.5, text="가") for n in range(2)
    ]
    multi = Recording.from_file(tmp_path / "stereo.wav").to_cut()
    for cut, fault in (
        (stereo.append(other).with_id("joined"), "the cut joined is a MixedCut"),
        (multi.with_id("both"), "the cut both is a MultiCut"),
        (two, "the cut two texts has several supervisions"),
        (stereo.perturb_speed(1.1).with_id("fast"), "the cut fast has a recording with transforms"),
    ):
        path = saved(tmp_path, cut)
        with pytest.raises(UserError, match=f"^{path}: {fault}"):
            manifests.open_manifest(path)
        with pytest.raises(UserError, match=f"^{path}: {fault}"):
            read_recording_list(path)
