"""Other speeds and noise: what is heard, how often, and that every process draws the same."""

import copy
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers import tones
from helpers.cuts import VOCABULARY, imagined, loader, sampled
from lhotse import CutSet
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.batches import longest_batch
from sorigeul.data.config import DataConfig, ProcessShare
from sorigeul.data.sampling import evaluation_batches
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.augmentation import SPEEDS, Noise, change_speed, draw_speed
from sorigeul.training.run import train
from sorigeul.training.settings import Settings

SPEED: dict[str, Any] = {"speed_perturbation": True}


@pytest.fixture
def cuts(corpus: Path) -> CutSet:
    return manifests.required_manifest(corpus, "train")


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    """White noise of 0.2 and of 20 s, in two formats and two folders."""
    folder = tmp_path / "noises"
    (folder / "more").mkdir(parents=True)
    random = np.random.default_rng(0)
    hiss = random.standard_normal(44_100 * 20) / 20
    soundfile.write(folder / "long.flac", hiss, 44_100)
    soundfile.write(folder / "more" / "short.wav", hiss[:1600] + 0.2, 8_000)
    return folder


def tone(hertz: float, seconds: float = 2.0) -> Samples:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.1 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def pitch(samples: Samples) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


def heard(batches: StatefulDataLoader, number: int = 0) -> dict[str, torch.Tensor]:
    """The sound of each utterance."""
    batches.sampler.set_epoch(number)
    return {
        name: batch.waveforms[row, : batch.lengths[row]]
        for batch in batches
        for row, name in enumerate(batch.ids)
    }


# Speed


@pytest.mark.parametrize("tenths", SPEEDS)
def test_a_speed_changes_length_and_pitch_and_leaves_the_level(tenths: int) -> None:
    plain = tone(1000.0)
    changed = change_speed(plain, tenths)
    assert changed.dtype == np.float32
    assert len(changed) == pytest.approx(len(plain) * 10 / tenths, abs=1)
    assert pitch(changed) == pytest.approx(100 * tenths, abs=1)
    assert changed.std() == pytest.approx(plain.std(), rel=0.01)
    assert tenths != 10 or changed is plain


def test_what_a_higher_speed_would_fold_back_is_filtered_out() -> None:
    assert change_speed(tone(7_600.0), 11)[500:-500].std() < 0.001


def test_speeds_are_drawn_evenly_and_anew_in_every_epoch() -> None:
    drawn = {e: [draw_speed(f"0/{e}/u{n:04}") for n in range(3000)] for e in (0, 1)}
    for speeds in drawn.values():
        assert set(speeds) == set(SPEEDS)
        assert all(900 < times < 1100 for times in Counter(speeds).values())
    same = sum(a == b for a, b in zip(drawn[0], drawn[1], strict=True))
    assert 900 < same < 1100


@pytest.mark.parametrize("pack_by_length", [True, False])
def test_an_epoch_is_as_long_and_each_utterance_is_at_one_speed(
    cuts: CutSet, pack_by_length: bool
) -> None:
    plain = heard(loader(cuts))
    changed = heard(loader(cuts, pack_by_length=pack_by_length, **SPEED))
    assert changed.keys() == plain.keys()
    ratios = Counter(round(10 * len(plain[name]) / len(changed[name])) for name in plain)
    assert set(ratios) == set(SPEEDS)
    for name in plain:
        tenths = draw_speed(f"0/0/{name}")
        assert np.array_equal(changed[name].numpy(), change_speed(plain[name].numpy(), tenths))


def test_a_copy_has_a_speed_of_its_own(cuts: CutSet) -> None:
    lengths = {
        name: len(sound) for name, sound in heard(loader(cuts, use_augment=True, **SPEED)).items()
    }
    plain = [name for name in lengths if not name.endswith("#1")]
    assert 4 < sum(lengths[name] == lengths[f"{name}#1"] for name in plain) < 24  # of 40


def test_batches_hold_the_seconds_that_are_heard(tmp_path: Path) -> None:
    many = imagined(tmp_path, [1 + (37 * number % 1000) / 100 for number in range(1000)])
    batches = sampled(loader(many, batch_seconds=60.0, **SPEED), 2)
    seconds = {cut.id: cut.duration for cut in many}
    for batch in batches:
        for cut in batch:
            assert cut.duration == pytest.approx(seconds[cut.id] * 10 / draw_speed(f"0/2/{cut.id}"))
    assert sum(map(len, batches)) == 1000
    assert max(len(batch) * max(cut.duration for cut in batch) for batch in batches) < 63


