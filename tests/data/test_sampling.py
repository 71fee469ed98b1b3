"""Batches of real recordings: what is in them, in which order, and from where they go on."""

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
from helpers import tones
from helpers.cuts import VOCABULARY, imagined, loader, sampled
from lhotse import CutSet
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul.base.errors import UserError
from sorigeul.corpora.items import Utterance
from sorigeul.corpora.lhotse_cuts import cut_line
from sorigeul.data import manifests
from sorigeul.data.batches import Batch, Failure, is_augmented, longest_batch
from sorigeul.data.config import DataConfig, ProcessShare
from sorigeul.data.sampling import evaluation_batches, with_augmented_copies
from sorigeul.data.statistics import manifest_statistics, too_fast_for_ctc
from sorigeul.sound import audio


def epoch(batches: StatefulDataLoader, number: int = 0) -> list[list[str]]:
    """The ids of every batch."""
    batches.sampler.set_epoch(number)
    return [batch.ids for batch in batches]


def flat(batches: list[list[str]]) -> list[str]:
    return [each for batch in batches for each in batch]


@pytest.fixture
def cuts(corpus: Path) -> CutSet:
    return manifests.required_manifest(corpus, "train")


@pytest.fixture
def many(tmp_path: Path) -> CutSet:
    """A thousand utterances of 1 to 11 s."""
    return imagined(tmp_path, [1 + (37 * number % 1000) / 100 for number in range(1000)])


# What is in a batch


def test_a_batch_holds_each_recording_then_silence(cuts: CutSet) -> None:
    by_id = {cut.id: cut for cut in cuts}
    different_lengths = 0
    for batch in loader(cuts, pack_by_length=False):
        different_lengths += len(set(batch.lengths.tolist())) > 1
        assert batch.waveforms.shape == (len(batch), max(batch.lengths))
        for row, name in enumerate(batch.ids):
            samples = audio.load(by_id[name].recording.sources[0].source).samples
            length = int(batch.lengths[row])
            assert length == len(samples)
            assert torch.equal(batch.waveforms[row, :length], torch.from_numpy(samples))
            assert not batch.waveforms[row, length:].any()
    assert different_lengths > 3


def test_tokens_spell_the_text_then_padding(cuts: CutSet) -> None:
    said = {cut.id: cut.supervisions[0].text for cut in cuts}
    padded = 0
    for batch in loader(cuts, pack_by_length=False):
        assert batch.texts == [said[name] for name in batch.ids]
        assert batch.tokens.dtype == torch.long
        for row, text in enumerate(batch.texts):
            length = int(batch.token_lengths[row])
            assert batch.tokens[row, :length].tolist() == VOCABULARY.encode(text)
            padding = batch.tokens[row, length:].tolist()
            assert padding == [VOCABULARY.pad_id] * len(padding)
            padded += len(padding)
    assert padded


def test_characters_outside_the_vocabulary_are_left_out_of_tokens_not_of_text(
    tmp_path: Path,
) -> None:
    folder = tones.manifests(
        tmp_path, ["가힣나", "힣힣", "가", "나"], ["train", "train", "dev", "test"]
    )
    (batch,) = loader(manifests.required_manifest(folder, "train"))
    tokens = dict(zip(batch.texts, batch.tokens.tolist(), strict=True))
    assert tokens["가힣나"] == VOCABULARY.encode("가나")
    assert tokens["힣힣"] == [VOCABULARY.pad_id] * 2
    assert sorted(batch.token_lengths.tolist()) == [0, 2]


def test_moving_a_batch_keeps_all_of_it(cuts: CutSet) -> None:
    batch: Batch = next(iter(loader(cuts)))
    moved = batch.to(torch.device("meta"))
    assert {
        part.device.type for part in vars(moved).values() if isinstance(part, torch.Tensor)
    } == {"meta"}
    assert (moved.ids, moved.texts, moved.failures) == (batch.ids, batch.texts, batch.failures)
    assert moved.waveforms.shape == batch.waveforms.shape


# Augmented copies


