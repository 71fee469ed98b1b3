"""Checks of a prepared corpus: ids, texts, lengths, recordings, and whether the report fits."""

import json
import logging
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from sorigeul.base.errors import UserError
from sorigeul.base.process_pool import map_in_order, with_progress
from sorigeul.corpora.corpus_files import REPORT
from sorigeul.corpora.counts import SplitCounts, summary
from sorigeul.corpora.report import overlap
from sorigeul.corpora.splits import EVALUATION_SPLITS
from sorigeul.data.cut_audio import read_archived
from sorigeul.prepared.corpus import Item, PreparedCorpus
from sorigeul.sound.audio import AudioError, probe

log = logging.getLogger(__name__)

_TOLERANCE = 0.05  # seconds by which a header and what is decoded may differ
_HOURS = 0.00015  # by which rounded hours may differ
_CHUNK_SIZE = 32  # recordings sent to a process at a time


@dataclass(frozen=True)
class CheckResult:
    """What is wrong with a corpus."""

    utterances: int
    overlap: str
    """what of dev and test is in train too; no fault, but worth knowing"""
    faults: Mapping[str, Sequence[str]]
    """ids, or what else is affected, by what is wrong"""

    def lines(self) -> Iterator[str]:
        """A line for each kind of fault, with the first five that have it."""
        for fault, names in self.faults.items():
            more = ", ..." if len(names) > 5 else ""
            yield f"{len(names):,} x {fault}: {', '.join(names[:5])}{more}"


def refuse_faults(corpus: PreparedCorpus, jobs: int) -> CheckResult:
    """Check a corpus, log a line for each kind of fault, and raise UserError if there is any."""
    result = check_corpus(corpus, jobs)
    for line in result.lines():
        log.warning("%s", line)
    if result.faults:
        faults = sum(map(len, result.faults.values()))
        raise UserError(
            f"{corpus.folder} has {faults:,} faults, named above: make it again with 'sorigeul "
            "prepare', or leave them out with 'sorigeul data filter --not_ids'"
        )
    return result


def check_corpus(corpus: PreparedCorpus, jobs: int) -> CheckResult:
    """Look at every cut, and at the header of every recording, with so many processes.

    Recordings in archives are decoded. Raises UserError for a manifest that cannot be read.
    """
    counts: dict[str, SplitCounts] = defaultdict(SplitCounts)
    faults: dict[str, list[str]] = defaultdict(list)
    split_of: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    normalizers: set[str] = set()
    for item in corpus:
        counts[item.split].add(item.utterance)
        normalizers.add(item.normalizer)
        for fault in _faults_of_text(item):
            faults[fault].append(item.id)
        first = split_of.setdefault(item.id, item.split)
        if (item.split, item.id) in seen:
            faults[f"id more than once in {item.split}"].append(item.id)
        elif first != item.split and not {first, item.split} <= {"test", *EVALUATION_SPLITS}:
            faults[f"id in {first} and in {item.split}"].append(item.id)
        seen.add((item.split, item.id))
    if len(normalizers) > 1:
        faults["texts that are not prepared alike"].append(" and ".join(sorted(normalizers)))
    if fault := _fault_of_report(corpus, summary(counts)):
        faults[fault].append(REPORT)
    utterances = sum(count.utterances for count in counts.values())
    looked_at = map_in_order(fault_of_recording, corpus, jobs, _CHUNK_SIZE, lambda item: item.id)
    with closing(with_progress(looked_at, "recordings", utterances)) as results:
        for item, fault in results:
            if fault:
                faults[fault].append(item.id)
    return CheckResult(utterances, overlap(counts)[0], faults)


def _faults_of_text(item: Item) -> Iterator[str]:
    if not item.text.strip():
        yield "empty text"
    if not unicodedata.is_normalized("NFC", item.text):
        yield "text that is not in NFC"
    if not item.duration > 0:
        yield "no length above 0"


def _fault_of_report(corpus: PreparedCorpus, splits: dict[str, dict[str, float]]) -> str:
    """The first thing of which the report says something else than the manifests."""
    path = corpus.folder / REPORT
    try:
        reported = json.loads(path.read_text(encoding="utf-8"))["splits"]
        if reported.keys() != splits.keys():
            return "report of other splits than there are"
        differing = (
            name
            for split, counts in splits.items()
            for name, count in counts.items()
            # An older report has fewer counts. Its hours are of lengths before they were rounded.
            if abs(reported[split].get(name, count) - count) > (_HOURS if name == "hours" else 0)
        )
        name = next(differing, "").replace("_", " ")
    except FileNotFoundError:
        return "no report"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "report that cannot be read"
    return f"report of other {name} than there are" if name else ""


def fault_of_recording(item: Item) -> str:
    """What is wrong with the recording of an utterance; empty if nothing is."""
    source = item.fields["recording"]["sources"][0]
    try:
        member = (item.fields.get("custom") or {}).get("member")
        if source["type"] == "shar" or member is not None:
            seconds = probe(*read_archived(item.id, source["source"], member))
        elif not item.audio.is_file():
            return "no recording"
        else:
            seconds = probe(item.audio)
    except (AudioError, OSError):
        return "recording that cannot be read"
    end = float(item.fields.get("start", 0)) + item.duration
    whole = item.fields["recording"].get("duration", seconds)
    if end > seconds + _TOLERANCE or abs(whole - seconds) > _TOLERANCE:
        return "recording of another length than the manifest says"
    return ""
