"""How far the text heard is from the text said. Knows nothing of sound or models."""

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf

import numpy as np
from rapidfuzz.distance import Levenshtein
from rich.cells import cell_len

from sorigeul.base.errors import UserError


@dataclass(frozen=True)
class Score:
    """Rates of a whole corpus in %: sums of edit distances over sums of reference lengths.

    A distance counts substitutions, deletions and insertions alike, so that error rates can exceed
    100 and ``crr`` can be negative. Rates compare only where ``normalizer`` and counts agree.
    """

    crr: float  # character recognition rate: 100 - cer_no_space
    cer: float  # character error rate, a space being a character
    cer_no_space: float
    wer: float  # word error rate, words being what stands between spaces
    swer: float  # spacing-tolerant word error rate
    utterances: int
    reference_characters: int  # with spaces
    reference_characters_no_space: int
    reference_words: int
    normalizer: str  # name and version, such as kspon-pronunciation/1

    def to_json(self) -> dict[str, float | int | str]:
        """The fields by name, as ``json.dumps`` takes them."""
        return asdict(self)


def score(references: Sequence[str], hypotheses: Sequence[str], normalizer: str) -> Score:
    """Compare ``hypotheses`` with ``references``, both already normalised by ``normalizer``.

    Both are composed (NFC), runs of white space become one space, and ends are stripped. Characters
    are code points then: for Hangul, syllables.

    sWER is the lowest WER that any spacing of the hypothesis has. That spacing is the reference's
    wherever the characters agree; the hypothesis's own, which Korean leaves largely to taste,
    counts for nothing, and nor does the choice among equally good alignments, as it would if spaces
    were moved along one of them. Hence 0 <= sWER <= WER, and sWER is 0 exactly where CER without
    spaces is.

    An empty reference adds what its hypothesis holds to the errors and nothing to the lengths.
    Raises `UserError` where no reference holds a character, `ValueError` where the lists differ in
    length.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references, but {len(hypotheses)} hypotheses")
    errors = np.zeros(4, np.int64)  # characters with spaces, characters without, words, re-spaced
    lengths = np.zeros(4, np.int64)
    for reference, hypothesis in zip(map(_clean, references), map(_clean, hypotheses), strict=True):
        said, heard = reference.replace(" ", ""), hypothesis.replace(" ", "")
        words = reference.split()
        errors += (
            Levenshtein.distance(reference, hypothesis),
            Levenshtein.distance(said, heard),
            Levenshtein.distance(words, hypothesis.split()),
            _respaced_errors(words, heard),
        )
        lengths += (len(reference), len(said), len(words), len(words))
    if not lengths.all():
        raise UserError("the references hold no character to score by; give transcripts that do")
    cer, cer_no_space, wer, swer = (100 * errors / lengths).tolist()
    return Score(
        crr=100 - cer_no_space,
        cer=cer,
        cer_no_space=cer_no_space,
        wer=wer,
        swer=swer,
        utterances=len(references),
        reference_characters=int(lengths[0]),
        reference_characters_no_space=int(lengths[1]),
        reference_words=int(lengths[2]),
        normalizer=normalizer,
    )


def worst_utterances(references: Sequence[str], hypotheses: Sequence[str], count: int) -> list[int]:
    """Indices of the ``count`` utterances of highest character error rate, the highest first.

    Spaces do not count. Among equals the earlier comes first; something heard where nothing was
    said is worse than all else.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references, but {len(hypotheses)} hypotheses")
    pairs = zip(references, hypotheses, strict=True)
    rates = [
        _character_error_rate(*(_clean(text).replace(" ", "") for text in each)) for each in pairs
    ]
    return sorted(range(len(rates)), key=lambda index: -rates[index])[:count]


def align_texts(reference: str, hypothesis: str) -> str:
    """Lines for a terminal: what was said, what was heard, and, if errors there are, their kinds.

    ``S`` marks a character heard as another, ``D`` one left out, ``I`` one put in; asterisks fill
    the place of what the other line lacks. Hangul takes two columns, and so do its fillers.
    """
    reference, hypothesis = _clean(reference), _clean(hypothesis)
    said, heard, marks = ["REF: "], ["HYP: "], ["     "]
    for edit in Levenshtein.opcodes(reference, hypothesis):
        left = reference[edit.src_start : edit.src_end]
        right = hypothesis[edit.dest_start : edit.dest_end]
        for index in range(max(len(left), len(right))):
            here, there = left[index : index + 1], right[index : index + 1]
            width = max(1, cell_len(here), cell_len(there))
            for line, text in ((said, here), (heard, there)):
                line.append(text + " " * (width - cell_len(text)) if text else "*" * width)
            marks.append(_MARKS[edit.tag].ljust(width))
    return "\n".join("".join(line).rstrip() for line in (said, heard, marks)).rstrip("\n")


_MARKS = {"equal": " ", "replace": "S", "delete": "D", "insert": "I"}


def _clean(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _character_error_rate(reference: str, hypothesis: str) -> float:
    distance = Levenshtein.distance(reference, hypothesis)
    return distance / len(reference) if reference else inf if distance else 0.0


def _respaced_errors(words: list[str], characters: str) -> int:
    """Lowest word edit distance from ``words`` to any division of ``characters`` into words.

    Dynamic programming over the words: ``fewest[n]`` is the answer for the words so far and the
    first n characters. A word left out costs one, a word put in or taken for another costs one
    whatever its length, a word found as it is costs nothing. O(words x characters).
    """
    fewest = np.ones(len(characters) + 1, np.int64)
    fewest[0] = 0
    for word in words:
        # Left out (n stays), or taken for the characters from some earlier place up to n.
        nearest = np.minimum.accumulate(fewest) + 1
        at = characters.find(word)
        while at >= 0:
            end = at + len(word)
            nearest[end] = min(nearest[end], fewest[at])
            at = characters.find(word, at + 1)
        fewest = nearest.copy()  # and maybe one more word put in behind
        fewest[1:] = np.minimum(nearest[1:], np.minimum.accumulate(nearest)[:-1] + 1)
    return int(fewest[-1])


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[int, int]:
    """Edits and reference characters of a batch, spaces left out, for a rate that is summed up."""
    pairs = [
        tuple(_clean(text).replace(" ", "") for text in pair)
        for pair in zip(references, hypotheses, strict=True)
    ]
    return sum(Levenshtein.distance(*pair) for pair in pairs), sum(len(said) for said, _ in pairs)
