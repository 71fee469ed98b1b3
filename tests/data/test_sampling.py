"""Sampling: augmented copies, batch sizes, order, shares of processes, resuming an epoch."""

import copy
import json
import multiprocessing
import os
import signal
import warnings
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.cuts import VOCABULARY, cuts_without_audio, ids_by_batch, loader, sampled_cuts
from lhotse import CutSet
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul.data import manifests
from sorigeul.data.batches import Batch, is_augmented
from sorigeul.data.config import DataConfig
from sorigeul.data.sampling import ProcessShare, evaluation_batches, with_augmented_copies


def flatten(lists: list[list[str]]) -> list[str]:
    return [item for items in lists for item in items]


# Augmented copies


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_mask_all_masks_the_utterances_too_but_not_in_plain_epochs(
    many_cuts: CutSet, ratio: float
) -> None:
    options = {"use_augment": True, "augment_ratio": ratio, "mask_all": True, "plain_epochs": 1}
    batches = loader(many_cuts, **options)
    for epoch, masked in ((0, False), (1, True)):
        items = [cut for cuts in sampled_cuts(batches, epoch) for cut in cuts]
        assert len(items) == 1000 * (1 + ratio)
        assert {is_augmented(cut) for cut in items} == {masked}


@pytest.mark.parametrize("ratio", [0, 0.5, 1, 1.5, 2])
def test_copies_are_marked_and_added_to_the_originals(many_cuts: CutSet, ratio: float) -> None:
    items = list(with_augmented_copies(many_cuts, ratio))
    originals = [cut.id for cut in items if not is_augmented(cut)]
    copies = [cut for cut in items if is_augmented(cut)]
    assert sorted(originals) == [cut.id for cut in many_cuts]
    assert len({cut.id for cut in items}) == len(items)
    counts = Counter(cut.id.split("#")[0] for cut in copies)
    whole, fraction = divmod(ratio, 1)
    expected_counts = {whole, whole + 1} if fraction else {whole}
    assert {counts[utterance_id] for utterance_id in originals} == expected_counts
    assert len(copies) == pytest.approx(1000 * ratio, abs=80 if fraction else 0)
    chosen = [
        utterance_id
        for utterance_id in originals
        if zlib.crc32(utterance_id.encode()) / 2**32 < fraction
    ]
    assert [utterance_id for utterance_id in originals if counts[utterance_id] > whole] == chosen


def test_originals_and_copies_are_mixed(many_cuts: CutSet) -> None:
    items = list(with_augmented_copies(many_cuts, 1))
    assert 300 < sum(is_augmented(cut) for cut in items[:1000]) < 700


def test_the_same_utterances_have_copies_in_every_epoch(cuts: CutSet) -> None:
    batches = loader(cuts, use_augment=True, augment_ratio=0.5)
    copies_by_epoch = []
    for epoch in (0, 1):
        batches.sampler.set_epoch(epoch)
        copies = {
            utterance_id
            for batch in batches
            for utterance_id, augmented in zip(batch.ids, batch.augmented, strict=True)
            if augmented
        }
        copies_by_epoch.append(copies)
    assert copies_by_epoch[0] == copies_by_epoch[1]
    assert all(utterance_id.endswith("#1") for utterance_id in copies_by_epoch[0])
    assert 0 < len(copies_by_epoch[0]) < 40


@pytest.mark.parametrize(("use_augment", "copies"), [(True, 1), (False, 0)])
def test_there_are_copies_only_with_use_augment(
    cuts: CutSet, use_augment: bool, copies: int
) -> None:
    batches = list(loader(cuts, use_augment=use_augment, augment_ratio=1.0))
    assert sum(map(len, batches)) == 40 * (1 + copies)
    assert sum(int(batch.augmented.sum()) for batch in batches) == 40 * copies
    config = DataConfig(use_augment=use_augment, augment_ratio=1.0)
    assert config.items_per_utterance == 1 + copies


def test_a_copy_has_the_same_recording_and_text(cuts: CutSet) -> None:
    rows = {}
    for batch in loader(cuts, use_augment=True, augment_ratio=1.0):
        for row, utterance_id in enumerate(batch.ids):
            rows[utterance_id] = batch.waveforms[row, : batch.lengths[row]], batch.texts[row]
    for utterance_id in [key for key in rows if not key.endswith("#1")]:
        waveform, text = rows[utterance_id]
        copied_waveform, copied_text = rows[f"{utterance_id}#1"]
        assert torch.equal(waveform, copied_waveform)
        assert text == copied_text


# Batch sizes


def padding_share(batches: list[CutSet]) -> float:
    """The share of the samples of all batches that is padding."""
    padded = sum(len(batch) * max(cut.duration for cut in batch) for batch in batches)
    return float(1 - sum(cut.duration for batch in batches for cut in batch) / padded)


def test_pack_by_length_saves_padding_and_loses_no_utterance(many_cuts: CutSet) -> None:
    packed = sampled_cuts(loader(many_cuts, batch_size=8, pack_by_length=True))
    mixed = sampled_cuts(loader(many_cuts, batch_size=8, pack_by_length=False))
    assert padding_share(packed) < 0.1
    assert padding_share(mixed) > 0.3
    for batches in (packed, mixed):
        assert sorted(cut.id for batch in batches for cut in batch) == [cut.id for cut in many_cuts]


