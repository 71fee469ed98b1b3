"""Jamo, the letters of Hangul syllables: initials, medials and finals (초성, 중성, 종성).

Does not know about error rates or alignments.
"""

import unicodedata
from functools import cache
from typing import Literal

Position = Literal["initial", "medial", "final"]
INITIALS = tuple("ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ")
MEDIALS = tuple("ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ")
FINALS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
"""empty for no final"""
LETTERS: dict[Position, tuple[str, ...]] = {
    "initial": INITIALS,
    "medial": MEDIALS,
    "final": FINALS,
}
"""the letters of each position, in the order of the numbers of `positions`"""

_FIRST, _LAST = "가", "힣"


def to_letters(text: str) -> str:
    """NFC text with each syllable replaced by its letters; anything else stays one character.

    Letters are conjoining jamo: an initial ㄱ and a final ㄱ are two different letters. Diphthongs
    (ㅘ) and double consonants (ㄲ, ㄺ) are one letter.
    """
    return text.translate(_decomposed())


@cache  # made when it is first used: most commands never need it
def _decomposed() -> dict[int, str]:
    """For `str.translate`: code point of each of the 11,172 syllables -> its letters."""
    syllables = map(chr, range(ord(_FIRST), ord(_LAST) + 1))
    return {ord(syllable): unicodedata.normalize("NFD", syllable) for syllable in syllables}


def is_syllable(character: str) -> bool:
    """Whether a character is a whole Hangul syllable."""
    return _FIRST <= character <= _LAST


def positions(syllable: str) -> tuple[int, int, int]:
    """Numbers of the initial (0 to 18), the medial (0 to 20) and the final (0 to 27; 0: none).

    Unicode orders the syllables by these three.
    """
    rest, final = divmod(ord(syllable) - ord(_FIRST), len(FINALS))
    initial, medial = divmod(rest, len(MEDIALS))
    return initial, medial, final
