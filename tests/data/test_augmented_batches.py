"""Batches with speeds, noise and degradations: the same in every process and after a resume."""

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tones
from helpers.cuts import VOCABULARY, cuts_without_audio, loader, sampled_cuts
from helpers.noises import white_noise
from lhotse import CutSet
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.babble import load_voices
from sorigeul.data.batches import longest_batch
from sorigeul.data.config import DataConfig
from sorigeul.data.sampling import ProcessShare, evaluation_batches
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.augmentation import SPEEDS, change_speed, draw_speed
from sorigeul.sound.degradations import Degradation
from sorigeul.training.run import train
from sorigeul.training.settings import Settings

SPEED: dict[str, Any] = {"speed_perturbation": True}
SHARES = (
    "rir_share",
    "silence_share",
    "colored_noise_share",
    "babble_share",
    "telephone_share",
    "codec_share",
    "level_share",
)


@pytest.fixture
def cuts(corpus: Path) -> CutSet:
    return manifests.required_manifest(corpus, "train")


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    return white_noise(tmp_path / "noises")


@pytest.fixture
def everything(noises: Path) -> dict[str, Any]:
    """Settings with speeds, noise, all degradations, and copies of half of the utterances."""
    copies = {"use_augment": True, "augment_ratio": 0.5}
    shares = dict.fromkeys(SHARES, 0.4)
    return {**SPEED, **copies, **shares, "noise_dir": str(noises), "silence_seconds": 1.0}


def waveforms_of_epoch(batches: StatefulDataLoader, epoch: int = 0) -> dict[str, torch.Tensor]:
    """The waveform of each utterance (N,) by its id, in one epoch."""
    batches.sampler.set_epoch(epoch)
    return {
        name: batch.waveforms[row, : batch.lengths[row]]
        for batch in batches
        for row, name in enumerate(batch.ids)
    }


# Speed


@pytest.mark.parametrize("pack_by_length", [True, False])
def test_an_epoch_has_every_utterance_once_at_one_speed(cuts: CutSet, pack_by_length: bool) -> None:
    original = waveforms_of_epoch(loader(cuts))
    changed = waveforms_of_epoch(loader(cuts, pack_by_length=pack_by_length, **SPEED))
    assert changed.keys() == original.keys()
    ratios = Counter(round(10 * len(original[name]) / len(changed[name])) for name in original)
    assert set(ratios) == set(SPEEDS)
    for name, waveform in original.items():
        tenths = draw_speed(f"0/0/{name}")
        assert np.array_equal(changed[name].numpy(), change_speed(waveform.numpy(), tenths))


def test_a_copy_has_a_speed_of_its_own(cuts: CutSet) -> None:
    waveforms = waveforms_of_epoch(loader(cuts, use_augment=True, **SPEED))
    lengths = {name: len(waveform) for name, waveform in waveforms.items()}
    originals = [name for name in lengths if not name.endswith("#1")]
    assert 4 < sum(lengths[name] == lengths[f"{name}#1"] for name in originals) < 24  # of 40


def test_batches_are_filled_by_the_duration_after_the_change_of_speed(tmp_path: Path) -> None:
    many = cuts_without_audio(tmp_path, [1 + (37 * number % 1000) / 100 for number in range(1000)])
    batches = sampled_cuts(loader(many, batch_seconds=60.0, **SPEED), 2)
    seconds = {cut.id: cut.duration for cut in many}
    for batch in batches:
        for cut in batch:
            assert cut.duration == pytest.approx(seconds[cut.id] * 10 / draw_speed(f"0/2/{cut.id}"))
    assert sum(map(len, batches)) == 1000
    assert max(len(batch) * max(cut.duration for cut in batch) for batch in batches) < 63


def test_the_longest_batch_assumes_the_slowest_speed(tmp_path: Path) -> None:
    many = cuts_without_audio(tmp_path, [1 + number % 9 for number in range(400)])
    config = DataConfig(batch_size=4, use_augment=False, **SPEED)
    longest = longest_batch(9.0, 2, VOCABULARY, config)
    batches = sampled_cuts(loader(many, **SPEED))
    assert longest.waveforms.shape[1] == SAMPLE_RATE * 10
    assert max(cut.duration for batch in batches for cut in batch) == pytest.approx(10.0)


def test_evaluation_uses_the_recordings_unchanged(corpus: Path, cuts: CutSet) -> None:
    loader(cuts, **SPEED)
    for batch in evaluation_batches(manifests.required_manifest(corpus, "dev"), VOCABULARY):
        samples = [round(SAMPLE_RATE * tones.SECONDS * len(text)) for text in batch.texts]
        assert batch.lengths.tolist() == samples


# Noise


def test_noise_goes_into_a_share_of_the_utterances_drawn_in_each_epoch(
    cuts: CutSet, noises: Path
) -> None:
    original = waveforms_of_epoch(loader(cuts))

    def changed_utterances(epoch: int) -> set[str]:
        batches = loader(cuts, noise_dir=str(noises), noise_share=0.5)
        noisy = waveforms_of_epoch(batches, epoch)
        assert [len(original[name]) for name in original] == [len(noisy[name]) for name in original]
        return {name for name in original if not torch.equal(original[name], noisy[name])}

    changed = changed_utterances(epoch=0)
    assert 10 < len(changed) < 30  # of 40
    assert changed_utterances(epoch=1) != changed