@pytest.mark.parametrize("pack_by_length", [True, False])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batch_size_is_never_exceeded(cuts: CutSet, pack_by_length: bool, batch_size: int) -> None:
    batches = sampled_cuts(loader(cuts, batch_size=batch_size, pack_by_length=pack_by_length))
    sizes = [len(batch) for batch in batches]
    assert sum(sizes) == 40
    assert max(sizes) == min(batch_size, 40) or pack_by_length
    assert max(sizes) <= batch_size


def test_batch_seconds_includes_padding_and_replaces_batch_size(many_cuts: CutSet) -> None:
    batches = sampled_cuts(loader(many_cuts, batch_size=1, batch_seconds=60.0))
    assert sum(map(len, batches)) == 1000
    seconds = [len(batch) * max(cut.duration for cut in batch) for batch in batches]
    assert max(seconds) <= 60
    assert sorted(seconds)[len(seconds) // 2] > 40


def test_an_utterance_longer_than_batch_seconds_is_not_lost(tmp_path: Path) -> None:
    cuts = cuts_without_audio(tmp_path, [1.0, 1.0, 1.0, 9.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lhotse warns about such utterances
        batches = sampled_cuts(loader(cuts, batch_seconds=3.0))
    assert sorted(cut.id for batch in batches for cut in batch) == [cut.id for cut in cuts]


@pytest.mark.parametrize("pack_by_length", [True, False])
@pytest.mark.parametrize("utterances", [1, 2, 5, 19])
def test_a_few_utterances_are_enough(tmp_path: Path, utterances: int, pack_by_length: bool) -> None:
    cuts = cuts_without_audio(tmp_path, [1.0 + number % 2 for number in range(utterances)])
    batches = sampled_cuts(loader(cuts, batch_size=2, pack_by_length=pack_by_length))
    assert sorted(cut.id for batch in batches for cut in batch) == [cut.id for cut in cuts]


def test_the_sampler_holds_no_audio(archived_cuts: CutSet) -> None:
    """The audio of the twenty thousand utterances in its buffer would take two gigabytes."""
    for batch in loader(archived_cuts).sampler:
        for cut in batch:
            assert len(json.dumps(cut.to_dict())) < 1500


# Order


@pytest.mark.parametrize("pack_by_length", [True, False])
def test_epochs_differ_and_a_seed_repeats_them(cuts: CutSet, pack_by_length: bool) -> None:
    first = loader(cuts, seed=1, pack_by_length=pack_by_length)
    orders = [ids_by_batch(first, epoch) for epoch in (0, 1, 2)]
    again = loader(cuts, seed=1, pack_by_length=pack_by_length)
    repeated = [ids_by_batch(again, epoch) for epoch in (2, 0, 1)]
    assert repeated == [orders[2], orders[0], orders[1]]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert ids_by_batch(loader(cuts, seed=2, pack_by_length=pack_by_length)) != orders[0]
    for order in orders:
        assert sorted(flatten(order)) == sorted(cut.id for cut in cuts)


def test_evaluation_reads_each_utterance_once_the_longest_first(many_cuts: CutSet) -> None:
    batches = list(evaluation_batches(many_cuts, VOCABULARY).sampler)
    durations = [cut.duration for batch in batches for cut in batch]
    assert durations == sorted(durations, reverse=True)
    assert sorted(cut.id for batch in batches for cut in batch) == [cut.id for cut in many_cuts]
    assert max(len(batch) * max(cut.duration for cut in batch) for batch in batches) <= 120


def test_evaluation_can_be_repeated(corpus: Path) -> None:
    cuts = manifests.required_manifest(corpus, "dev")
    batches = evaluation_batches(cuts, VOCABULARY)
    first = [batch.ids for batch in batches]
    assert sorted(flatten(first)) == sorted(cut.id for cut in cuts)
    assert [batch.ids for batch in batches] == first
    assert not any(batch.augmented.any() for batch in batches)


# Several processes


def failed_ids_by_batch(batches: StatefulDataLoader, epoch: int = 3) -> list[list[str]]:
    """The ids of the cuts without audio that a process was to load, for every batch of an epoch."""
    batches.sampler.set_epoch(epoch)
    return [[failure.id for failure in batch.failures] for batch in batches]


@pytest.mark.parametrize("size", [{"batch_size": 6}, {"batch_seconds": 30.0}])
@pytest.mark.parametrize("utterances", [1, 37, 40])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_batches_of_one_process(
    tmp_path: Path, utterances: int, processes: int, size: dict[str, Any]
) -> None:
    cuts = cuts_without_audio(tmp_path, [1 + number % 7 for number in range(utterances)])
    size_per_process = {name: value / processes for name, value in size.items()}
    whole_batches = failed_ids_by_batch(loader(cuts, **size))
    shares_by_process = [
        failed_ids_by_batch(loader(cuts, share=ProcessShare(rank, processes), **size_per_process))
        for rank in range(processes)
    ]
    for batch, *shares in zip(whole_batches, *shares_by_process, strict=True):
        assert sorted(flatten(shares)) == sorted(batch)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_process_loads_only_its_share(cuts: CutSet) -> None:
    whole_batches = ids_by_batch(loader(cuts, batch_size=8))
    for rank in (0, 1):
        share = ids_by_batch(loader(cuts, share=ProcessShare(rank, 2)))
        assert share == [batch[rank::2] for batch in whole_batches]
        sent = sampled_cuts(loader(cuts, share=ProcessShare(rank, 2)))
        assert [[cut.id for cut in batch] for batch in sent] == share, "a worker was sent more"


def test_all_processes_have_the_same_position(cuts: CutSet) -> None:
    positions = []
    for rank in (0, 1):
        batches = loader(cuts, share=ProcessShare(rank, 2))
        iterator = iter(batches)
        next(iterator), next(iterator)
        positions.append(repr(batches.state_dict()))
    assert positions[0] == positions[1]


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_an_evaluation(tmp_path: Path, processes: int) -> None:
    cuts = cuts_without_audio(tmp_path, [1 + number % 7 for number in range(100)])
    loaders = [
        evaluation_batches(cuts, VOCABULARY, share=ProcessShare(rank, processes))
        for rank in range(processes)
    ]
    ids_by_process = [failed_ids_by_batch(batches) for batches in loaders]
    loaded = [utterance_id for batches in ids_by_process for utterance_id in flatten(batches)]
    assert sorted(loaded) == sorted(cut.id for cut in cuts)
    assert len({len(batches) for batches in ids_by_process}) == 1


# Interruptions


def test_a_worker_survives_the_signal_that_stops_the_run(cuts: CutSet) -> None:
    """Torchrun and Slurm signal all processes; without workers a run could not end its step."""
    batches = loader(cuts, num_workers=1)
    expected = ids_by_batch(loader(cuts))
    batches.sampler.set_epoch(0)
    iterator = iter(batches)
    loaded = [next(iterator).ids]
    (worker,) = multiprocessing.active_children()
    assert worker.pid
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        os.kill(worker.pid, signal_number)
    assert loaded + [batch.ids for batch in iterator] == expected


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("pack_by_length", [True, False])
def test_a_stopped_epoch_resumes_at_its_position(
    cuts: CutSet, num_workers: int, pack_by_length: bool
) -> None:
    options: dict[str, Any] = {
        "use_augment": True,
        "augment_ratio": 0.5,
        "num_workers": num_workers,
        "pack_by_length": pack_by_length,
    }
    uninterrupted = loader(cuts, **options)
    expected = [ids_by_batch(uninterrupted, 1), ids_by_batch(uninterrupted, 2)]

    stopped = loader(cuts, **options)
    stopped.sampler.set_epoch(1)
    iterator = iter(stopped)
    before = [next(iterator).ids for _ in range(5)]
    state = copy.deepcopy(stopped.state_dict())
    del iterator, stopped

    resumed = loader(cuts, **options)
    resumed.load_state_dict(state)
    assert before + ids_by_batch(resumed, 1) == expected[0]
    assert ids_by_batch(resumed, 2) == expected[1]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("pack_by_length", [True, False])
def test_a_stopped_epoch_of_archives_resumes_with_equal_tensors(
    prepared: Path, num_workers: int, pack_by_length: bool
) -> None:
    options: dict[str, Any] = {
        "use_augment": True,
        "augment_ratio": 0.5,
        "num_workers": num_workers,
        "pack_by_length": pack_by_length,
    }

    def new_loader() -> StatefulDataLoader:
        return loader(manifests.required_manifest(prepared / "archives", "train"), **options)

    uninterrupted = new_loader()
    ids_by_batch(uninterrupted, 0)
    uninterrupted.sampler.set_epoch(1)
    expected: list[Batch] = list(uninterrupted)

    stopped = new_loader()
    stopped.sampler.set_epoch(1)
    iterator = iter(stopped)
    for _ in range(17):
        next(iterator)
    state = copy.deepcopy(stopped.state_dict())
    del iterator, stopped

    resumed = new_loader()
    resumed.sampler.set_epoch(1)
    resumed.load_state_dict(state)
    remaining = list(resumed)
    assert len(remaining) == len(expected) - 17 > 20
    for batch, expected_batch in zip(remaining, expected[17:], strict=True):
        assert (batch.ids, batch.texts) == (expected_batch.ids, expected_batch.texts)
        assert batch.failures == expected_batch.failures == []
        for name, value in vars(batch).items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, vars(expected_batch)[name]), name
    assert ids_by_batch(resumed, 2) == ids_by_batch(uninterrupted, 2)


def test_the_saved_position_is_loadable_without_unpickling_objects(
    cuts: CutSet, tmp_path: Path
) -> None:
    batches = loader(cuts)
    iterator = iter(batches)
    next(iterator)
    torch.save(batches.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed = loader(cuts)
    resumed.load_state_dict(state)
    assert ids_by_batch(resumed) == [batch.ids for batch in iterator]