def test_the_largest_batch_is_of_the_slowest(tmp_path: Path) -> None:
    many = imagined(tmp_path, [1 + number % 9 for number in range(400)])
    config = DataConfig(batch_size=4, use_augment=False, **SPEED)
    largest = longest_batch(9.0, 2, VOCABULARY, config)
    batches = sampled(loader(many, **SPEED))
    assert largest.waveforms.shape[1] == SAMPLE_RATE * 10
    assert max(cut.duration for batch in batches for cut in batch) == pytest.approx(10.0)


def test_evaluation_hears_what_was_recorded(corpus: Path, cuts: CutSet) -> None:
    loader(cuts, **SPEED)
    for batch in evaluation_batches(manifests.required_manifest(corpus, "dev"), VOCABULARY):
        whole = [round(SAMPLE_RATE * tones.SECONDS * len(text)) for text in batch.texts]
        assert batch.lengths.tolist() == whole


# Noise


@pytest.mark.parametrize("name", ["long.flac", "more/short.wav"])
@pytest.mark.parametrize("decibels", [5.0, 20.0])
def test_noise_has_the_ratio_asked_for(noises: Path, name: str, decibels: float) -> None:
    for path in set(noises.rglob("*.*")) - {noises / name}:
        path.unlink()
    noise = Noise(noises, 1.0, decibels, decibels)
    speech = tone(400.0)
    added = noise.mixed(speech, "draw") - speech
    ratio = 20 * np.log10(speech.std() / added.std())
    assert ratio == pytest.approx(decibels, abs=0.5)
    assert abs(added.mean()) < 0.1 * added.std()  # an offset would count as noise


def test_ratios_are_drawn_evenly_and_the_share_is_kept(noises: Path) -> None:
    (noises / "more" / "short.wav").unlink()
    noise = Noise(noises, 0.4, 5.0, 20.0)
    speech = tone(400.0, 0.5)
    changed = [noise.mixed(speech, f"0/0/u{number}") for number in range(1000)]
    added = [each - speech for each in changed if each is not speech]
    ratios = [20 * np.log10(speech.std() / each.std()) for each in added]
    assert len(added) == pytest.approx(400, abs=50)
    assert min(ratios) > 4.5
    assert max(ratios) < 20.5
    assert np.mean(ratios) == pytest.approx(12.5, abs=1)
    assert np.std(ratios) == pytest.approx(15 / 12**0.5, rel=0.1)
    assert len({each[:50].tobytes() for each in added}) == len(added)  # from all over the noise