@pytest.mark.parametrize("ratio", [0, 0.5, 1, 1.5, 2])
def test_copies_are_marked_and_join_the_plain_ones(many: CutSet, ratio: float) -> None:
    items = list(with_augmented_copies(many, ratio))
    plain = [cut.id for cut in items if not is_augmented(cut)]
    copies = [cut for cut in items if is_augmented(cut)]
    assert sorted(plain) == [cut.id for cut in many]
    assert len({cut.id for cut in items}) == len(items)
    of_each = Counter(cut.id.split("#")[0] for cut in copies)
    whole, part = divmod(ratio, 1)
    assert {of_each[name] for name in plain} == ({whole, whole + 1} if part else {whole})
    assert len(copies) == pytest.approx(1000 * ratio, abs=80 if part else 0)
    checksum = {name: zlib.crc32(name.encode()) / 2**32 for name in plain}
    assert [n for n in plain if of_each[n] > whole] == [n for n in plain if checksum[n] < part]


def test_plain_and_augmented_are_mixed(many: CutSet) -> None:
    items = list(with_augmented_copies(many, 1))
    assert 300 < sum(is_augmented(cut) for cut in items[:1000]) < 700


def test_every_epoch_augments_the_same_utterances(cuts: CutSet) -> None:
    batches = loader(cuts, use_augment=True, augment_ratio=0.5)
    chosen = []
    for number in (0, 1):
        batches.sampler.set_epoch(number)
        marked = {name for b in batches for name, m in zip(b.ids, b.augmented, strict=True) if m}
        chosen.append(marked)
    assert chosen[0] == chosen[1]
    assert all(name.endswith("#1") for name in chosen[0])
    assert 0 < len(chosen[0]) < 40


@pytest.mark.parametrize(("use_augment", "copies"), [(True, 1), (False, 0)])
def test_use_augment_decides_whether_there_are_copies(
    cuts: CutSet, use_augment: bool, copies: int
) -> None:
    batches = list(loader(cuts, use_augment=use_augment, augment_ratio=1.0))
    assert sum(map(len, batches)) == 40 * (1 + copies)
    assert sum(int(batch.augmented.sum()) for batch in batches) == 40 * copies
    assert DataConfig(use_augment=use_augment, augment_ratio=1.0).copies == 1 + copies


def test_a_copy_is_the_same_recording(cuts: CutSet) -> None:
    rows = {}
    for batch in loader(cuts, use_augment=True, augment_ratio=1.0):
        for row, name in enumerate(batch.ids):
            rows[name] = batch.waveforms[row, : batch.lengths[row]], batch.texts[row]
    for name in [name for name in rows if not name.endswith("#1")]:
        assert torch.equal(rows[name][0], rows[f"{name}#1"][0])
        assert rows[name][1] == rows[f"{name}#1"][1]


# Batches


def padding(batches: list[CutSet]) -> float:
    """The share of the samples that are padding."""
    longest = sum(len(batch) * max(cut.duration for cut in batch) for batch in batches)
    return 1 - sum(cut.duration for batch in batches for cut in batch) / longest


def test_pack_by_length_saves_padding_and_loses_nothing(many: CutSet) -> None:
    packed = sampled(loader(many, batch_size=8, pack_by_length=True))
    mixed = sampled(loader(many, batch_size=8, pack_by_length=False))
    assert padding(packed) < 0.1
    assert padding(mixed) > 0.3
    for batches in (packed, mixed):
        assert sorted(cut.id for batch in batches for cut in batch) == [cut.id for cut in many]


@pytest.mark.parametrize("pack_by_length", [True, False])
@pytest.mark.parametrize("size", [1, 3, 64])
def test_batch_size_is_never_exceeded(cuts: CutSet, pack_by_length: bool, size: int) -> None:
    sizes = [len(b) for b in sampled(loader(cuts, batch_size=size, pack_by_length=pack_by_length))]
    assert sum(sizes) == 40
    assert max(sizes) == min(size, 40) or pack_by_length
    assert max(sizes) <= size


