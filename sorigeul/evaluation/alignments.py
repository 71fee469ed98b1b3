"""References and hypotheses aligned for people to read."""

from itertools import zip_longest

from rapidfuzz.distance import Levenshtein
from rich.cells import cell_len

from sorigeul.evaluation.scores import squeeze


def align_texts(reference: str, hypothesis: str) -> str:
    """Reference and hypothesis aligned in two lines for a terminal, with a third for the errors.

    `S` marks a substituted character, `D` a deleted one and `I` an inserted one. Asterisks
    fill the gaps in either line. A Hangul syllable takes two columns, and so does its gap. Without
    errors there is no third line.
    """
    reference, hypothesis = squeeze(reference), squeeze(hypothesis)
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
    """The character padded to `width` columns, or asterisks for a missing one."""
    return character + " " * (width - cell_len(character)) if character else "*" * width
