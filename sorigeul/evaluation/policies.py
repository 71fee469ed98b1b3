"""Scoring policies: named, versioned rules of what counts as an error.

Published figures of Korean recognisers can hardly be compared, since few say whether spacing,
punctuation and the spelling of numbers counted. A policy says so in its name.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sorigeul.base.errors import UserError
from sorigeul.evaluation.closest_readings import (
    Pieces,
    closest_readings,
    too_long,
    usual_reading,
)
from sorigeul.evaluation.respacing import respace
from sorigeul.evaluation.scores import (
    ERROR_RATES,
    ErrorCounts,
    TextPair,
    count_errors,
    squeeze,
    stack,
    text_lengths,
)
from sorigeul.text.punctuation import spaced, ungrouped
from sorigeul.text.spoken_form import alternatives

_LONG = 200  # characters; shorter texts are never too long to weigh all their readings
_LATIN_WORD = re.compile("[A-Za-z]+")


class ComparedTexts(NamedTuple):
    """The texts whose characters are compared, and the reference that lengths are taken of."""

    reference: str
    hypothesis: str
    measured: str
    """the usual reading of the reference: so the length that errors are divided by does not depend
    on what was recognised"""


@dataclass(frozen=True)
class Policy:
    """What counts as an error. `str()` gives name/version, as it is written in reports.

    The version increases whenever any result changes.
    """

    name: str
    version: int
    summary: str
    spaces: bool = True
    """whether spaces count. If not, the rates with spaces are those without: `cer` is
    `cer_no_space`, and `wer` is `swer`"""
    punctuation: bool = True
    """whether punctuation counts"""
    readings: bool = False
    """whether numbers, units and Latin letters are compared in the readings that are most alike;
    then the case of letters does not count either"""

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    def compare(self, reference: str, hypothesis: str) -> ComparedTexts:
        """The texts as this policy compares them."""
        if self.readings:
            written = _pieces(reference), _pieces(_in_the_case_of(reference, hypothesis))
            measured = squeeze(usual_reading(written[0]))
            chosen, heard = map(squeeze, closest_readings(*written))
            return ComparedTexts(chosen, heard, measured)
        clean = squeeze if self.punctuation else without_punctuation
        return ComparedTexts(clean(reference), clean(hypothesis), clean(reference))

    def is_too_long(self, pair: TextPair) -> bool:
        """Whether the texts of a pair are compared in their usual readings, to bound the work."""
        if not self.readings or max(len(pair.reference), len(pair.hypothesis)) < _LONG:
            return False
        return too_long(_pieces(pair.reference), _pieces(pair.hypothesis))

    def words(self, reference: str, hypothesis: str) -> tuple[list[str], list[str]]:
        """The words of both texts, whose edit distance is the number of word errors."""
        compared = self.compare(reference, hypothesis)
        words = compared.reference.split()
        if self.spaces:
            return words, compared.hypothesis.split()
        return words, respace(words, compared.hypothesis.replace(" ", ""))

    def count(self, reference: str, hypothesis: str) -> ErrorCounts:
        """The errors (1, …) of one utterance."""
        compared = self.compare(reference, hypothesis)
        counts = count_errors(compared.reference, compared.hypothesis)
        counts.lengths[0, :5] = text_lengths(compared.measured)
        if not self.spaces:
            for with_spaces, without in (("cer", "cer_no_space"), ("wer", "swer")):
                column, source = ERROR_RATES.index(with_spaces), ERROR_RATES.index(without)
                counts.errors[:, column] = counts.errors[:, source]
                counts.lengths[:, column] = counts.lengths[:, source]
        return counts

    def count_all(self, pairs: Sequence[TextPair]) -> ErrorCounts:
        """The errors (N, …) of all utterances."""
        return stack(self.count(pair.reference, pair.hypothesis) for pair in pairs)


STRICT = Policy("strict", 1, "texts as they are written")
SPACING_FREE = Policy(
    "spacing-free", 1, "without spaces and punctuation", spaces=False, punctuation=False
)
READINGS = replace(
    SPACING_FREE,
    name="readings",
    version=3,
    readings=True,
    summary="without spaces and punctuation; numbers, units and Latin letters in any reading",
)
POLICIES = (STRICT, SPACING_FREE, READINGS)


def shown_policies(headline: Policy) -> tuple[Policy, Policy]:
    """The two policies of a table: the headline, and the one that differs most from it."""
    return headline, READINGS if headline == STRICT else STRICT


def find_policy(name: str) -> Policy:
    """The policy called `name`, with or without its version; UserError if there is none."""
    for one in POLICIES:
        if name in (one.name, str(one)):
            return one
    raise UserError(f"no scoring policy '{name}'; choose one of {', '.join(map(str, POLICIES))}")


def _pieces(text: str) -> Pieces:
    """The readings of a text without punctuation, which goes after the numbers have been read."""
    return [
        list(dict.fromkeys(spaced(reading).casefold() for reading in readings))
        for readings in alternatives(squeeze(text))
    ]


def _in_the_case_of(reference: str, hypothesis: str) -> str:
    """The hypothesis with each Latin word of the reference in the same case: ai where AI was said.

    Upper case is read letter by letter, so the case would decide what a word is compared as.
    """
    words = {word.casefold(): word for word in _LATIN_WORD.findall(reference)}
    return _LATIN_WORD.sub(lambda word: words.get(word[0].casefold(), word[0]), hypothesis)


def without_punctuation(text: str) -> str:
    """The text without signs that only divide it; those that are read aloud or in a number stay.

    `1,000` becomes `1000` and `010-1234` becomes `010 1234`; `3.14`, `3:30`, `1/3`, `20~30`, `-5`
    and `70%` stay as they are.
    """
    return squeeze(spaced(ungrouped(unicodedata.normalize("NFC", text))))
