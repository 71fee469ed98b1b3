"""Robustness: the error rates of a model on degraded copies of a corpus."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lhotse import CutSet

from sorigeul.data import manifests
from sorigeul.data.babble import load_voices
from sorigeul.data.sampling import evaluation_batches
from sorigeul.evaluation.evaluate import evaluate
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.sound.degradations import Degradation

_RATES = ("crr", "cer", "wer")


def degraded_scores(
    recognizer: Recognizer, cuts: CutSet, degradations: Sequence[Degradation]
) -> dict[str, dict[str, float]]:
    """The error rates in % under each degradation, by its name.

    Every utterance is degraded in the same way at every call. Babble is made of utterances of the
    corpus itself.
    """
    normalizer = manifests.normalizer(cuts)
    voices = load_voices(cuts, seed=0)
    total = sum(1 for _ in cuts)
    scores = {}
    for degradation in degradations:
        batches = evaluation_batches(cuts, recognizer.pretrained.vocabulary)
        evaluation = evaluate(
            recognizer, batches, normalizer, total, replace(degradation, voices=voices)
        )
        rates: dict[str, Any] = evaluation.score.to_json()
        scores[str(degradation)] = {name: rates[name] for name in _RATES}
    return scores


def robustness_table(results: dict[str, Any]) -> str:
    """A Markdown table of `degraded_scores` under "degraded", below the rates as recorded."""
    lines = ["| degradation | CRR (%) | CER (%) | WER (%) |", "| --- | ---: | ---: | ---: |"]
    for name, rates in {"as recorded": results, **results["degraded"]}.items():
        columns = " | ".join(f"{rates[rate]:.2f}" for rate in _RATES)
        lines.append(f"| {name} | {columns} |")
    return "\n".join(lines) + "\n"
