"""Error rates between references and hypotheses (CER, CRR, WER, sWER), and their alignment.

Does not know about audio or models.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from math import inf

import numpy as np
from rapidfuzz.distance import Levenshtein
from rich.cells import cell_len

from sorigeul.base.errors import UserError


@dataclass(frozen=True)
class Score:
    """Rates of a whole corpus in %: sums of edit distances over sums of reference lengths.

    Substitutions, deletions and insertions all count as one edit, so error rates can exceed 100 and
    ``crr`` can be negative. Two scores are comparable only if their ``normalizer`` and their counts
    are the same.
    """

    crr: float  # character recognition rate: 100 - cer_no_space
    cer: float  # character error rate, with spaces as characters
    cer_no_space: float
    wer: float  # word error rate; spaces separate words
    swer: float  # spacing-tolerant word error rate
    utterances: int
    reference_characters: int  # with spaces
    reference_characters_no_space: int
    reference_words: int
    normalizer: str  # name and version, such as kspon-pronunciation/1

    def to_json(self) -> dict[str, float | int | str]:
        """The fields by name, ready for ``json.dumps``."""
        return asdict(self)


def score(references: Sequence[str], hypotheses: Sequence[str], normalizer: str) -> Score:
    """Compare ``hypotheses`` with ``references``, both already normalised by ``normalizer``.

    Characters are code points of the NFC form, so a Hangul syllable is one character. White space
    at the ends is removed, and any other run of white space counts as one space.

    sWER, the spacing-tolerant word error rate, is the lowest WER over all spacings of the
    hypothesis. It ignores the hypothesis's own spacing, which Korean leaves largely to taste: the
    best spacing is that of the reference wherever the characters agree. It does not depend on the
    choice among equally good alignments either, as it would if the spaces were moved along one of
    them. So 0 <= sWER <= WER, and sWER is 0 exactly if CER without spaces is 0.

    For an empty reference, its hypothesis adds to the errors and nothing is added to the lengths.

    Raises:
        UserError: if no reference contains a character.
        ValueError: if the lists differ in length.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references, but {len(hypotheses)} hypotheses")
    errors = np.zeros(4, np.int64)  # characters with spaces, characters without, words, re-spaced
    lengths = np.zeros(4, np.int64)
    for reference, hypothesis in zip(map(_clean, references), map(_clean, hypotheses), strict=True):
        reference_no_space = reference.replace(" ", "")
        hypothesis_no_space = hypothesis.replace(" ", "")
        words = reference.split()
        errors += (
            Levenshtein.distance(reference, hypothesis),
            Levenshtein.distance(reference_no_space, hypothesis_no_space),
            Levenshtein.distance(words, hypothesis.split()),
            _respaced_errors(words, hypothesis_no_space),
        )
        lengths += (len(reference), len(reference_no_space), len(words), len(words))
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
    """Indices of the ``count`` utterances with the highest character error rates, highest first.

    Spaces do not count. Utterances with the same rate stay in their order. A hypothesis for an
    empty reference is worse than any other. Raises ValueError if the lists differ in length.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references, but {len(hypotheses)} hypotheses")
    pairs = zip(references, hypotheses, strict=True)
    rates = [
        _character_error_rate(_clean_no_space(reference), _clean_no_space(hypothesis))
        for reference, hypothesis in pairs
    ]
    return sorted(range(len(rates)), key=lambda index: -rates[index])[:count]


def align_texts(reference: str, hypothesis: str) -> str:
    """Reference and hypothesis aligned in two lines for a terminal, with a third for the errors.

    ``S`` marks a substituted character, ``D`` a deleted one and ``I`` an inserted one. Asterisks
    fill the gaps in either line. A Hangul syllable takes two columns, and so does its gap. Without
    errors there is no third line.
    """
    reference, hypothesis = _clean(reference), _clean(hypothesis)
    reference_line, hypothesis_line, marks = ["REF: "], ["HYP: "], ["     "]
    for edit in Levenshtein.opcodes(reference, hypothesis):
        reference_characters = reference[edit.src_start : edit.src_end]
        hypothesis_characters = hypothesis[edit.dest_start : edit.dest_end]
        pairs = zip_longest(reference_characters, hypothesis_characters, fillvalue="")
        for reference_character, hypothesis_character in pairs:
            width = max(1, cell_len(reference_character), cell_len(hypothesis_character))
            reference_line.append(_padded(reference_character, width))
            hypothesis_line.append(_padded(hypothesis_character, width))
            marks.append(_MARKS[edit.tag].ljust(width))
    lines = ("".join(line).rstrip() for line in (reference_line, hypothesis_line, marks))
    return "\n".join(lines).rstrip("\n")


_MARKS = {"equal": " ", "replace": "S", "delete": "D", "insert": "I"}


def _padded(character: str, width: int) -> str:
    """The character padded to ``width`` columns, or asterisks for a missing one."""
    return character + " " * (width - cell_len(character)) if character else "*" * width


def _clean(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _clean_no_space(text: str) -> str:
    return _clean(text).replace(" ", "")


def _character_error_rate(reference: str, hypothesis: str) -> float:
    distance = Levenshtein.distance(reference, hypothesis)
    return distance / len(reference) if reference else inf if distance else 0.0


def _respaced_errors(words: list[str], characters: str) -> int:
    """Lowest word edit distance from ``words`` to any division of ``characters`` into words.

    Dynamic programming over the words: ``fewest[n]`` is the lowest distance between the words so
    far and the first n characters. A deleted, inserted or substituted word costs one, whatever its
    length; a word that is found unchanged costs nothing. O(words x characters).
    """
    fewest = np.ones(len(characters) + 1, np.int64)
    fewest[0] = 0
    for word in words:
        # Deleted (n stays), or substituted by the characters from some earlier position up to n.
        distances = np.minimum.accumulate(fewest) + 1
        start = characters.find(word)
        while start >= 0:
            end = start + len(word)
            distances[end] = min(distances[end], fewest[start])
            start = characters.find(word, start + 1)
        fewest = distances.copy()
        # One more word may be inserted after it.
        fewest[1:] = np.minimum(distances[1:], np.minimum.accumulate(distances)[:-1] + 1)
    return int(fewest[-1])


def character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[int, int]:
    """Edits and reference characters of a batch without spaces, to be summed for an error rate.

    Raises ValueError if the lists differ in length.
    """
    edits = characters = 0
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        reference_characters = _clean_no_space(reference)
        edits += Levenshtein.distance(reference_characters, _clean_no_space(hypothesis))
        characters += len(reference_characters)
    return edits, characters
