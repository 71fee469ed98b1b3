"""Several recognisers on the same utterances: their texts, and which one is best by how much.

The texts of each are kept in a file, so that an interrupted comparison goes on where it stopped.
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.base.progress import progress_bar
from sorigeul.base.tables import markdown_table
from sorigeul.data import manifests
from sorigeul.evaluation.engines.engine import Recognized, Utterance
from sorigeul.evaluation.engines.specification import NamedEngine, open_engines
from sorigeul.evaluation.engines.text_cache import TextCache
from sorigeul.evaluation.judgement import Judgement, compare, judge
from sorigeul.evaluation.policies import Policy, shown_policies
from sorigeul.evaluation.scores import TextPair, squeeze
from sorigeul.evaluation.significance import Comparison
from sorigeul.recognition.batching import length_batches

log = logging.getLogger(__name__)

_GROUP_SECONDS = 120.0  # of sound, with padding, that an engine is given at once
_NAMED_FAILURES = 5


@dataclass(frozen=True)
class EngineTexts:
    """What an engine made of all utterances."""

    name: str
    specification: str
    texts: dict[str, str]
    """by id"""
    failures: dict[str, str]
    """id of each utterance without a text, and the reason"""
    rtf: float | None
    """seconds of recognition for a second of sound; None if it is not known"""
    defect: str = ""
    """why the engine cannot be judged; empty if it can"""


def transcribe_all(
    engines: Sequence[str], cuts: CutSet, split: str, folder: Path
) -> list[EngineTexts]:
    """Open the engines, as `open_engines` does, and let one after another recognise `cuts`.

    Texts that `folder` holds of the same engine and the same utterances are taken from there, and
    new ones are added. An engine that fails does not raise: see `EngineTexts.defect`. Raises
    UserError if one cannot be opened, or if two utterances have one id, before any begins.
    """
    ids = Counter(cut.id for cut in cuts)
    if repeated := [id_ for id_, number in ids.items() if number > 1]:
        raise UserError(
            f"{len(repeated)} ids are of several utterances of the corpus, the first is "
            f"{repeated[0]}: give each utterance an id of its own"
        )
    return [transcribe(engine, cuts, folder) for engine in open_engines(engines, split)]


def transcribe(engine: NamedEngine, cuts: CutSet, folder: Path) -> EngineTexts:
    """Let an engine recognise the utterances of a manifest, the longest first."""
    utterances = [Utterance(cut) for cut in cuts]
    failures, defect = {}, ""
    with TextCache(folder / _cache_name(engine, utterances)) as cache:
        missing = [utterance for utterance in utterances if utterance.id not in cache.texts]
        done = len(utterances) - len(missing)
        try:
            with progress_bar(engine.name, len(utterances), done) as advance:
                for group in length_batches([one.seconds for one in missing], _GROUP_SECONDS):
                    for one in engine.engine.transcribe([missing[index] for index in group]):
                        if one.error:
                            failures[one.id] = one.error
                        else:
                            cache.add(one)
                        advance(1, "")
        except UserError as error:
            defect = str(error)
        recognized = dict(cache.texts)
    if not recognized and not defect:
        reason = next(iter(failures.values()), "")
        defect = f"fails on all {len(utterances):,} utterances, as in: {reason}"
    texts = {id_: one.text for id_, one in recognized.items()}
    rtf = _real_time_factor(utterances, recognized)
    return EngineTexts(engine.name, engine.specification, texts, failures, rtf, defect)


def _cache_name(engine: NamedEngine, utterances: Sequence[Utterance]) -> str:
    """Name of the file for what an engine makes of these utterances, wherever they are."""
    digest = hashlib.sha256(engine.engine.fingerprint.encode())
    for utterance in sorted(utterances, key=lambda utterance: utterance.id):
        digest.update(f"\n{utterance.id} {utterance.seconds}".encode("utf-8", "surrogatepass"))
    readable = re.sub(r"[^\w.-]+", "-", engine.specification).strip("-.")[-40:]
    return f"{readable}-{digest.hexdigest()[:16]}.jsonl"


def _real_time_factor(
    utterances: Sequence[Utterance], recognized: dict[str, Recognized]
) -> float | None:
    """Of those utterances whose time is known."""
    sound = recognition = 0.0
    for utterance in utterances:
        one = recognized.get(utterance.id)
        if one is not None and one.seconds is not None:
            sound += utterance.seconds
            recognition += one.seconds
    return recognition / sound if sound else None


@dataclass(frozen=True)
class JudgedEngine:
    """An engine and its scores."""

    output: EngineTexts
    judgement: Judgement
    against_best: dict[Policy, Comparison]
    """by the policies that are shown; empty for the best engine itself"""


class EngineComparison:
    """The scores of several engines on the same utterances."""

    engines: list[JudgedEngine]
    """the best first: the one with the highest CRR by the headline policy. Equals stay in order"""

    def __init__(self, outputs: Sequence[EngineTexts], cuts: CutSet, headline: Policy) -> None:
        """Judge the texts; those of engines with a defect do not count.

        Raises UserError if no reference has a character.
        """
        self.headline = headline
        self.shown = shown_policies(headline)
        self.defects = {one.name: one.defect for one in outputs if one.defect}
        normalizer = manifests.normalizer(cuts)
        references = [(cut.id, manifests.transcript(cut), manifests.speaker(cut)) for cut in cuts]
        judged = []
        for output in outputs:
            if output.defect:
                continue
            _warn_of_failures(output)
            pairs = [
                TextPair(id_, text, output.texts.get(id_, ""), speaker)
                for id_, text, speaker in references
            ]
            judged.append((output, judge(pairs, normalizer)))
        judged.sort(key=lambda one: -one[1].by_policy[headline].score.crr)
        self.engines = [
            JudgedEngine(
                output,
                judgement,
                {policy: compare(judged[0][1], judgement, policy) for policy in self.shown}
                if place
                else {},
            )
            for place, (output, judgement) in enumerate(judged)
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything by name, ready for `json.dumps`."""
        return {
            "policy": str(self.headline),
            "best": self.engines[0].output.name if self.engines else None,
            "engines": [
                {
                    "engine": one.output.name,
                    "specification": one.output.specification,
                    "rtf": one.output.rtf,
                    "failures": one.output.failures,
                    **one.judgement.to_json(self.headline),
                    "against_best": {
                        str(policy): comparison.to_json()
                        for policy, comparison in one.against_best.items()
                    },
                }
                for one in self.engines
            ],
            "defects": self.defects,
        }

    def table(self) -> str:
        """A Markdown table of all engines by two policies, and what it means in words."""
        rows = [[*_NAME_COLUMNS, *_NUMBER_COLUMNS]]
        for policy in self.shown:
            rows += [_row(one, policy) for one in self.engines]
        table = markdown_table(rows, names=len(_NAME_COLUMNS))
        return "\n".join([table, *self._notes(), *self._differences()]) + "\n"

    def _notes(self) -> Iterator[str]:
        units = self.engines[0].judgement.units
        for policy in self.shown:
            yield f"- {policy}: {policy.summary}" + ("" if policy.spaces else "; WER is sWER")
        yield f"- in brackets: 95 % intervals, from resamples of {units.count:,} {units.unit}s"
        yield "- RTF: seconds of recognition for a second of sound, here and now; – if not known"
        yield (
            "- p: how likely so large a difference from the best is by chance, for CRR and WER "
            "by a paired bootstrap, then by matched pairs of word errors; not corrected for the "
            "number of engines"
        )
        for one in self.engines:
            if one.output.failures:
                yield (
                    f"- {one.output.name} has no text for {len(one.output.failures):,} "
                    "utterances, which count as recognised as nothing"
                )
        for name, defect in self.defects.items():
            yield f"- not in the table: {name}, {defect}"

    def _differences(self) -> Iterator[str]:
        best = self.engines[0].output.name
        for one in self.engines[1:]:
            yield ""
            words = one.against_best[self.headline].in_words(best, one.output.name)
            yield from (f"- {line}" for line in words.splitlines())

    def texts(self) -> str:
        """Every utterance a line of tab-separated columns: id, reference, the text of each engine.

        The utterances are in the order of the manifest, the engines with the best first.
        """
        rows = [["id", "reference", *(one.output.name for one in self.engines)]]
        for pair in self.engines[0].judgement.pairs:
            heard = (one.output.texts.get(pair.id, "") for one in self.engines)
            rows.append([pair.id, *map(squeeze, (pair.reference, *heard))])
        return "".join("\t".join(row) + "\n" for row in rows)


