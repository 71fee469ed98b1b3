"""What preparing a corpus found, in numbers and reasons. Knows nothing of where it is written."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sorigeul.corpora.items import Rejected, Utterance


@dataclass
class SplitCounts:
    """Counts over the utterances added to it."""

    utterances: int = 0
    nameless: int = 0
    seconds: float = 0.0
    speakers: set[str] = field(default_factory=set)
    characters: Counter[str] = field(default_factory=Counter)
    sentences: set[int] = field(default_factory=set)
    """Hashes of the texts: the texts of a large corpus would fill the memory."""

    def add(self, utterance: Utterance) -> None:
        """Count ``utterance``."""
        self.utterances += 1
        self.seconds += utterance.duration
        if utterance.speaker is None:
            self.nameless += 1
        else:
            self.speakers.add(utterance.speaker)
        self.characters.update(utterance.text)
        self.sentences.add(hash(utterance.text))


@dataclass(frozen=True)
class Report:
    """What ``prepare`` did; ``report.json`` holds the same under the same names."""

    corpus: str
    source: str | None
    layout: str
    normalizer: str
    """Name and version."""
    seed: int
    options: Mapping[str, Any]
    split_by: str
    """``corpus`` where it has a split of its own for everything, else ``speaker`` or
    ``utterance``."""
    total: Mapping[str, float]
    """Usable ``utterances``, ``hours`` and ``speakers`` of the whole corpus."""
    splits: Mapping[str, Mapping[str, float]]
    published: Mapping[str, Mapping[str, Mapping[str, float]]]
    """For each split of the corpus's own (or ``all``) and each count: ``published``, ``found``."""
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    rejected: tuple[Rejected, ...]

    def to_json(self) -> str:
        """Return the report as indented JSON, ending in a newline."""
        return to_json(asdict(self), indent=2) + "\n"


def to_json(content: Any, indent: int | None = None) -> str:
    """Return JSON with Hangul as it is, unless a name in it is no text.

    Folders unpacked from CP949 archives have names that are not UTF-8; escaped, they stay usable.
    """
    text = json.dumps(content, ensure_ascii=False, indent=indent)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(content, indent=indent)
    return text


def total(tallies: Collection[SplitCounts]) -> dict[str, float]:
    """Return what all the tallies hold together; a speaker in two of them is one."""
    return {
        "utterances": sum(tally.utterances for tally in tallies),
        "hours": round(sum(tally.seconds for tally in tallies) / 3600, 2),
        "speakers": len(set().union(*(tally.speakers for tally in tallies))),
    }


def compare(
    published: Mapping[str, Mapping[str, float]], found: Mapping[str, SplitCounts]
) -> dict[str, dict[str, dict[str, float]]]:
    """Set what was found beside each published count. ``all`` stands for everything found."""
    compared: dict[str, dict[str, dict[str, float]]] = {}
    for split, counts in published.items():
        tallies = found.values() if split == "all" else [found.get(split, SplitCounts())]
        measured = total(tallies)
        compared[split] = {
            what: {"published": count, "found": measured[what]} for what, count in counts.items()
        }
    return compared


def differences(
    compared: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> Iterator[str]:
    """Say which utterance and speaker counts are not the published ones."""
    for split, counts in compared.items():
        for what, count in counts.items():
            if what != "hours" and count["found"] != count["published"]:
                found, expected = count["found"], count["published"]
                yield f"{split}: {found:,} usable {what}; published: {expected:,}"


def summary(tallies: Mapping[str, SplitCounts]) -> dict[str, dict[str, float]]:
    """Return the counts of each split under the names they have in the report."""
    train = tallies.get("train", SplitCounts()).sentences
    return {
        split: {
            "utterances": tally.utterances,
            "hours": round(tally.seconds / 3600, 4),
            "speakers": len(tally.speakers),
            "characters": tally.characters.total(),
            "distinct_characters": len(tally.characters),
            "distinct_sentences": len(tally.sentences),
            "sentences_in_train": len(tally.sentences & train),
        }
        for split, tally in tallies.items()
    }


def repeated_sentences(tallies: Mapping[str, SplitCounts]) -> Iterator[str]:
    """Warn of held-out splits whose sentences are mostly in train, as those of Zeroth-Korean."""
    for split, counts in summary(tallies).items():
        known, all_ = counts["sentences_in_train"], counts["distinct_sentences"]
        if split != "train" and known > all_ / 2:
            yield f"{split}: {known} of {all_} sentences are in train too; a model can know them"
