"""Counts of utterances, hours, speakers and characters, by split. Does not know about files."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sorigeul.corpora.utterances import Utterance

_NOT_SPOKEN = re.compile(r"[\W_]+")


def sentence(text: str) -> int:
    """Return a number for what a text says: the same whatever its spaces and punctuation are.

    A hash, since the texts of a large corpus would fill the memory; it is another one in another
    process.
    """
    return hash(_NOT_SPOKEN.sub("", text) or text)


@dataclass
class SplitCounts:
    """Counts of the utterances that were added to a split."""

    utterances: int = 0
    nameless: int = 0
    """utterances without a speaker"""
    seconds: float = 0.0
    speakers: set[str] = field(default_factory=set)
    characters: Counter[str] = field(default_factory=Counter)
    sentences: set[int] = field(default_factory=set)
    """see `sentence`"""

    def add(self, utterance: Utterance) -> None:
        """Count ``utterance``."""
        self.utterances += 1
        self.seconds += utterance.duration
        if utterance.speaker is None:
            self.nameless += 1
        else:
            self.speakers.add(utterance.speaker)
        self.characters.update(utterance.text)
        self.sentences.add(sentence(utterance.text))


def total(counts: Collection[SplitCounts]) -> dict[str, float]:
    """Return utterances, hours and speakers over all splits; a speaker in two of them is one."""
    return {
        "utterances": sum(split.utterances for split in counts),
        "hours": round(sum(split.seconds for split in counts) / 3600, 2),
        "speakers": len(set().union(*(split.speakers for split in counts))),
    }


def compare_with_published(
    published: Mapping[str, Mapping[str, float]], counts: Mapping[str, SplitCounts]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return each published count of each split beside the actual one.

    The split ``all`` stands for the whole corpus.
    """
    compared: dict[str, dict[str, dict[str, float]]] = {}
    for split, expected in published.items():
        selected = counts.values() if split == "all" else [counts.get(split, SplitCounts())]
        found = total(selected)
        compared[split] = {
            name: {"published": number, "found": found[name]} for name, number in expected.items()
        }
    return compared


def summary(counts: Mapping[str, SplitCounts]) -> dict[str, dict[str, float]]:
    """Return the counts of each split under the names that they have in ``report.json``."""
    train = counts.get("train", SplitCounts())
    return {
        name: {
            "utterances": split.utterances,
            "hours": round(split.seconds / 3600, 4),
            "speakers": len(split.speakers),
            "characters": split.characters.total(),
            "distinct_characters": len(split.characters),
            "characters_not_in_train": sum(
                count
                for character, count in split.characters.items()
                if character not in train.characters
            ),
            "distinct_sentences": len(split.sentences),
            "sentences_in_train": len(split.sentences & train.sentences),
        }
        for name, split in counts.items()
    }
