"""Robustness: the error rates of a model on degraded copies of a corpus."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lhotse import CutSet

from sorigeul.base.progress import progress_bar
from sorigeul.base.tables import markdown_table
from sorigeul.data import manifests
from sorigeul.data.babble import load_voices
from sorigeul.data.batches import Batch
from sorigeul.data.sampling import evaluation_batches
from sorigeul.evaluation.scores import score
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.transcription import Transcription
from sorigeul.sound.degradations import Degradation

_RATES = ("crr", "cer", "wer")


def degraded_scores(
    recognizer: Recognizer, cuts: CutSet, degradations: Sequence[Degradation]
) -> dict[str, dict[str, float]]:
    """The error rates in % under each degradation, by its name.

    Every utterance is degraded in the same way at every call. Babble is made of utterances of the
    corpus itself.
    """
    voices = load_voices(cuts, seed=0) if any(one.needs_voices for one in degradations) else []
    return {
        str(degradation): _rates(recognizer, cuts, replace(degradation, voices=voices))
        for degradation in degradations
    }


def _rates(recognizer: Recognizer, cuts: CutSet, degradation: Degradation) -> dict[str, float]:
    references: list[str] = []
    hypotheses: list[str] = []

    def transcribe(batch: Batch) -> tuple[Batch, list[Transcription]]:
        rows = zip(batch.ids, batch.rows(), strict=True)
        degraded = [degradation.apply(row, id_) for id_, row in rows]
        return batch, recognizer.transcribe_samples(degraded)

    batches = evaluation_batches(cuts, recognizer.pretrained.vocabulary)
    with (
        progress_bar(str(degradation), sum(1 for _ in cuts)) as advance,
        recognizer.threads() as threads,
    ):
        for batch, transcriptions in threads.map(transcribe, batches):
            references += [*batch.texts, *(failure.text for failure in batch.failures)]
            hypotheses += [transcription.text for transcription in transcriptions]
            hypotheses += [""] * len(batch.failures)
            advance(len(batch) + len(batch.failures), "")
    rates: dict[str, Any] = score(references, hypotheses, manifests.normalizer(cuts)).to_json()
    return {name: rates[name] for name in _RATES}


def robustness_table(results: dict[str, Any]) -> str:
    """A Markdown table of `degraded_scores` under "degraded", below the rates as recorded."""
    header = ["degradation", *(f"{rate.upper()} (%)" for rate in _RATES)]
    rows = [
        [name, *(f"{rates[rate]:.2f}" for rate in _RATES)]
        for name, rates in {"as recorded": results, **results["degraded"]}.items()
    ]
    return markdown_table([header, *rows])
