"""Loaders with small batches, and cuts whose recordings do not exist."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lhotse import CutSet
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul.corpora.lhotse_cuts import cut_line
from sorigeul.corpora.utterances import Utterance
from sorigeul.data import manifests
from sorigeul.data.config import DataConfig
from sorigeul.data.sampling import WHOLE_BATCH, ProcessShare, training_batches
from sorigeul.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary.from_texts(["가나다라"])


def loader(
    cuts: CutSet, seed: int = 0, share: ProcessShare = WHOLE_BATCH, **options: Any
) -> StatefulDataLoader:
    """Training batches of four utterances without augmented copies, unless `options` differ."""
    config = DataConfig(**{"batch_size": 4, "use_augment": False, **options})
    return training_batches(cuts, VOCABULARY, config, seed, share)


def ids_by_batch(batches: StatefulDataLoader, epoch: int = 0) -> list[list[str]]:
    """The utterance ids of every batch of an epoch."""
    batches.sampler.set_epoch(epoch)
    return [batch.ids for batch in batches]


def sampled_cuts(batches: StatefulDataLoader, epoch: int = 0) -> list[CutSet]:
    """The cuts of every batch of an epoch, without loading their audio."""
    batches.sampler.set_epoch(epoch)
    return list(batches.sampler)


def cuts_without_audio(
    folder: Path, durations: Sequence[float], texts: Sequence[str] = ()
) -> CutSet:
    """A manifest of recordings that do not exist, with ids from c0000 on. Default text: 가나."""
    path = folder / "train.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number, seconds in enumerate(durations):
            text = texts[number] if texts else "가나"
            utterance = Utterance(f"c{number:04}", folder / "none.wav", text, duration=seconds)
            file.write(cut_line(utterance, "plain/1"))
    return manifests.open_manifest(path)
