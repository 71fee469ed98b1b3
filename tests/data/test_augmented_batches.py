"""Batches with other speeds and noise: the same draws in every process and after a resume."""

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
from sorigeul.data.batches import longest_batch
from sorigeul.data.config import DataConfig
from sorigeul.data.sampling import ProcessShare, evaluation_batches
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.augmentation import SPEEDS, change_speed, draw_speed
from sorigeul.training.run import train
from sorigeul.training.settings import Settings

SPEED: dict[str, Any] = {"speed_perturbation": True}


@pytest.fixture
def cuts(corpus: Path) -> CutSet:
    return manifests.required_manifest(corpus, "train")


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    return white_noise(tmp_path / "noises")


@pytest.fixture
def both(noises: Path) -> dict[str, Any]:
    """Settings with speed perturbation, noise, and copies of half of the utterances."""
    return {**SPEED, "noise_dir": str(noises), "use_augment": True, "augment_ratio": 0.5}


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
        ({"noise_share": 1.5}, "noise_share is 1.5, but must be between 0 and 1"),
        ({"noise_low": 21.0}, "noise_low is 21, but must be at most noise_high, which is 20"),
        ({"noise_high": float("nan")}, "noise_low is 5, but must"),
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


# The same in every process, and after a resume


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("pack_by_length", [True, False])
def test_a_stopped_epoch_resumes_with_the_same_waveforms(
    cuts: CutSet, both: dict[str, Any], num_workers: int, pack_by_length: bool
) -> None:
    both["pack_by_length"] = pack_by_length
    uninterrupted = loader(cuts, **both)
    uninterrupted.sampler.set_epoch(1)
    expected = list(uninterrupted)

    stopped = loader(cuts, num_workers=num_workers, **both)
    stopped.sampler.set_epoch(1)
    batches = iter(stopped)
    before = [next(batches) for _ in range(5)]
    state = copy.deepcopy(stopped.state_dict())
    del batches, stopped

    resumed = loader(cuts, num_workers=num_workers, **both)
    resumed.load_state_dict(state)
    resumed.sampler.set_epoch(1)
    actual = before + list(resumed)
    assert [batch.ids for batch in actual] == [batch.ids for batch in expected]
    for batch, expected_batch in zip(actual, expected, strict=True):
        assert torch.equal(batch.waveforms, expected_batch.waveforms)
        assert torch.equal(batch.lengths, expected_batch.lengths)


def test_two_processes_share_the_waveforms_of_one(cuts: CutSet, both: dict[str, Any]) -> None:
    alone = waveforms_of_epoch(loader(cuts, batch_size=8, **both), 2)
    shares = [
        waveforms_of_epoch(loader(cuts, share=ProcessShare(rank, 2), **both), 2) for rank in (0, 1)
    ]
    assert not shares[0].keys() & shares[1].keys()
    together = shares[0] | shares[1]
    assert together.keys() == alone.keys()
    assert all(torch.equal(together[name], alone[name]) for name in alone)


def test_a_seed_gives_the_same_waveforms(cuts: CutSet, both: dict[str, Any]) -> None:
    first, again, other = (
        waveforms_of_epoch(loader(cuts, seed=seed, **both)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first if name in other)


def test_plain_epochs_have_no_masks_speeds_or_noise(cuts: CutSet, noises: Path) -> None:
    """They have as many utterances as later epochs."""
    changes: dict[str, Any] = {**SPEED, "noise_dir": str(noises), "noise_share": 1.0}
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