def test_noise_does_not_change_the_batches(tmp_path: Path, noises: Path) -> None:
    many = cuts_without_audio(tmp_path, [1 + (37 * number % 1000) / 100 for number in range(1000)])
    without, noisy = (
        [[cut.id for cut in batch] for batch in sampled_cuts(loader(many, noise_dir=folder), 1)]
        for folder in ("", str(noises))
    )
    assert noisy == without


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such folder; give a folder of recordings"),
        ([], "none of its files is a recording of noise; it is empty"),
        (["other"], "none of its files is a recording of noise; the first: "),
        (["silent"], "holds only silence"),
    ],
)
def test_a_folder_without_noise_is_refused_before_training(
    corpus: Path, tmp_path: Path, bad: dict[str, Path], content: list[str] | None, message: str
) -> None:
    folder = tmp_path / "noises"
    if content is not None:
        folder.mkdir()
        for name in content:
            bad[name].rename(folder / bad[name].name)
    settings = tones.TINY.changed({"noise_dir": str(folder)}, "test")
    with pytest.raises(UserError, match=message) as error:
        train(corpus, tmp_path / "run", settings)
    assert f"noise_dir {folder}" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise_share": 1.5}, "noise_share is 1.5, but must be at least 0 and at most 1"),
        ({"noise_low": 21.0}, "noise_low is 21, but must be at most noise_high, which is 20"),
        ({"noise_high": float("nan")}, "noise_high is nan, but must be at least -100"),
    ],
)
def test_impossible_noise_settings_are_refused_by_name(
    settings: dict[str, float], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        DataConfig(**settings)  # type: ignore[arg-type]


def test_a_relative_noise_folder_becomes_absolute(
    noises: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(noises.parent)
    assert Settings().changed({"noise_dir": "noises"}, "test").data.noise_dir == str(noises)


# Degradations


def test_without_shares_batches_are_what_they_were(cuts: CutSet, noises: Path) -> None:
    """No draw key either, so that nothing is drawn."""
    options: dict[str, Any] = {**dict.fromkeys(SHARES, 0.0), "silence_seconds": 2.0}
    for batch in sampled_cuts(loader(cuts, **options)):
        assert all("draw_key" not in (cut.custom or {}) for cut in batch)
    for batch in sampled_cuts(loader(cuts, **options, noise_dir=str(noises))):
        assert all("draw_key" in cut.custom for cut in batch)
        assert not any({"place", "channel", "speed"} & set(cut.custom) for cut in batch)


@pytest.mark.parametrize("share", SHARES)
def test_a_share_changes_its_share_of_the_utterances_anew_in_each_epoch(
    cuts: CutSet, share: str
) -> None:
    original = waveforms_of_epoch(loader(cuts))

    def changed_utterances(epoch: int) -> set[str]:
        options: dict[str, Any] = {share: 0.5}
        changed = waveforms_of_epoch(loader(cuts, **options), epoch)
        assert changed.keys() == original.keys()
        return {name for name in original if not torch.equal(original[name], changed[name])}

    changed = changed_utterances(epoch=0)
    assert 8 < len(changed) < 32  # of 40
    assert changed_utterances(epoch=1) != changed


def test_training_degrades_as_evaluation_would(cuts: CutSet) -> None:
    original = waveforms_of_epoch(loader(cuts))
    options: dict[str, Any] = {"rir_share": 1.0, "silence_share": 1.0, "level_share": 1.0}
    changed = waveforms_of_epoch(loader(cuts, **options))
    for batch in sampled_cuts(loader(cuts, **options)):
        for cut in batch:
            text = f"{cut.custom['place']}+{cut.custom['channel']}"
            key = cut.custom["draw_key"]
            expected = Degradation.parse(text).apply(original[cut.id].numpy(), key)
            assert np.array_equal(changed[cut.id].numpy(), expected)


def test_durations_count_the_silence_that_is_drawn(cuts: CutSet) -> None:
    options: dict[str, Any] = {**SPEED, "silence_share": 0.7, "silence_seconds": 2.0}
    original = waveforms_of_epoch(loader(cuts, **SPEED), 1)
    waveforms = waveforms_of_epoch(loader(cuts, **options), 1)
    added = []
    for batch in sampled_cuts(loader(cuts, **options), 1):
        for cut in batch:
            samples = len(waveforms[cut.id])
            assert cut.duration == pytest.approx(samples / SAMPLE_RATE, abs=2 / SAMPLE_RATE)
            added.append((samples - len(original[cut.id])) / SAMPLE_RATE)
    assert 0 < min(seconds for seconds in added if seconds) < 0.5
    assert 1.5 < max(added) <= 2.0
    assert 4 < added.count(0.0) < 20  # of 40


def test_batches_are_filled_by_the_duration_with_silence(tmp_path: Path) -> None:
    many = cuts_without_audio(tmp_path, [1 + (37 * number % 1000) / 100 for number in range(1000)])
    batches = sampled_cuts(loader(many, batch_seconds=60.0, silence_share=0.5), 2)
    assert sum(map(len, batches)) == 1000
    assert max(len(batch) * max(cut.duration for cut in batch) for batch in batches) < 63


def test_the_longest_batch_has_the_longest_silence() -> None:
    options: dict[str, Any] = {"batch_size": 4, "silence_seconds": 2.5}
    for share, seconds in ((0.0, 9.0), (0.1, 11.5)):
        config = DataConfig(silence_share=share, **options)
        shape = longest_batch(9.0, 2, VOCABULARY, config).waveforms.shape
        assert shape == (4, SAMPLE_RATE * seconds)


def test_the_voices_of_babble_depend_on_the_seed_alone(
    cuts: CutSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    everyone = sorted(voice.tobytes() for voice in load_voices(cuts, seed=0))
    assert everyone == sorted(wave.numpy().tobytes() for wave in originals(cuts))
    monkeypatch.setattr("sorigeul.data.babble._VOICES", 10)
    first, again, other = (
        [voice.tobytes() for voice in load_voices(cuts, seed)] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert len(first) == len(other) == 10


def originals(cuts: CutSet) -> list[torch.Tensor]:
    """The waveforms (N,) of all utterances."""
    return list(waveforms_of_epoch(loader(cuts)).values())


def test_babble_without_readable_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no utterance can be read to make babble of: "):
        loader(cuts_without_audio(tmp_path, [1.0, 2.0]), babble_share=0.5)


# The same in every process, and after a resume


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_load_the_same_batches(
    cuts: CutSet, everything: dict[str, Any], num_workers: int
) -> None:
    alone, workers = (list(loader(cuts, num_workers=n, **everything)) for n in (0, num_workers))
    assert [batch.ids for batch in alone] == [batch.ids for batch in workers]
    for batch, of_workers in zip(alone, workers, strict=True):
        assert torch.equal(batch.waveforms, of_workers.waveforms)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("pack_by_length", [True, False])
def test_a_stopped_epoch_resumes_with_the_same_waveforms(
    cuts: CutSet, everything: dict[str, Any], num_workers: int, pack_by_length: bool
) -> None:
    everything["pack_by_length"] = pack_by_length
    uninterrupted = loader(cuts, **everything)
    uninterrupted.sampler.set_epoch(1)
    expected = list(uninterrupted)

    stopped = loader(cuts, num_workers=num_workers, **everything)
    stopped.sampler.set_epoch(1)
    batches = iter(stopped)
    before = [next(batches) for _ in range(5)]
    state = copy.deepcopy(stopped.state_dict())
    del batches, stopped

    resumed = loader(cuts, num_workers=num_workers, **everything)
    resumed.load_state_dict(state)
    resumed.sampler.set_epoch(1)
    actual = before + list(resumed)
    assert [batch.ids for batch in actual] == [batch.ids for batch in expected]
    for batch, expected_batch in zip(actual, expected, strict=True):
        assert torch.equal(batch.waveforms, expected_batch.waveforms)
        assert torch.equal(batch.lengths, expected_batch.lengths)


def test_two_processes_share_the_waveforms_of_one(cuts: CutSet, everything: dict[str, Any]) -> None:
    alone = waveforms_of_epoch(loader(cuts, batch_size=8, **everything), 2)
    shares = [
        waveforms_of_epoch(loader(cuts, share=ProcessShare(rank, 2), **everything), 2)
        for rank in (0, 1)
    ]
    assert not shares[0].keys() & shares[1].keys()
    together = shares[0] | shares[1]
    assert together.keys() == alone.keys()
    assert all(torch.equal(together[name], alone[name]) for name in alone)


def test_a_seed_gives_the_same_waveforms(cuts: CutSet, everything: dict[str, Any]) -> None:
    first, again, other = (
        waveforms_of_epoch(loader(cuts, seed=seed, **everything)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first if name in other)


def test_plain_epochs_have_no_masks_speeds_noise_or_degradations(
    cuts: CutSet, noises: Path
) -> None:
    """They have as many utterances as later epochs."""
    changes: dict[str, Any] = {**SPEED, **dict.fromkeys(SHARES, 1.0)}
    changes.update(noise_dir=str(noises), noise_share=1.0)
    original = waveforms_of_epoch(loader(cuts, use_augment=False))
    loaded = loader(cuts, use_augment=True, plain_epochs=2, **changes)
    for epoch, plain in ((0, True), (1, True), (2, False)):
        loaded.sampler.set_epoch(epoch)
        batches = list(loaded)
        assert sum(map(len, batches)) == 2 * len(original)
        assert any(bool(batch.augmented.any()) for batch in batches) != plain
        for batch in batches:
            for row, name in enumerate(batch.ids):
                waveform = batch.waveforms[row, : batch.lengths[row]]
                assert torch.equal(waveform, original[name.partition("#")[0]]) == plain