_NAME_COLUMNS = ["policy", "engine"]
_NUMBER_COLUMNS = ["CRR (%)", "CER (%)", "WER (%)", "RTF", "p (CRR)", "p (WER)", "p (pairs)"]


def _row(one: JudgedEngine, policy: Policy) -> list[str]:
    score, rtf = one.judgement.by_policy[policy], one.output.rtf
    rates = []
    for name in ("crr", "cer", "wer"):
        rate = f"{getattr(score.score, name):.2f}"
        if name in score.intervals:
            low, high = score.intervals[name]
            rate += f" ({low:.1f} to {high:.1f})"
        rates.append(rate)
    chances = ["best", "", ""]
    if one.against_best:
        against = one.against_best[policy]
        chances = [_chance(test.p) for test in (against.crr, against.wer, against.matched_pairs)]
    speed = "–" if rtf is None else f"{rtf:.3f}"
    return [str(policy), one.output.name, *rates, speed, *chances]


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _warn_of_failures(output: EngineTexts) -> None:
    if not output.failures:
        return
    for id_, reason in list(output.failures.items())[:_NAMED_FAILURES]:
        log.warning("%s counts as recognised as nothing by %s: %s", id_, output.name, reason)
    more = len(output.failures) - _NAMED_FAILURES
    if more > 0:
        log.warning("and %d more by %s", more, output.name)
