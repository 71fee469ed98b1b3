"""Made-up sentences."""

import re
from random import Random

from sorigeul.synthesis.sentences import MAX_SYLLABLES, MIN_SYLLABLES, sentence, with_particle


def test_the_particle_fits_the_last_syllable() -> None:
    assert with_particle("친구", "과", "와") == "친구와"
    assert with_particle("동생", "과", "와") == "동생과"


def test_sentences_are_hangul_of_the_stated_length_and_rarely_repeat() -> None:
    sentences = [sentence(Random(number)) for number in range(3000)]
    for text in sentences:
        assert re.fullmatch(r"[가-힣]+( [가-힣]+)*", text), text
        assert MIN_SYLLABLES <= len(text.replace(" ", "")) <= MAX_SYLLABLES, text
    assert len(set(sentences)) > 0.85 * len(sentences)
    assert "만 만" not in " ".join(sentences)
