"""Where a Korean text can be broken, by its words."""

import unicodedata

import pytest

from sorigeul.recognition.phrase_breaks import Break, break_after


@pytest.mark.parametrize(
    ("word", "following", "expected"),
    [
        ("갔습니다", "그리고", Break.CLAUSES),
        ("갔습니다", "저는", Break.SENTENCES),
        ("갔어요", "저는", Break.SENTENCES),
        ("갔다.", "있는", Break.SENTENCES),
        ("정말?”", "네", Break.SENTENCES),
        ("먹고", "나갔다", Break.CLAUSES),
        ("갔는데", "아무도", Break.CLAUSES),
        ("오면", "알려", Break.CLAUSES),
        ("아파서", "집에", Break.CLAUSES),
        ("사과,", "배", Break.CLAUSES),
        ("학교에서", "친구를", Break.PHRASES),
        ("친구를", "만났다", Break.PHRASES),
        ("저는", "학생입니다", Break.PHRASES),
        ("어제", "친구가", Break.WORDS),
        ("나의", "집", Break.BOUND_WORDS),
        ("아름다운", "정원", Break.BOUND_WORDS),
        ("좋은", "사람", Break.BOUND_WORDS),
        ("갈", "사람", Break.BOUND_WORDS),
        ("아주", "큰", Break.BOUND_WORDS),
        ("그리고", "저는", Break.BOUND_WORDS),
        ("먹고", "있습니다", Break.BOUND_WORDS),
        ("가지", "않았어요", Break.BOUND_WORDS),
        ("할", "수", Break.BOUND_WORDS),
        ("먹는", "것을", Break.BOUND_WORDS),
        ("해외에서", "해외로", Break.PHRASES),
    ],
)
def test_endings_say_what_a_break_separates(word: str, following: str, expected: Break) -> None:
    assert break_after(word, following) == expected
    decomposed = (unicodedata.normalize("NFD", text) for text in (word, following))
    assert break_after(*decomposed) == expected


def test_any_words_can_be_judged() -> None:
    for word in ("", "A&B", "123", "…", "ㄱ", "\U0001f600"):
        for following in ("", "A&B", "ㅏ"):
            assert break_after(word, following) in Break
