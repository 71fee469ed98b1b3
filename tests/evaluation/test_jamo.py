"""Letters of syllables, against Unicode's decomposition."""

import unicodedata

from sorigeul.evaluation import jamo

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


def test_what_is_no_syllable_stays_one_letter() -> None:
    text = "aé1 ㅋ漢"
    assert jamo.to_letters(text) == text
    assert not any(map(jamo.is_syllable, "aé1 ㅋ漢"))
