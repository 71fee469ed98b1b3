"""Batches drawn from manifests, and manifests of recordings that do not exist."""

from pathlib import Path
from typing import Any

from lhotse import CutSet
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul.corpora.items import Utterance
from sorigeul.corpora.lhotse_cuts import cut_line
from sorigeul.data import manifests
from sorigeul.data.config import WHOLE_BATCH, DataConfig, ProcessShare
from sorigeul.data.sampling import training_batches
from sorigeul.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary.from_texts(["가나다라"])


def loader(
    cuts: CutSet, seed: int = 0, share: ProcessShare = WHOLE_BATCH, **options: Any
) -> StatefulDataLoader:
    config = DataConfig(**{"batch_size": 4, "use_augment": False, **options})
    return training_batches(cuts, VOCABULARY, config, seed, share)


def sampled(batches: StatefulDataLoader, number: int = 0) -> list[CutSet]:
    """The cuts of every batch, whose audio is left alone."""
    batches.sampler.set_epoch(number)
    return list(batches.sampler)


def imagined(folder: Path, durations: list[float], text: str = "가나") -> CutSet:
    """A manifest of recordings that do not exist."""
    path = folder / "train.jsonl"
    lines = [
        cut_line(Utterance(f"c{number:04}", folder / "none.wav", text, duration=seconds), "plain/1")
        for number, seconds in enumerate(durations)
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return manifests.open_manifest(path)
