"""The report of `prepare`, as written to ``report.json``, and its warnings."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sorigeul.base.records import read_object
from sorigeul.corpora.archives import UnreadableRecording
from sorigeul.corpora.corpus_files import REPORT
from sorigeul.corpora.counts import SplitCounts, compare_with_published
from sorigeul.corpora.json_text import to_json
from sorigeul.corpora.reading import CorpusContents
from sorigeul.corpora.sound_faults import KINDS
from sorigeul.corpora.splits import NEGLIGIBLE_SHARE
from sorigeul.corpora.utterances import FaultyRecording, Rejected

DERIVED = "prepared corpora"
"""the layout of a corpus that was made of others"""


@dataclass(frozen=True)
class Report:
    """What ``prepare`` did. ``report.json`` has the same fields under the same names."""

    corpus: str
    overlap: str
    """what of dev and test is in train too; the first thing to know of an error rate"""
    leaks: bool
    """whether that is so much that error rates say little about other speakers and sentences"""
    source: str | None
    layout: str
    normalizer: str
    """name and version"""
    seed: int
    options: Mapping[str, Any]
    split_by: str
    """how dev and test were drawn, see `SplitAssignment`"""
    total: Mapping[str, float]
    """usable ``utterances``, ``hours`` and ``speakers`` of the whole corpus"""
    splits: Mapping[str, Mapping[str, float]]
    published: Mapping[str, Mapping[str, Mapping[str, float]]]
    """``published`` and ``found`` of each count, by the corpus's own split or for ``all``"""
    sentence_ends: Mapping[str, int]
    """how many transcripts end with a ``full_stop`` and how many with a ``word``"""
    invisible_characters: Mapping[str, int]
    """how many of each were removed, by code point and name, the most frequent first"""
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    sound: Mapping[str, Sequence[FaultyRecording]] | None = None
    """recordings that are used although their sound is suspect, by the kind of their fault; None if
    the sound was not looked at"""
    corpora: tuple[str, ...] = ()
    """names in the catalog of the corpora whose utterances these are; none if that is not known"""

    def to_json(self) -> str:
        """Return the report as indented JSON that ends in a newline."""
        return to_json(asdict(self), indent=2) + "\n"


@dataclass(frozen=True)
class ReportedContents:
    """What a report says of the utterances of a corpus, for whoever trains on it."""

    corpora: tuple[str, ...] = ()
    """as in `Report`"""
    splits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """``utterances``, ``hours`` and ``speakers`` of each; no speakers if none is named"""


