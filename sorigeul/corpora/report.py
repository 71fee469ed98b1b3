"""The report of `prepare`, as written to ``report.json``, and its warnings."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sorigeul.corpora.archives import UnreadableRecording
from sorigeul.corpora.counts import SplitCounts, compare_with_published, summary
from sorigeul.corpora.json_text import to_json
from sorigeul.corpora.reading import CorpusContents
from sorigeul.corpora.utterances import Rejected


@dataclass(frozen=True)
class Report:
    """What ``prepare`` did. ``report.json`` has the same fields under the same names."""

    corpus: str
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
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    rejected: tuple[Rejected, ...]

    def to_json(self) -> str:
        """Return the report as indented JSON that ends in a newline."""
        return to_json(asdict(self), indent=2) + "\n"


def warnings(
    contents: CorpusContents,
    split_by: str,
    counts: Mapping[str, SplitCounts],
    unreadable: Collection[UnreadableRecording],
) -> Iterator[str]:
    """Yield the warnings of a report.

    ``counts`` are those of the splits as written; ``unreadable`` are the recordings that could not
    be decoded for the archives.
    """
    yield from _unpublished_counts(contents)
    if contents.odd_sized:
        yield (
            f"{len(contents.odd_sized)} .pcm with an odd byte at the end, which is dropped: "
            f"{_first_few(contents.odd_sized)}"
        )
    if contents.invisible:
        signs = [f"U+{ord(sign):04X} in {n:,}" for sign, n in contents.invisible.most_common(5)]
        yield (
            f"{len(contents.with_invisible):,} transcripts had characters that nobody sees, which "
            f"were removed ({', '.join(signs)}): {_first_few(contents.with_invisible)}"
        )
    if unreadable:
        reasons = [f"{recording.id} ({recording.reason})" for recording in unreadable]
        yield (
            f"{len(reasons)} recordings cannot be decoded and are in no archive; training and "
            f"evaluation will name them: {_first_few(reasons)}"
        )
    if split_by == "utterance":
        yield "too few speakers are named to split by: the voices of dev and test may be in train"
    nameless = sum(split.nameless for split in counts.values())
    if split_by == "speaker" and nameless:
        yield f"{nameless} utterances name no speaker; they were kept together as one"
    for split in ("train", "dev", "test"):
        if split not in counts:
            yield f"no utterance in {split}"
    yield from _repeated_sentences(counts)


def _unpublished_counts(contents: CorpusContents) -> Iterator[str]:
    """Warn of utterance and speaker counts that differ from the published ones."""
    compared = compare_with_published(contents.layout.published, contents.counts)
    for split, counts in compared.items():
        for name, count in counts.items():
            found, published = count["found"], count["published"]
            if name != "hours" and found != published:
                yield f"{split}: {found:,} usable {name}; published: {published:,}"


def _repeated_sentences(counts: Mapping[str, SplitCounts]) -> Iterator[str]:
    """Warn of dev and test sets whose sentences are mostly in train, as in Zeroth-Korean."""
    for split, numbers in summary(counts).items():
        in_train, distinct = numbers["sentences_in_train"], numbers["distinct_sentences"]
        if split != "train" and in_train > distinct / 2:
            yield (
                f"{split}: {in_train} of {distinct} sentences are in train too; a model can know "
                "them"
            )


def _first_few(items: list[str]) -> str:
    return ", ".join(items[:5]) + (", ..." if len(items) > 5 else "")