def test_what_is_not_kept_decoded_sounds_the_same(
    noises: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = tone(400.0)
    kept = Noise(noises, 1.0, 10.0, 10.0)
    monkeypatch.setattr("sorigeul.sound.augmentation._KEPT", 0)
    fresh = Noise(noises, 1.0, 10.0, 10.0)
    for number in range(5):
        assert np.array_equal(kept.mixed(speech, str(number)), fresh.mixed(speech, str(number)))


def test_noise_is_mixed_into_training_alone(corpus: Path, cuts: CutSet, noises: Path) -> None:
    plain = heard(loader(cuts))
    noisy = heard(loader(cuts, noise_dir=str(noises), noise_share=0.5))
    changed = {name for name in plain if not torch.equal(plain[name], noisy[name])}
    assert 10 < len(changed) < 30
    assert [len(plain[name]) for name in plain] == [len(noisy[name]) for name in plain]
    again = heard(loader(cuts, noise_dir=str(noises), noise_share=0.5), 1)
    assert {name for name in plain if not torch.equal(plain[name], again[name])} != changed


def test_noise_leaves_batches_as_they_are(tmp_path: Path, noises: Path) -> None:
    many = imagined(tmp_path, [1 + (37 * number % 1000) / 100 for number in range(1000)])
    plain, noisy = (
        [[cut.id for cut in batch] for batch in sampled(loader(many, noise_dir=folder), 1)]
        for folder in ("", str(noises))
    )
    assert plain == noisy


def test_files_that_are_no_noise_are_left_out_and_counted(
    noises: Path, bad: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    for path in bad.values():
        path.rename(noises / path.name)
    (noises / ".hidden").write_text("not even looked at")
    with caplog.at_level(logging.WARNING):
        noise = Noise(noises, 0.5, 5.0, 20.0)
    assert len(noise.paths) == 2
    assert len(noise.unusable) == 4
    (said,) = caplog.messages
    assert "4 of 6 files cannot be used" in said
    assert "\n" not in said
    assert any("silent.wav: holds only silence" in each for each in noise.unusable)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such folder; give a folder of recordings"),
        ([], "none of its files is a recording of noise; it is empty"),
        (["other"], "none of its files is a recording of noise; the first: "),
        (["silent"], "holds only silence"),
    ],
)
def test_a_folder_without_noise_is_refused(
    corpus: Path, tmp_path: Path, bad: dict[str, Path], content: list[str] | None, said: str
) -> None:
    folder = tmp_path / "noises"
    if content is not None:
        folder.mkdir()
        for name in content:
            bad[name].rename(folder / bad[name].name)
    settings = tones.TINY.changed({"noise_dir": str(folder)}, "test")
    with pytest.raises(UserError, match=said) as error:
        train(corpus, tmp_path / "run", settings)
    assert f"noise_dir {folder}" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"noise_share": 1.5}, "noise_share is 1.5, but must be between 0 and 1"),
        ({"noise_low": 21.0}, "noise_low is 21, but must be at most noise_high, which is 20"),
        ({"noise_high": float("nan")}, "noise_low is 5, but must"),
    ],
)
def test_nonsense_is_refused_by_name(settings: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        DataConfig(**settings)  # type: ignore[arg-type]


def test_a_relative_folder_is_found_from_anywhere(
    noises: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(noises.parent)
    assert Settings().changed({"noise_dir": "noises"}, "test").data.noise_dir == str(noises)


# The same for every process, and after a stop


@pytest.fixture
def both(noises: Path) -> dict[str, Any]:
    return {**SPEED, "noise_dir": str(noises), "use_augment": True, "augment_ratio": 0.5}


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("pack_by_length", [True, False])
def test_a_stopped_epoch_goes_on_with_the_same_sound(
    cuts: CutSet, both: dict[str, Any], num_workers: int, pack_by_length: bool
) -> None:
    both["pack_by_length"] = pack_by_length
    whole = loader(cuts, **both)
    whole.sampler.set_epoch(1)
    expected = list(whole)

    stopped = loader(cuts, num_workers=num_workers, **both)
    stopped.sampler.set_epoch(1)
    batches = iter(stopped)
    before = [next(batches) for _ in range(5)]
    state = copy.deepcopy(stopped.state_dict())
    del batches, stopped

    resumed = loader(cuts, num_workers=num_workers, **both)
    resumed.load_state_dict(state)
    resumed.sampler.set_epoch(1)
    found = before + list(resumed)
    assert [batch.ids for batch in found] == [batch.ids for batch in expected]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.waveforms, other.waveforms)
        assert torch.equal(one.lengths, other.lengths)


def test_processes_hear_what_one_would(cuts: CutSet, both: dict[str, Any]) -> None:
    alone = heard(loader(cuts, batch_size=8, **both), 2)
    shares = [heard(loader(cuts, share=ProcessShare(rank, 2), **both), 2) for rank in (0, 1)]
    assert not shares[0].keys() & shares[1].keys()
    together = shares[0] | shares[1]
    assert together.keys() == alone.keys()
    assert all(torch.equal(together[name], alone[name]) for name in alone)


def test_a_seed_repeats_what_is_heard(cuts: CutSet, both: dict[str, Any]) -> None:
    first, again, other = (heard(loader(cuts, seed=seed, **both)) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first if name in other)


def test_plain_epochs_come_first(cuts: CutSet, noises: Path) -> None:
    """Neither masks nor speeds nor noise in them, and as many utterances as later."""
    changed: dict[str, Any] = {**SPEED, "noise_dir": str(noises), "noise_share": 1.0}
    as_recorded = heard(loader(cuts, use_augment=False))
    batches = loader(cuts, use_augment=True, plain_epochs=2, **changed)
    for number, plain in ((0, True), (1, True), (2, False)):
        batches.sampler.set_epoch(number)
        found = list(batches)
        assert sum(map(len, found)) == 2 * len(as_recorded)
        assert any(bool(batch.augmented.any()) for batch in found) != plain
        for batch in found:
            for row, name in enumerate(batch.ids):
                said = batch.waveforms[row, : batch.lengths[row]]
                assert torch.equal(said, as_recorded[name.partition("#")[0]]) == plain