def read_contents(folder: Path) -> ReportedContents:
    """What the report of a prepared corpus says of its utterances; nothing if there is no report.

    An older one names the corpus that it was read from, if it was.
    """
    try:
        report = read_object(folder / REPORT)
        names = report.get("corpora") or ([] if report["layout"] == DERIVED else [report["corpus"]])
        splits = {
            split: {name: float(counts[name]) for name in ("utterances", "hours", "speakers")}
            for split, counts in report["splits"].items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ReportedContents()
    return ReportedContents(tuple(map(str, names)), splits)


def warnings(
    contents: CorpusContents,
    split_by: str,
    counts: Mapping[str, SplitCounts],
    unreadable: Collection[UnreadableRecording],
    unwanted: Collection[str] = (),
) -> Iterator[str]:
    """Yield the warnings of a report.

    ``counts`` are those of the splits as written; ``unreadable`` are the recordings that could not
    be decoded for the archives; ``unwanted`` are the splits that nobody asked for.
    """
    yield from _unpublished_counts(contents)
    if contents.odd_sized:
        yield (
            f"{len(contents.odd_sized)} .pcm with an odd byte at the end, which is dropped: "
            f"{_first_few(contents.odd_sized)}"
        )
    if contents.invisible:
        signs = [f"{n:,} U+{ord(sign):04X}" for sign, n in contents.invisible.most_common(5)]
        yield (
            f"{len(contents.with_invisible):,} transcripts had characters that nobody sees, which "
            f"were removed ({', '.join(signs)}): {_first_few(contents.with_invisible)}"
        )
    if contents.with_marks:
        kinds = ", ".join(f"{mark} in {n:,}" for mark, n in contents.marks.most_common())
        yield (
            f"{len(contents.with_marks):,} transcripts hold marks of AI Hub's transcription rules "
            f"({kinds}), which become characters to learn; prepare table --text pronunciation (or "
            "spelling) reads )/( b/ + and *, a description for prepare aihub reads any: "
            f"{_first_few(contents.with_marks)}"
        )
    yield from _mixed_punctuation(contents)
    for kind, meaning in KINDS.items():
        if faulty := contents.faulty.get(kind):
            names = _first_few([recording.item for recording in faulty])
            yield f"{len(faulty):,} recordings {meaning}: {names}; report.json names all, and why"
    if unreadable:
        reasons = [f"{recording.id} ({recording.reason})" for recording in unreadable]
        yield (
            f"{len(reasons)} recordings cannot be decoded and are in no archive; training and "
            f"evaluation will name them: {_first_few(reasons)}"
        )
    if split_by in ("utterance", "sentence"):
        yield "too few speakers are named to split by: the voices of dev and test may be in train"
    nameless = sum(split.nameless for split in counts.values())
    if split_by.startswith("speaker") and nameless:
        yield f"{nameless} utterances name no speaker; they were kept together as one"
    for split in ("train", "dev", "test"):
        if split not in counts and split not in unwanted:
            yield f"no utterance in {split}"


def named_characters(counts: Counter[str]) -> dict[str, int]:
    """Counts of characters by code point and name: ``U+200B ZERO WIDTH SPACE``."""
    return {
        f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip(): count
        for character, count in counts.most_common()
    }


def _mixed_punctuation(contents: CorpusContents) -> Iterator[str]:
    """Warn of transcripts that do not agree on punctuation."""
    ends = contents.sentence_ends
    if ends.mixed:
        found = f"{ends.full_stop:,} transcripts end with a full stop and {ends.word:,} with a word"
        if contents.punctuation_dropped:
            yield (
                f"{found}: punctuation was dropped from all, since a model cannot hear which it "
                "is; --punctuation keep leaves it"
            )
        else:
            yield f"{found}: a model cannot hear which it is; --punctuation drop makes them alike"


def _unpublished_counts(contents: CorpusContents) -> Iterator[str]:
    """Warn of utterance and speaker counts that differ from the published ones."""
    compared = compare_with_published(contents.layout.published, contents.counts)
    for split, counts in compared.items():
        for name, count in counts.items():
            found, published = count["found"], count["published"]
            if name != "hours" and found != published:
                yield f"{split}: {found:,} usable {name}; published: {published:,}"


def overlap(counts: Mapping[str, SplitCounts]) -> tuple[str, bool]:
    """Say what of each split is in train too, and whether it is more than `NEGLIGIBLE_SHARE`.

    A speaker in common is always more. The text is empty if there is nothing to compare.
    """
    others = {split: count for split, count in counts.items() if split != "train"}
    if "train" not in counts or not others:
        return "", False
    train = counts["train"]
    shared, leaks = [], False
    for split, count in others.items():
        sentences = len(count.sentences & train.sentences)
        speakers = len(count.speakers & train.speakers)
        if sentences or speakers:
            shared.append(
                f"{split}: {sentences:,} of {len(count.sentences):,} sentences and {speakers} of "
                f"{len(count.speakers)} speakers are in train too"
            )
        leaks |= bool(speakers) or sentences > NEGLIGIBLE_SHARE * len(count.sentences)
    text = "; ".join(shared) or f"no sentence and no speaker of {', '.join(others)} is in train"
    nameless = sum(count.nameless for count in counts.values())
    return text + (f"; {nameless:,} utterances name no speaker" if nameless else ""), leaks


def _first_few(items: list[str]) -> str:
    return ", ".join(items[:5]) + (", ..." if len(items) > 5 else "")
