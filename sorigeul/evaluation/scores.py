"""Error rates between references and hypotheses: CER, CRR, WER, sWER and those of letters.

Does not know about audio or models, nor about what counts as equal (`policies`).
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein, Opcode

from sorigeul.base.errors import UserError
from sorigeul.evaluation.respacing import respaced_errors
from sorigeul.text import jamo

Counts = npt.NDArray[np.int64]

ERROR_RATES = (
    "cer",
    "cer_no_space",
    "wer",
    "swer",
    "jer",
    "jer_initial",
    "jer_medial",
    "jer_final",
)
"""the rates of a `Score` that are errors divided by lengths, in the order of the columns of
`ErrorCounts`"""


@dataclass(frozen=True)
class TextPair:
    """What was said in an utterance, and what was recognised."""

    id: str
    reference: str
    hypothesis: str
    speaker: str = ""
    """empty if it is not known"""


@dataclass(frozen=True)
class ErrorCounts:
    """Errors of N utterances, one by one, so that they can be summed, resampled and compared."""

    errors: Counts
    """(N, 8), a column for each of `ERROR_RATES`"""
    lengths: Counts
    """(N, 8), what the errors are to be divided by, after both have been summed"""
    edits: Counts
    """(N, 3), substitutions, insertions and deletions of characters without spaces"""

    def at(self, rows: npt.NDArray[np.int64]) -> "ErrorCounts":
        """The counts of some utterances, in the order of `rows`."""
        return ErrorCounts(self.errors[rows], self.lengths[rows], self.edits[rows])


@dataclass(frozen=True)
class Score:
    """Rates of a whole corpus in %: sums of errors over sums of lengths.

    Substitutions, deletions and insertions all count as one edit, so error rates can exceed 100 and
    `crr` can be negative. Two scores are comparable only if their `normalizer` and their counts are
    the same.
    """

    crr: float
    """character recognition rate: 100 - cer_no_space"""
    cer: float
    """character error rate, with spaces as characters"""
    cer_no_space: float
    wer: float
    """word error rate; spaces separate words"""
    swer: float
    """spacing-tolerant word error rate"""
    jer: float
    """letter (jamo) error rate, without spaces"""
    jer_initial: float | None
    """of the syllables that are aligned with a syllable, the share whose initial (초성) is another;
    None if there are none"""
    jer_medial: float | None
    """the same for the medial (중성)"""
    jer_final: float | None
    """the same for the final (종성); to have none counts as a letter"""
    substitutions: int
    """of characters without spaces"""
    insertions: int
    deletions: int
    utterances: int
    reference_characters: int
    """with spaces"""
    reference_characters_no_space: int
    reference_words: int
    normalizer: str
    """name and version, such as kspon-pronunciation/1"""

    @classmethod
    def from_counts(cls, counts: ErrorCounts, normalizer: str) -> "Score":
        """The rates of all utterances together. Raises UserError if the references are empty."""
        errors, lengths = counts.errors.sum(0), counts.lengths.sum(0)
        if not lengths[:5].all():
            raise UserError(
                "the references hold no character to score by; give transcripts that do"
            )
        rates: dict[str, Any] = {
            name: float(100 * error / length) if length else None
            for name, error, length in zip(ERROR_RATES, errors, lengths, strict=True)
        }
        substitutions, insertions, deletions = counts.edits.sum(0).tolist()
        return cls(
            crr=100 - rates["cer_no_space"],
            **rates,
            substitutions=substitutions,
            insertions=insertions,
            deletions=deletions,
            utterances=len(counts.errors),
            reference_characters=int(lengths[0]),
            reference_characters_no_space=int(lengths[1]),
            reference_words=int(lengths[2]),
            normalizer=normalizer,
        )

    def to_json(self) -> dict[str, float | int | str | None]:
        """The fields by name, ready for `json.dumps`."""
        return asdict(self)


def score(references: Sequence[str], hypotheses: Sequence[str], normalizer: str) -> Score:
    """Compare `hypotheses` with `references`, both already normalised by `normalizer`.

    Characters are code points of the NFC form, so a Hangul syllable is one character. White space
    at the ends is removed, and any other run of white space counts as one space.

    sWER, the spacing-tolerant word error rate, is the lowest WER over all spacings of the
    hypothesis. It ignores the hypothesis's own spacing, which Korean leaves largely to taste: the
    best spacing is that of the reference wherever the characters agree. It does not depend on the
    choice among equally good alignments either, as it would if the spaces were moved along one of
    them. So 0 <= sWER <= WER, and sWER is 0 exactly if CER without spaces is 0.

    JER is the edit distance of letters: a syllable counts as its two or three jamo, any other
    character as one letter. For the rates of initials, medials and finals, the characters without
    spaces are aligned; every syllable that is aligned with a syllable, the same or another, counts
    once. A deleted or inserted syllable has no partner whose letters could be compared, so it does
    not count.

    For an empty reference, its hypothesis adds to the errors and nothing is added to the lengths.

    Raises:
        UserError: if no reference contains a character.
        ValueError: if the lists differ in length.
    """
    _check_lengths(references, hypotheses)
    pairs = zip(map(squeeze, references), map(squeeze, hypotheses), strict=True)
    return Score.from_counts(stack(count_errors(*pair) for pair in pairs), normalizer)


def count_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """The errors (1, …) of one utterance, whose texts are as `squeeze` returns them."""
    characters, recognised = reference.replace(" ", ""), hypothesis.replace(" ", "")
    words = reference.split()
    opcodes = list(Levenshtein.opcodes(characters, recognised))
    edits = {"replace": 0, "insert": 0, "delete": 0, "equal": 0}
    for one in opcodes:
        edits[one.tag] += max(one.src_end - one.src_start, one.dest_end - one.dest_start)
    edits_by_kind = (edits["replace"], edits["insert"], edits["delete"])
    *other_letters, syllables = _compare_letters(characters, recognised, opcodes)
    errors = (
        Levenshtein.distance(reference, hypothesis),
        sum(edits_by_kind),
        Levenshtein.distance(words, hypothesis.split()),
        respaced_errors(words, recognised),
        Levenshtein.distance(jamo.to_letters(characters), jamo.to_letters(recognised)),
        *other_letters,
    )
    lengths = (*text_lengths(reference), *[syllables] * 3)
    return ErrorCounts(*(np.array([row], np.int64) for row in (errors, lengths, edits_by_kind)))


def text_lengths(reference: str) -> tuple[int, int, int, int, int]:
    """What the first five of `ERROR_RATES` divide by, for a text as `squeeze` returns it."""
    characters, words = reference.replace(" ", ""), reference.count(" ") + bool(reference)
    return len(reference), len(characters), words, words, len(jamo.to_letters(characters))


def _compare_letters(
    reference: str, hypothesis: str, opcodes: Sequence[Opcode]
) -> tuple[int, int, int, int]:
    """How many aligned syllables differ in initial, medial and final, and how many there are."""
    initials = medials = finals = syllables = 0
    for one in opcodes:
        said, heard = (
            reference[one.src_start : one.src_end],
            hypothesis[one.dest_start : one.dest_end],
        )
        if one.tag == "equal":
            syllables += sum(map(jamo.is_syllable, said))
        elif one.tag == "replace":
            for pair in zip(said, heard, strict=True):
                if all(map(jamo.is_syllable, pair)):
                    (initial, medial, final), others = map(jamo.positions, pair)
                    initials += initial != others[0]
                    medials += medial != others[1]
                    finals += final != others[2]
                    syllables += 1
    return initials, medials, finals, syllables


def stack(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    """The counts of several utterances as one."""
    rows = list(counts)
    return ErrorCounts(
        np.concatenate([np.zeros((0, 8), np.int64), *(row.errors for row in rows)]),
        np.concatenate([np.zeros((0, 8), np.int64), *(row.lengths for row in rows)]),
        np.concatenate([np.zeros((0, 3), np.int64), *(row.edits for row in rows)]),
    )


def worst_utterances(references: Sequence[str], hypotheses: Sequence[str], count: int) -> list[int]:
    """Indices of the `count` utterances with the highest character error rates, highest first.

    Spaces do not count. Utterances with the same rate stay in their order. A hypothesis for an
    empty reference is worse than any other. Raises ValueError if the lists differ in length.
    """
    _check_lengths(references, hypotheses)
    pairs = zip(references, hypotheses, strict=True)
    rates = [
        _character_error_rate(_squeeze_out(reference), _squeeze_out(hypothesis))
        for reference, hypothesis in pairs
    ]
    return sorted(range(len(rates)), key=lambda index: -rates[index])[:count]


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[int, int]:
    """Edits and reference characters of a batch without spaces, to be summed for an error rate.

    Raises ValueError if the lists differ in length.
    """
    edits = characters = 0
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        reference_characters = _squeeze_out(reference)
        edits += Levenshtein.distance(reference_characters, _squeeze_out(hypothesis))
        characters += len(reference_characters)
    return edits, characters


def squeeze(text: str) -> str:
    """NFC, words separated by one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _squeeze_out(text: str) -> str:
    return squeeze(text).replace(" ", "")


def _character_error_rate(reference: str, hypothesis: str) -> float:
    distance = Levenshtein.distance(reference, hypothesis)
    return distance / len(reference) if reference else inf if distance else 0.0


def _check_lengths(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references, but {len(hypotheses)} hypotheses")
