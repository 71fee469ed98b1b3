"""Punctuation: signs that only divide a text, and the text without them.

Signs that are read aloud, as in 70%, or that make a number what it is, as in 3.14, do not count.
"""

import re
import unicodedata
from functools import cache

VERSION = 1
"""Increased whenever `drop_punctuation` gives another text."""
CLOSED_UP = "\"'“”‘’`´)]}>」』》〉·ㆍ‧・"
"""signs that leave no space where they are dropped: quotes, closing brackets, middle dots"""

_READ_ALOUD = frozenset("%‰&@#")
_DIVIDING_SYMBOLS = frozenset("~∼～|")  # which Unicode takes for mathematics
_SIGN = re.compile(r"[^\w\s]|_")
_DIGIT_GROUPS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
# Signs that change a number, and are read aloud: 3.14, 3:30, 1/3, 20~30, -5.
_INSIDE_NUMBER = re.compile(r"(?<=\d)[.:/~∼～](?=\d)|(?<!\S)-(?=\d)")
_CLOSED_UP = str.maketrans("", "", CLOSED_UP)
_OPENING = str.maketrans("<", " ")  # a bracket to those who write, mathematics to Unicode
# The end of a sentence within quotes, to which the next word may belong: “그래요?”라고.
_BEFORE_CLOSING = re.compile(rf"[.,?!…。．]+(?=[{re.escape(CLOSED_UP)}])")
_FULL_STOP = re.compile(rf"[.。．…][\s{re.escape(CLOSED_UP)}]*$")
_WORD = re.compile(r"\w$")


def drop_punctuation(text: str) -> str:
    """The text in NFC without punctuation, its words separated by one space.

    Quotes, closing brackets and middle dots go without a trace, and all other signs leave a space:
    `“그래요?”라고, 'A'가` becomes `그래요라고 A가`.
    """
    closed_up = _BEFORE_CLOSING.sub("", ungrouped(text)).translate(_CLOSED_UP)
    signs_left = spaced(closed_up).translate(_OPENING)
    return " ".join(unicodedata.normalize("NFC", signs_left).split())


def spaced(text: str) -> str:
    """The text with each punctuation mark replaced by a space, so that its length stays."""
    kept = {match.start() for match in _INSIDE_NUMBER.finditer(text)}
    return _SIGN.sub(
        lambda sign: " " if _divides(sign[0]) and sign.start() not in kept else sign[0], text
    )


def ungrouped(text: str) -> str:
    """The text with the digits of each number together: 1,000 becomes 1000."""
    return _DIGIT_GROUPS.sub("", text)


def ends_with_full_stop(text: str) -> bool | None:
    """Whether a text ends with a full stop (true) or with a word (false); None for other signs."""
    if _WORD.search(text):
        return False
    return True if _FULL_STOP.search(text) else None


@cache
def _divides(character: str) -> bool:
    """Whether a character is a punctuation mark that is not read aloud."""
    is_punctuation = unicodedata.category(character).startswith("P")
    return (is_punctuation and character not in _READ_ALOUD) or character in _DIVIDING_SYMBOLS
