"""Contents of a batch: waveforms, tokens, failures; and the batch that tests the memory."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tones
from helpers.cuts import VOCABULARY, cuts_without_audio, loader, sampled_cuts
from lhotse import CutSet

from sorigeul.data import manifests
from sorigeul.data.batches import Batch, Failure, in_groups, longest_batch
from sorigeul.data.config import DataConfig
from sorigeul.data.sampling import ProcessShare
from sorigeul.data.statistics import manifest_statistics
from sorigeul.sound import audio


def test_each_row_is_a_recording_padded_with_zeros(cuts: CutSet) -> None:
    by_id = {cut.id: cut for cut in cuts}
    batches_with_padding = 0
    for batch in loader(cuts, pack_by_length=False):
        batches_with_padding += len(set(batch.lengths.tolist())) > 1
        assert batch.waveforms.shape == (len(batch), max(batch.lengths))
        for row, utterance_id in enumerate(batch.ids):
            samples = audio.load(by_id[utterance_id].recording.sources[0].source).samples
            length = int(batch.lengths[row])
            assert length == len(samples)
            assert torch.equal(batch.waveforms[row, :length], torch.from_numpy(samples))
            assert not batch.waveforms[row, length:].any()
    assert batches_with_padding > 3


def test_tokens_are_the_text_followed_by_padding(cuts: CutSet) -> None:
    texts = {cut.id: cut.supervisions[0].text for cut in cuts}
    padding_tokens = 0
    for batch in loader(cuts, pack_by_length=False):
        assert batch.texts == [texts[utterance_id] for utterance_id in batch.ids]
        assert batch.tokens.dtype == torch.long
        for row, text in enumerate(batch.texts):
            length = int(batch.token_lengths[row])
            assert batch.tokens[row, :length].tolist() == VOCABULARY.encode(text)
            padding = batch.tokens[row, length:].tolist()
            assert padding == [VOCABULARY.pad_id] * len(padding)
            padding_tokens += len(padding)
    assert padding_tokens


def test_unknown_characters_are_in_the_text_but_not_in_the_tokens(tmp_path: Path) -> None:
    texts = ["가힣나", "힣힣", "가", "나"]
    folder = tones.manifests(tmp_path, texts, ["train", "train", "dev", "test"])
    (batch,) = loader(manifests.required_manifest(folder, "train"))
    tokens = dict(zip(batch.texts, batch.tokens.tolist(), strict=True))
    assert tokens["가힣나"] == VOCABULARY.encode("가나")
    assert tokens["힣힣"] == [VOCABULARY.pad_id] * 2
    assert sorted(batch.token_lengths.tolist()) == [0, 2]


def test_moving_a_batch_to_a_device_keeps_all_of_it(cuts: CutSet) -> None:
    batch: Batch = next(iter(loader(cuts)))
    moved = batch.to(torch.device("meta"))
    tensors = [value for value in vars(moved).values() if isinstance(value, torch.Tensor)]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert (moved.ids, moved.texts, moved.failures) == (batch.ids, batch.texts, batch.failures)
    assert moved.waveforms.shape == batch.waveforms.shape


def test_groups_contain_all_batches_in_order(cuts: CutSet) -> None:
    batches = list(loader(cuts))[:7]
    groups = list(in_groups(batches, 3))
    assert [len(group) for group in groups] == [3, 3, 1]
    assert [batch.ids for group in groups for batch in group] == [batch.ids for batch in batches]


# Recordings that cannot be read


@pytest.mark.parametrize("num_workers", [0, 1])
def test_unreadable_recordings_are_reported_and_the_others_loaded(
    tmp_path: Path, num_workers: int
) -> None:
    folder = tones.manifests(tmp_path, tones.texts(8), ["train"] * 6 + ["dev", "test"])
    recordings = tmp_path / "audio"
    (recordings / "u01.wav").write_bytes(b"RIFF of some other kind")
    (recordings / "u02.wav").unlink()
    (recordings / "u03.wav").write_bytes(b"")
    batches = list(loader(manifests.required_manifest(folder, "train"), num_workers=num_workers))
    loaded = sorted(utterance_id for batch in batches for utterance_id in batch.ids)
    assert loaded == ["u00.wav", "u04.wav", "u05.wav"]
    failures = {failure.id: failure for batch in batches for failure in batch.failures}
    assert sorted(failures) == ["u01.wav", "u02.wav", "u03.wav"]
    assert {utterance_id: failure.text for utterance_id, failure in failures.items()} == {
        f"u{number:02}.wav": tones.texts(6)[number] for number in (1, 2, 3)
    }
    assert "No such file" in failures["u02.wav"].reason
    assert "empty" in failures["u03.wav"].reason
    for failure in failures.values():
        assert str(recordings / failure.id) in failure.reason
        assert "\n" not in failure.reason


def test_a_batch_of_unreadable_recordings_is_empty(tmp_path: Path) -> None:
    cuts = cuts_without_audio(tmp_path, [1.0, 1.0])
    (batch,) = loader(cuts)
    assert len(batch) == 0
    assert batch.waveforms.shape == batch.tokens.shape == (0, 0)
    assert sorted(failure.id for failure in batch.failures) == ["c0000", "c0001"]
    assert all(isinstance(failure, Failure) for failure in batch.failures)


# The longest batch


@pytest.mark.parametrize("size", [{"batch_size": 6}, {"batch_seconds": 66.0}])
@pytest.mark.parametrize("processes", [1, 3])
def test_the_longest_batch_is_as_large_as_any_that_a_process_loads(
    many_cuts: CutSet, processes: int, size: dict[str, Any]
) -> None:
    statistics = manifest_statistics(many_cuts)
    seconds, characters = statistics.longest, statistics.most_characters
    longest = longest_batch(seconds, characters, VOCABULARY, DataConfig(**size), processes)
    assert longest.waveforms.shape == (len(longest), round(seconds * 16_000))
    assert longest.token_lengths.tolist() == [characters] * len(longest)
    samples = [
        len(batch) * round(16_000 * max(cut.duration for cut in batch))
        for rank in range(processes)
        for batch in sampled_cuts(loader(many_cuts, share=ProcessShare(rank, processes), **size))
        if len(batch)
    ]
    # By seconds, a process may load one utterance of twenty more than its share.
    assert max(samples) <= longest.waveforms.numel() * (1.0 if "batch_size" in size else 1.1)
    assert longest.waveforms.numel() <= 1.1 * max(samples)
