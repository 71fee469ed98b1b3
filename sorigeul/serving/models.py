"""The models that are served, by name, each with its batch queue."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sorigeul.base.errors import UserError
from sorigeul.base.memory import FreedMemory
from sorigeul.recognition.overlaps import RecognizedSegment
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.search.options import Precision, SearchRequest
from sorigeul.search.terms import Terms
from sorigeul.serving.batch_queue import BatchQueue, TermList
from sorigeul.serving.metrics import Metrics
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.segments import SpeechSegment

_BATCH_SECONDS = 60.0  # short utterances: larger batches are slower to wait for, and no quicker
_KEPT_TERMS = 8  # lists of terms whose automata are kept; one may have 25 MB


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model under the name that clients call it by."""

    name: str
    recognizer: Recognizer
    queue: BatchQueue
    created: int
    """when it was loaded, in seconds since 1970"""
    written: bool = False
    """whether clients get numbers, units and letters in digits and signs"""


def served_name(run: str) -> str:
    """The name of a model: that of its folder, or the last part of its Hugging Face id."""
    path = Path(run)
    return path.resolve().name if path.is_dir() else path.name


def load_recognizers(
    runs: Sequence[str], precision: Precision, search: SearchRequest
) -> dict[str, Recognizer]:
    """Load models and compute something with each, so that the first request need not wait.

    Raises UserError if one cannot be loaded, and if two have one name.
    """
    names = [served_name(run) for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two models have the name {name}: rename the folder of one")
    recognizers = {}
    for name, run in zip(names, runs, strict=True):
        recognizer = Recognizer.from_pretrained(run, precision=precision, request=search)
        noise = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE).astype(np.float32)
        recognizer.recognize([SpeechSegment(noise, 0, SAMPLE_RATE)])
        recognizers[name] = recognizer
    return recognizers


def serve_models(
    recognizers: Mapping[str, Recognizer], metrics: Metrics, written: bool = False
) -> dict[str, ServedModel]:
    """Start a batch queue for each model; `written` is that of `ServedModel`."""
    return {
        name: ServedModel(
            name,
            recognizer,
            BatchQueue(
                _Batches(recognizer),
                max(recognizer.batch_seconds, _BATCH_SECONDS),
                metrics.of_model(name),
                name,
                recognizer.threads().count,
            ),
            int(time.time()),
            written,
        )
        for name, recognizer in recognizers.items()
    }


class _Batches:
    """Recognises batches with the terms that they ask for, beside those of the server."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._with_terms = lru_cache(maxsize=_KEPT_TERMS)(self._make)
        self._freed_memory = FreedMemory(seconds=10)

    def __call__(
        self, segments: Sequence[SpeechSegment], terms: TermList
    ) -> list[RecognizedSegment]:
        recognizer = self._with_terms(terms) if terms else self._recognizer
        recognized = recognizer.recognize(segments)
        self._freed_memory.give_back_in_time()
        return recognized

    def _make(self, terms: TermList) -> Recognizer:
        own = self._recognizer.setup.terms
        weights = {**(own.weights if own else {}), **dict(terms)}
        vocabulary = self._recognizer.pretrained.vocabulary
        return self._recognizer.with_terms(Terms.from_terms(list(weights.items()), vocabulary))
