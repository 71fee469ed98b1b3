"""The report of an evaluation: one HTML file with figures, utterances to hear, and confusions.

It needs no network and nothing beside it. The same evaluation gives the same file, to the byte.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from lhotse import CutSet

from sorigeul.base.files import write_text
from sorigeul.base.html_page import render_page
from sorigeul.base.progress import progress_bar
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.evaluation.calibration import (
    expected_calibration_error,
    judged_words,
    reliability,
)
from sorigeul.evaluation.evaluate import Evaluation, RecognizedUtterance
from sorigeul.evaluation.judgement import INTERVAL_RATES, Judgement, compare
from sorigeul.evaluation.policies import POLICIES, Policy
from sorigeul.evaluation.reporting.aligned_errors import (
    Confusions,
    aligned_runs,
    wrong_words,
)
from sorigeul.evaluation.reporting.breakdowns import (
    Errors,
    by_speaker,
    by_value,
    histogram,
    utterance_rates,
)
from sorigeul.evaluation.reporting.excerpts import CLIP_SECONDS, attention, clip
from sorigeul.evaluation.scores import ERROR_RATES, TextPair
from sorigeul.evaluation.significance import SIGNIFICANT
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples
from sorigeul.text import jamo

log = logging.getLogger(__name__)

_WORST, _RANDOM = 20, 20  # utterances, whose sound is about 3 MB if all are as long as a clip
_CONFUSIONS, _WORDS, _SPEAKERS = 30, 30, 20
_DIGITS = 4


@dataclass(frozen=True)
class ReportedSystem:
    """A recogniser in a report."""

    name: str
    """as the user named it"""
    judgement: Judgement
    evaluation: Evaluation | None = None
    """what it recognised, if there is more of it than texts"""
    trained: str = ""
    """the day its training began; empty if it is not known"""
    calibrated: bool = False
    """whether its confidences are probabilities"""


@dataclass(frozen=True)
class ReportedData:
    """What the recognisers were judged on."""

    name: str
    """as the user named it"""
    split: str = ""
    """empty if the name says it"""
    cuts: CutSet | None = None
    """the utterances, of which some are heard in the report; None if there are only texts"""


def write_report(
    path: Path,
    systems: Sequence[ReportedSystem],
    data: ReportedData,
    headline: Policy,
    seed: int = 0,
) -> None:
    """Write the report of one or several recognisers on the same utterances.

    Scores, and the texts of the utterances, are of all `systems`; everything else is of the first.
    `headline` is the policy by which errors are counted and shown. `seed` draws the utterances that
    stand for all. Raises ValueError if the systems were not judged on the same utterances.
    """
    contents = _contents(systems, data, headline, seed)
    write_text(path, render_page("sorigeul.evaluation.reporting", contents))


def _contents(
    systems: Sequence[ReportedSystem], data: ReportedData, headline: Policy, seed: int
) -> dict[str, Any]:
    """Everything that the page shows, by name."""
    first = systems[0]
    pairs = first.judgement.pairs
    column = ERROR_RATES.index("cer_no_space")
    counts = first.judgement.by_policy[headline].counts
    errors: Errors = np.stack((counts.errors[:, column], counts.lengths[:, column]), axis=1)
    compared = [headline.compare(pair.reference, pair.hypothesis) for pair in pairs]
    confusions = Confusions()
    for texts in compared:
        confusions.add(texts.reference, texts.hypothesis)
    words = (headline.words(pair.reference, pair.hypothesis) for pair in pairs)
    recognized = _recognized(first)
    contents: dict[str, Any] = _rounded(
        {
            "version": version("sorigeul"),
            "data": {"name": data.name, "split": data.split},
            "systems": [_system(system) for system in systems],
            "comparisons": [
                compare(first.judgement, system.judgement, headline).to_json()
                for system in systems[1:]
            ],
            "significant": SIGNIFICANT,
            "policies": [
                {"name": str(policy), "kind": policy.name, "spaces": policy.spaces}
                for policy in POLICIES
            ],
            "headline": str(headline),
            "rates": INTERVAL_RATES,
            "resampled": {
                "unit": first.judgement.units.unit,
                "units": first.judgement.units.count,
            },
            "speakers": len({pair.speaker for pair in pairs} - {""}),
            "seconds": sum(one.seconds for one in recognized.values()),
            "histogram": histogram(errors),
            "groups": _groups(pairs, recognized, errors),
            "utterances": _utterances(systems, data, headline, errors, seed),
            "confusions": {
                "characters": [asdict(one) for one in confusions.most_frequent(_CONFUSIONS)],
                "letters": [
                    {
                        "position": position,
                        "letters": letters,
                        "counts": confusions.letters(position),
                    }
                    for position, letters in jamo.LETTERS.items()
                ],
            },
            "words": [asdict(word) for word in wrong_words(words, _WORDS)],
            "confidence": _confidence(first, recognized),
        }
    )
    return contents


def _recognized(system: ReportedSystem) -> dict[str, RecognizedUtterance]:
    """By their ids, the utterances that a system heard."""
    recognitions = [] if system.evaluation is None else system.evaluation.recognitions
    return {utterance.id: utterance for utterance in recognitions}


def _system(system: ReportedSystem) -> dict[str, Any]:
    by_policy = system.judgement.by_policy
    evaluation = system.evaluation
    return {
        "name": system.name,
        "trained": system.trained,
        "rtf": None if evaluation is None else evaluation.rtf,
        "unread": 0 if evaluation is None else len(evaluation.failures),
        "scores": {str(policy): score.to_json() for policy, score in by_policy.items()},
    }


def _groups(
    pairs: Sequence[TextPair], recognized: dict[str, RecognizedUtterance], errors: Errors
) -> dict[str, Any]:
    """The error rate by length, speaking rate, signal-to-noise ratio and speaker."""
    heard = [row for row, pair in enumerate(pairs) if pair.id in recognized]
    utterances = [recognized[pairs[row].id] for row in heard]
    lengths = errors[:, 1]
    rates = [
        lengths[row] / max(one.seconds, 0.01) for row, one in zip(heard, utterances, strict=True)
    ]
    ratios = [one.signal_to_noise for one in utterances if one.signal_to_noise is not None]
    with_ratio = [
        row for row, one in zip(heard, utterances, strict=True) if one.signal_to_noise is not None
    ]
    speakers = by_speaker([pair.speaker for pair in pairs], errors)
    return {
        "length": [asdict(group) for group in by_value(list(lengths), errors)],
        "speaking_rate": [asdict(group) for group in by_value(rates, errors[heard])],
        "signal_to_noise": [asdict(group) for group in by_value(ratios, errors[with_ratio])],
        "speaker": [asdict(group) for group in speakers[:_SPEAKERS]],
    }


def _utterances(
    systems: Sequence[ReportedSystem],
    data: ReportedData,
    headline: Policy,
    errors: Errors,
    seed: int,
) -> dict[str, Any]:
    """The worst utterances and some by chance, with what was recognised, sound and attention."""
    rates = utterance_rates(errors)
    rows = range(len(rates))
    worst = [row for row in sorted(rows, key=lambda row: -rates[row])[:_WORST] if rates[row] > 0]
    drawn = sorted(Random(seed).sample(rows, min(_RANDOM, len(rates))))
    shown = list(dict.fromkeys((*worst, *drawn)))
    pairs = systems[0].judgement.pairs
    sound = dict(_load({pairs[row].id for row in shown}, data.cuts))
    hypotheses = [
        {pair.id: pair.hypothesis for pair in system.judgement.pairs} for system in systems
    ]
    recognized = _recognized(systems[0])
    failures = {} if systems[0].evaluation is None else systems[0].evaluation.failures

    def utterance(row: int) -> dict[str, Any]:
        pair = pairs[row]
        one = recognized.get(pair.id)
        compared = [headline.compare(pair.reference, texts[pair.id]) for texts in hypotheses]
        samples = sound.get(pair.id)
        seconds = None if samples is None else len(samples) / SAMPLE_RATE
        return {
            "id": pair.id,
            "speaker": pair.speaker,
            "rate": rates[row] if isfinite(rates[row]) else None,
            "errors": int(errors[row, 0]),
            "length": int(errors[row, 1]),
            "seconds": seconds if one is None else one.seconds,
            "signal_to_noise": None if one is None else one.signal_to_noise,
            "unread": pair.id in failures,
            "runs": [
                aligned_runs(texts.reference, texts.hypothesis, headline.spaces)
                for texts in compared
            ],
            "clip": None if samples is None else clip(samples),
            "cut_off": seconds is not None and seconds > CLIP_SECONDS,
            "attention": None
            if one is None
            else attention(one.alignment, one.frame_spans, one.characters, one.seconds),
        }

    return {
        "shown": [utterance(row) for row in shown],
        "worst": [shown.index(row) for row in worst],
        "random": [shown.index(row) for row in drawn],
        "clip_seconds": CLIP_SECONDS,
    }


def _load(ids: set[str], cuts: CutSet | None) -> Iterator[tuple[str, Samples]]:
    """The sound of some utterances, of which those that cannot be read are left out."""
    if cuts is None:
        return
    with progress_bar("report", len(ids)) as advance:
        for cut in cuts:
            if cut.id in ids:
                try:
                    yield cut.id, load_cut_audio(cut)
                except AudioError as error:  # it counts as an error, and was warned of
                    log.debug("%s is not heard in the report: %s", cut.id, error)
                advance(1, "")


def _confidence(
    system: ReportedSystem, recognized: dict[str, RecognizedUtterance]
) -> dict[str, Any] | None:
    """Whether the confidences of the words can be believed; None if they have none."""
    confidences, corrects = judged_words(recognized.values())
    if not confidences:
        return None
    return {
        "calibrated": system.calibrated,
        "words": len(confidences),
        "correct": sum(corrects) / len(corrects),
        "mean": sum(confidences) / len(confidences),
        "error": expected_calibration_error(confidences, corrects),
        "bins": [asdict(part) for part in reliability(confidences, corrects)],
    }


def _rounded(content: Any) -> Any:
    """The same with numbers of four decimals, which is more than the page shows."""
    if isinstance(content, float):
        return round(content, _DIGITS)
    if isinstance(content, dict):
        return {name: _rounded(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return content
