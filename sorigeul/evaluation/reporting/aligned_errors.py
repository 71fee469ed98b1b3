"""What was recognised as what: characters, letters and words of aligned texts.

Does not know about audio, nor about how it is shown.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from rapidfuzz.distance import Levenshtein

from sorigeul.text import jamo

Tag = Literal["equal", "replace", "insert", "delete"]
Run = tuple[Tag, str, str]
"""a stretch of one kind of edit: its characters in the reference, and in the hypothesis"""

_TAGS: dict[str, Tag] = {name: name for name in get_args(Tag)}
_SHOWN_REPLACEMENTS = 3  # of a word


def aligned_runs(reference: str, hypothesis: str, count_spaces: bool = True) -> list[Run]:
    """Two texts aligned character by character with the fewest edits, in stretches.

    Both parts of a replaced stretch are of one length. Without `count_spaces` a space that only
    one of the texts has is no edit: its stretch is "equal", with the space on one side.
    """
    runs: list[Run] = []
    for edit in Levenshtein.opcodes(reference, hypothesis):
        said = reference[edit.src_start : edit.src_end]
        heard = hypothesis[edit.dest_start : edit.dest_end]
        counts = count_spaces or (said + heard).strip()
        tag: Tag = _TAGS[edit.tag] if counts else "equal"
        runs.append((tag, said, heard))
    return runs


@dataclass(frozen=True)
class SyllableConfusion:
    """A character that was recognised as another."""

    said: str
    """empty for an insertion"""
    heard: str
    """empty for a deletion"""
    count: int
    said_in_all: int
    """how often it was said; 0 for an insertion"""


@dataclass
class Confusions:
    """How often each character was recognised as which, without spaces."""

    characters: Counter[tuple[str, str]] = field(default_factory=Counter)
    """by what was said and what was heard; either is empty for an insertion or a deletion"""

    def add(self, reference: str, hypothesis: str) -> None:
        """Count the characters of an utterance."""
        for tag, said, heard in aligned_runs(
            reference.replace(" ", ""), hypothesis.replace(" ", "")
        ):
            if tag == "delete":
                self.characters.update((character, "") for character in said)
            elif tag == "insert":
                self.characters.update(("", character) for character in heard)
            else:
                self.characters.update(zip(said, heard, strict=True))

    def most_frequent(self, count: int) -> list[SyllableConfusion]:
        """The most frequent errors; of those with the same count, in the order of the alphabet."""
        said_in_all: Counter[str] = Counter()
        for (said, _), number in self.characters.items():
            said_in_all[said] += number
        errors = [pair for pair in self.characters if pair[0] != pair[1]]
        errors.sort(key=lambda pair: (-self.characters[pair], pair))
        return [
            SyllableConfusion(
                said, heard, self.characters[said, heard], said_in_all[said] if said else 0
            )
            for said, heard in errors[:count]
        ]

    def letters(self, position: jamo.Position) -> list[list[int]]:
        """How often each letter (row) was heard as which (column), in the order of `jamo.LETTERS`.

        Of the syllables that were recognised as a syllable, the same or another one.
        """
        index = list(jamo.LETTERS).index(position)
        size = len(jamo.LETTERS[position])
        counts = [[0] * size for _ in range(size)]
        for (said, heard), number in self.characters.items():
            if said and heard and jamo.is_syllable(said) and jamo.is_syllable(heard):
                row, column = jamo.positions(said)[index], jamo.positions(heard)[index]
                counts[row][column] += number
        return counts


@dataclass(frozen=True)
class WrongWord:
    """A word that was recognised wrongly."""

    word: str
    count: int
    """how often it was said"""
    wrong: int
    heard: list[tuple[str, int]]
    """what was recognised in its place and how often, the most frequent first; empty for nothing"""


def wrong_words(
    pairs: Iterable[tuple[Sequence[str], Sequence[str]]], count: int
) -> list[WrongWord]:
    """The words of the references that were most often wrong, from the words of both texts.

    A word is right if the alignment with the fewest edits pairs it with an equal word.
    """
    said_in_all: Counter[str] = Counter()
    heard_as: dict[str, Counter[str]] = defaultdict(Counter)
    for reference, hypothesis in pairs:
        said_in_all.update(reference)
        for edit in Levenshtein.editops(reference, hypothesis):
            if edit.tag == "replace":
                heard_as[reference[edit.src_pos]][hypothesis[edit.dest_pos]] += 1
            elif edit.tag == "delete":
                heard_as[reference[edit.src_pos]][""] += 1
    words = [
        WrongWord(
            word,
            said_in_all[word],
            heard.total(),
            sorted(heard.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_REPLACEMENTS],
        )
        for word, heard in heard_as.items()
    ]
    words.sort(key=lambda word: (-word.wrong, -word.wrong / word.count, word.word))
    return words[:count]
