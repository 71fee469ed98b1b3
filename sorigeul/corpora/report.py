"""The report of `prepare`: counts, comparison with published counts, rejected items, warnings."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sorigeul.corpora.utterances import Rejected, Utterance


@dataclass
class SplitCounts:
    """Running counts over the utterances of a split."""

    utterances: int = 0
    nameless: int = 0
    seconds: float = 0.0
    speakers: set[str] = field(default_factory=set)
    characters: Counter[str] = field(default_factory=Counter)
    sentences: set[int] = field(default_factory=set)
    """Hashes of the texts; the texts themselves of a large corpus would fill the memory."""

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
    """Result of ``prepare``; ``report.json`` has the same fields."""

    corpus: str
    source: str | None
    layout: str
    normalizer: str
    """Name and version."""
    seed: int
    options: Mapping[str, Any]
    split_by: str
    """``corpus`` if the corpus defines all splits, else the unit they are drawn by: ``speaker`` or
    ``utterance``."""
    total: Mapping[str, float]
    """Usable ``utterances``, ``hours`` and ``speakers`` of the whole corpus."""
    splits: Mapping[str, Mapping[str, float]]
    published: Mapping[str, Mapping[str, Mapping[str, float]]]
    """For each split of the corpus (or ``all``) and each count: ``published`` and ``found``."""
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    rejected: tuple[Rejected, ...]

    def to_json(self) -> str:
        """Return the report as indented JSON, ending in a newline."""
        return to_json(asdict(self), indent=2) + "\n"


def to_json(content: Any, indent: int | None = None) -> str:
    """Return JSON with Hangul unescaped, unless a file name in it is not valid Unicode.

    Folders unpacked from CP949 archives have names that are not UTF-8; escaped, they stay usable.
    """
    text = json.dumps(content, ensure_ascii=False, indent=indent)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(content, indent=indent)
    return text


def total(splits: Collection[SplitCounts]) -> dict[str, float]:
    """Return the counts of all splits together; a speaker in two splits counts once."""
    return {
        "utterances": sum(counts.utterances for counts in splits),
        "hours": round(sum(counts.seconds for counts in splits) / 3600, 2),
        "speakers": len(set().union(*(counts.speakers for counts in splits))),
    }


def compare(
    published: Mapping[str, Mapping[str, float]], found: Mapping[str, SplitCounts]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return each published count beside the count found. ``all`` means the whole corpus."""
    compared: dict[str, dict[str, dict[str, float]]] = {}
    for split, counts in published.items():
        splits = found.values() if split == "all" else [found.get(split, SplitCounts())]
        measured = total(splits)
        compared[split] = {
            what: {"published": count, "found": measured[what]} for what, count in counts.items()
        }
    return compared


def differences(
    compared: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> Iterator[str]:
    """Yield a warning for each utterance or speaker count that differs from the published one."""
    for split, counts in compared.items():
        for what, count in counts.items():
            if what != "hours" and count["found"] != count["published"]:
                found, expected = count["found"], count["published"]
                yield f"{split}: {found:,} usable {what}; published: {expected:,}"


def summary(splits: Mapping[str, SplitCounts]) -> dict[str, dict[str, float]]:
    """Return the counts of each split, as the report names them."""
    train = splits.get("train", SplitCounts()).sentences
    return {
        split: {
            "utterances": counts.utterances,
            "hours": round(counts.seconds / 3600, 4),
            "speakers": len(counts.speakers),
            "characters": counts.characters.total(),
            "distinct_characters": len(counts.characters),
            "distinct_sentences": len(counts.sentences),
            "sentences_in_train": len(counts.sentences & train),
        }
        for split, counts in splits.items()
    }


def repeated_sentences(splits: Mapping[str, SplitCounts]) -> Iterator[str]:
    """Yield a warning for each held-out split whose sentences are mostly in train (Zeroth)."""
    for split, counts in summary(splits).items():
        known, all_ = counts["sentences_in_train"], counts["distinct_sentences"]
        if split != "train" and known > all_ / 2:
            yield f"{split}: {known} of {all_} sentences are in train too; a model can know them"
