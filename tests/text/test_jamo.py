"""Jamo against Unicode's decomposition and names."""

import unicodedata

from sorigeul.text import jamo

SYLLABLES = list(map(chr, range(ord("가"), ord("힣") + 1)))
FINAL_BEFORE_FIRST = 0x11A7


def test_letters_are_those_of_the_decomposition() -> None:
    for syllable in SYLLABLES:
        assert jamo.is_syllable(syllable)
        letters = unicodedata.normalize("NFD", syllable)
        assert jamo.to_letters(syllable) == letters
        initial, medial, final = jamo.positions(syllable)
        assert ord(letters[0]) == ord("ᄀ") + initial
        assert ord(letters[1]) == ord("ᅡ") + medial
        assert (ord(letters[2]) if len(letters) == 3 else FINAL_BEFORE_FIRST) == (
            FINAL_BEFORE_FIRST + final
        )


def test_letters_are_in_the_order_of_their_positions() -> None:
    """The name of a written letter ends as that of the letter that Unicode splits off."""
    for syllable in SYLLABLES:
        parts = unicodedata.normalize("NFD", syllable).ljust(3)
        places = jamo.positions(syllable)
        for letters, place, part in zip(jamo.LETTERS.values(), places, parts, strict=True):
            if part == " ":
                assert letters[place] == ""
            else:
                assert letter_name(letters[place]) == letter_name(part)
    assert [len(letters) for letters in jamo.LETTERS.values()] == [19, 21, 28]


def letter_name(letter: str) -> str:
    """The name of a letter without its position: "SSANGKIYEOK" for every ㄲ."""
    return unicodedata.name(letter).split()[-1]


def test_what_is_no_syllable_stays_one_letter() -> None:
    text = "aé1 ㅋ漢"
    assert jamo.to_letters(text) == text
    assert not any(map(jamo.is_syllable, "aé1 ㅋ漢\uabff\ud7a4"))
