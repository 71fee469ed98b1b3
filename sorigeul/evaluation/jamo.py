"""Letters of Hangul syllables: 초성, 중성 and 종성 (initial, medial and final).

Does not know about error rates or alignments.
"""

import unicodedata

_FIRST, _LAST = "가", "힣"
_MEDIALS, _FINALS = 21, 28
LETTERS = {
    ord(syllable): unicodedata.normalize("NFD", syllable)
    for syllable in map(chr, range(ord(_FIRST), ord(_LAST) + 1))
}
"""for `str.translate`: code point of each of the 11,172 syllables -> its two or three letters"""


def to_letters(text: str) -> str:
    """NFC text with each syllable replaced by its letters; anything else stays one character.

    Letters are conjoining jamo: an initial ㄱ and a final ㄱ are two different letters. Diphthongs
    (ㅘ) and double consonants (ㄲ, ㄺ) are one letter.
    """
    return text.translate(LETTERS)


def is_syllable(character: str) -> bool:
    """Whether a character is a whole Hangul syllable."""
    return _FIRST <= character <= _LAST


def positions(syllable: str) -> tuple[int, int, int]:
    """Numbers of the initial (0 to 18), the medial (0 to 20) and the final (0 to 27; 0: none)."""
    number = ord(syllable) - ord(_FIRST)
    return number // (_MEDIALS * _FINALS), number // _FINALS % _MEDIALS, number % _FINALS