def test_batch_seconds_counts_padding_and_replaces_batch_size(many: CutSet) -> None:
    batches = sampled(loader(many, batch_size=1, batch_seconds=60.0))
    assert sum(map(len, batches)) == 1000
    seconds = [len(batch) * max(cut.duration for cut in batch) for batch in batches]
    assert max(seconds) <= 60
    assert sorted(seconds)[len(seconds) // 2] > 40


def test_an_utterance_longer_than_batch_seconds_is_still_there(tmp_path: Path) -> None:
    cuts = imagined(tmp_path, [1.0, 1.0, 1.0, 9.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lhotse's, of such utterances
        batches = sampled(loader(cuts, batch_seconds=3.0))
    assert sorted(cut.id for batch in batches for cut in batch) == [cut.id for cut in cuts]


@pytest.mark.parametrize("pack_by_length", [True, False])
def test_epochs_differ_and_a_seed_repeats_them(cuts: CutSet, pack_by_length: bool) -> None:
    first = loader(cuts, seed=1, pack_by_length=pack_by_length)
    orders = [epoch(first, number) for number in (0, 1, 2)]
    again = loader(cuts, seed=1, pack_by_length=pack_by_length)
    assert [epoch(again, number) for number in (2, 0, 1)] == [orders[2], orders[0], orders[1]]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert epoch(loader(cuts, seed=2, pack_by_length=pack_by_length)) != orders[0]
    for order in orders:
        assert sorted(flat(order)) == sorted(cut.id for cut in cuts)


@pytest.mark.parametrize("size", [{"batch_size": 6}, {"batch_seconds": 30.0}])
@pytest.mark.parametrize("utterances", [1, 37, 40])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_out_what_one_would_draw(
    tmp_path: Path, utterances: int, processes: int, size: dict[str, Any]
) -> None:
    cuts = imagined(tmp_path, [1 + number % 7 for number in range(utterances)])
    of_each = {name: value / processes for name, value in size.items()}
    whole = given(loader(cuts, **size))
    shares = [
        given(loader(cuts, share=ProcessShare(rank, processes), **of_each))
        for rank in range(processes)
    ]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(flat(parts)) == sorted(batch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def given(batches: StatefulDataLoader) -> list[list[str]]:
    """The ids of what was to be read, of every batch: of `imagined` recordings nothing can be."""
    batches.sampler.set_epoch(3)
    return [[failure.id for failure in batch.failures] for batch in batches]


def test_a_process_reads_nothing_but_its_share(cuts: CutSet) -> None:
    whole = epoch(loader(cuts, batch_size=8))
    for rank in (0, 1):
        half = epoch(loader(cuts, share=ProcessShare(rank, 2)))
        assert half == [batch[rank::2] for batch in whole]
        sent = sampled(loader(cuts, share=ProcessShare(rank, 2)))
        assert [[cut.id for cut in batch] for batch in sent] == half, "a worker was sent more"


def test_all_processes_are_in_the_same_place(cuts: CutSet) -> None:
    states = []
    for rank in (0, 1):
        batches = loader(cuts, share=ProcessShare(rank, 2))
        rest = iter(batches)
        next(rest), next(rest)
        states.append(repr(batches.state_dict()))
    assert states[0] == states[1]


@pytest.mark.parametrize("pack_by_length", [True, False])
@pytest.mark.parametrize("utterances", [1, 2, 5, 19])
def test_a_handful_of_utterances_is_enough(
    tmp_path: Path, utterances: int, pack_by_length: bool
) -> None:
    cuts = imagined(tmp_path, [1.0 + number % 2 for number in range(utterances)])
    batches = sampled(loader(cuts, batch_size=2, pack_by_length=pack_by_length))
    assert sorted(cut.id for batch in batches for cut in batch) == [cut.id for cut in cuts]


def test_evaluation_reads_each_once_the_longest_first(many: CutSet) -> None:
    batches = list(evaluation_batches(many, VOCABULARY).sampler)
    durations = [cut.duration for batch in batches for cut in batch]
    assert durations == sorted(durations, reverse=True)
    assert sorted(cut.id for batch in batches for cut in batch) == [cut.id for cut in many]
    assert max(len(batch) * max(cut.duration for cut in batch) for batch in batches) <= 120


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_out_an_evaluation(tmp_path: Path, processes: int) -> None:
    cuts = imagined(tmp_path, [1 + number % 7 for number in range(100)])
    shares = [
        given(evaluation_batches(cuts, VOCABULARY, share=ProcessShare(rank, processes)))
        for rank in range(processes)
    ]
    assert sorted(flat(flat(shares))) == sorted(cut.id for cut in cuts)
    assert len({len(batches) for batches in shares}) == 1


@pytest.mark.parametrize("size", [{"batch_size": 6}, {"batch_seconds": 66.0}])
@pytest.mark.parametrize("processes", [1, 3])
def test_the_longest_batch_is_as_large_as_any_share(
    many: CutSet, processes: int, size: dict[str, Any]
) -> None:
    found = manifest_statistics(many)
    config = DataConfig(**size)
    longest = longest_batch(found.longest, found.most_characters, VOCABULARY, config, processes)
    assert longest.waveforms.shape == (len(longest), round(found.longest * 16_000))
    assert longest.token_lengths.tolist() == [found.most_characters] * len(longest)
    samples = [
        len(batch) * round(16_000 * max(cut.duration for cut in batch))
        for rank in range(processes)
        for batch in sampled(loader(many, share=ProcessShare(rank, processes), **size))
        if len(batch)
    ]
    # By seconds, a share may get one utterance of twenty more than its part.
    assert max(samples) <= longest.waveforms.numel() * (1.0 if "batch_size" in size else 1.1)
    assert longest.waveforms.numel() <= 1.1 * max(samples)


def test_a_worker_outlives_the_signal_that_stops_the_run(cuts: CutSet) -> None:
    """Torchrun and Slurm send it to all processes; the run would lose its way to a checkpoint."""
    batches = loader(cuts, num_workers=1)
    expected = epoch(loader(cuts))
    batches.sampler.set_epoch(0)
    rest = iter(batches)
    read = [next(rest).ids]
    (worker,) = multiprocessing.active_children()
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(worker.pid, number)
    assert read + [batch.ids for batch in rest] == expected


def test_evaluation_can_be_repeated(corpus: Path) -> None:
    cuts = manifests.required_manifest(corpus, "dev")
    batches = evaluation_batches(cuts, VOCABULARY)
    first = [batch.ids for batch in batches]
    assert sorted(flat(first)) == sorted(cut.id for cut in cuts)
    assert [batch.ids for batch in batches] == first
    assert not any(batch.augmented.any() for batch in batches)


# Going on


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("pack_by_length", [True, False])
def test_a_stopped_epoch_goes_on_where_it_was(
    cuts: CutSet, num_workers: int, pack_by_length: bool
) -> None:
    options: dict[str, Any] = {
        "use_augment": True,
        "augment_ratio": 0.5,
        "num_workers": num_workers,
        "pack_by_length": pack_by_length,
    }
    uninterrupted = loader(cuts, **options)
    whole = [epoch(uninterrupted, 1), epoch(uninterrupted, 2)]

    stopped = loader(cuts, **options)
    stopped.sampler.set_epoch(1)
    batches = iter(stopped)
    before = [next(batches).ids for _ in range(5)]
    state = copy.deepcopy(stopped.state_dict())
    del batches, stopped

    resumed = loader(cuts, **options)
    resumed.load_state_dict(state)
    assert before + epoch(resumed, 1) == whole[0]
    assert epoch(resumed, 2) == whole[1]


def test_the_position_holds_plain_values_only(cuts: CutSet, tmp_path: Path) -> None:
    batches = loader(cuts)
    rest = iter(batches)
    next(rest)
    torch.save(batches.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed = loader(cuts)
    resumed.load_state_dict(state)
    assert epoch(resumed) == [batch.ids for batch in rest]


# What cannot be read


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_bad_recording_is_named_and_the_others_survive(tmp_path: Path, num_workers: int) -> None:
    folder = tones.manifests(tmp_path, tones.texts(8), ["train"] * 6 + ["dev", "test"])
    (tmp_path / "audio" / "u01.wav").write_bytes(b"RIFF of some other kind")
    (tmp_path / "audio" / "u02.wav").unlink()
    (tmp_path / "audio" / "u03.wav").write_bytes(b"")
    batches = list(loader(manifests.required_manifest(folder, "train"), num_workers=num_workers))
    assert sorted(name for batch in batches for name in batch.ids) == [
        "u00.wav",
        "u04.wav",
        "u05.wav",
    ]
    failures = {one.id: one for batch in batches for one in batch.failures}
    assert sorted(failures) == ["u01.wav", "u02.wav", "u03.wav"]
    assert {name: one.text for name, one in failures.items()} == {
        f"u{number:02}.wav": tones.texts(6)[number] for number in (1, 2, 3)
    }
    assert "No such file" in failures["u02.wav"].reason
    assert "empty" in failures["u03.wav"].reason
    for one in failures.values():
        assert str(tmp_path / "audio" / one.id) in one.reason
        assert "\n" not in one.reason


def test_a_batch_of_bad_recordings_only_is_empty(tmp_path: Path) -> None:
    cuts = imagined(tmp_path, [1.0, 1.0])
    (batch,) = loader(cuts)
    assert len(batch) == 0
    assert batch.waveforms.shape == batch.tokens.shape == (0, 0)
    assert sorted(one.id for one in batch.failures) == ["c0000", "c0001"]
    assert all(isinstance(one, Failure) for one in batch.failures)


# Manifests


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_manifest_is_named_with_what_there_is(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder of manifests") as error:
        manifests.required_manifest(tmp_path / "nowhere", "train")
    assert str(tmp_path / "nowhere") in one_line(error)
    with pytest.raises(UserError, match=r"no manifest eval_clean\.jsonl") as error:
        manifests.required_manifest(corpus, "eval_clean")
    assert "dev, test, train" in one_line(error)
    assert "sorigeul prepare" in one_line(error)
    with pytest.raises(UserError, match="found: none"):
        manifests.required_manifest(tmp_path, "train")
    assert manifests.manifest(corpus, "eval_clean") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"audio,text\na.wav,hello\n",
        b'{"audio": "a.wav", "text": "hello"}\n',
        b"[1, 2]\n",
        b"null\n",
        b"\xff\xfe\x00\x01\x02",
        json.dumps(
            {
                "id": "c",
                "start": 0,
                "duration": 1,
                "channel": 0,
                "supervisions": [],
                "type": "MonoCut",
            }
        ).encode(),
    ],
    ids=["empty", "blank", "csv", "other-json", "list", "null", "binary", "no-supervision"],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match="empty or no manifest") as error:
        manifests.required_manifest(tmp_path, "train")
    assert str(path) in one_line(error)
    assert "sorigeul prepare" in one_line(error)


def test_a_manifest_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no manifest of cuts with text"):
        imagined(tmp_path, [1.0], text="")
    path = tmp_path / "train.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"text": ""', '"text": null'))
    assert "null" in path.read_text(encoding="utf-8")
    with pytest.raises(UserError, match="no manifest of cuts with text"):
        manifests.open_manifest(path)


def test_a_survey_counts_what_the_manifest_holds(cuts: CutSet) -> None:
    found = manifest_statistics(cuts)
    said = tones.texts(48)[8:]
    assert found.utterances == 40
    assert found.characters == Counter("".join(said))
    assert manifests.normalizer(cuts) == "plain/1"


def test_what_ctc_cannot_align_is_named_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    spoken = [("fits", "가나다", 0.3), ("fast", "가나다라", 0.3), ("twice", "가가나", 0.3)]
    path.write_text(
        "".join(
            cut_line(Utterance(name, tmp_path / "none.wav", text, duration=seconds), "plain/1")
            for name, text, seconds in spoken
        ),
        encoding="utf-8",
    )
    # At ten frames a second each has three; equal neighbours need a blank between them.
    found = dict(too_fast_for_ctc(manifests.open_manifest(path), VOCABULARY, 10.0))
    assert found == {
        "fast": "4 CTC frames needed for its text, 3 there",
        "twice": "4 CTC frames needed for its text, 3 there",
    }
    assert not list(too_fast_for_ctc(manifests.open_manifest(path), VOCABULARY, 100.0))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("batch_size", 0), ("batch_seconds", -1.0), ("augment_ratio", -0.5), ("num_workers", -1)],
)
def test_nonsense_is_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{setting} is {value:g}, but must") as error:
        DataConfig(**{setting: value})  # type: ignore[arg-type]
    one_line(error)


def test_a_manifest_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    imagined(tmp_path, [1.0, 2.0, 3.0])
    path = tmp_path / "train.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="cut off in its last line"):
        manifests.open_manifest(path)
