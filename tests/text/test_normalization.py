"""Normalisers: ETRI's transcription rules by worked examples and properties."""

import re
import unicodedata
from typing import get_args

import pytest
from helpers.texts import ANY_TEXT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sorigeul.base.errors import UserError
from sorigeul.text import punctuation, spoken_form, written_form
from sorigeul.text.normalization import (
    Normalizer,
    Numbers,
    Punctuation,
    TranscriptError,
    invisible_characters,
    normalizer,
)

# No limits on time: the machine may be slow or busy.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SPOKEN = normalizer("kspon-pronunciation")
WRITTEN = normalizer("kspon-spelling")
PLAIN = normalizer("plain")

EXAMPLES = [
    (
        "b/ 아/ 모+ 몬 소리야 (70%)/(칠 십 퍼센트) 확률이라니 n/",
        "아 모 몬 소리야 칠 십 퍼센트 확률이라니",
        "아 모 몬 소리야 70% 확률이라니",
    ),
    (
        "o/ 근데 (70%)/(칠십 퍼센트)가 커 보이긴 하는데 (200)/(이백) 벌다 (140)/(백 사십) "
        "벌면 빡셀걸? b/",
        "근데 칠십 퍼센트가 커 보이긴 하는데 이백 벌다 백 사십 벌면 빡셀걸?",
        "근데 70%가 커 보이긴 하는데 200 벌다 140 벌면 빡셀걸?",
    ),
    (
        "근데 (3학년)/(삼 학년) 때 까지는 국가장학금 바+ 받으면서 다녔던 건가?",
        "근데 삼 학년 때 까지는 국가장학금 바 받으면서 다녔던 건가?",
        "근데 3학년 때 까지는 국가장학금 바 받으면서 다녔던 건가?",
    ),
    ("c# 배워봤어?", "c샾 배워봤어?", "c# 배워봤어?"),
    ("아/ 몬 소리야, 그건 또. b/", "아 몬 소리야, 그건 또.", "아 몬 소리야, 그건 또."),
    ("u/ l/ 단어* 그/*, 어+/ 음/.", "단어 그, 어 음.", "단어 그, 어 음."),
    ("70% 할인", "70퍼센트 할인", "70% 할인"),
    ("( 70% ) / ( 칠십 퍼센트 )다", "칠십 퍼센트다", "70%다"),
    ("(1+1)/(원 플러스 원) (A/S)/(에이에스)", "원 플러스 원 에이에스", "1+1 A/S"),
    ("n/ b/", "", ""),
    ("  그래\t이건 \u3000뭐 ", "그래 이건 뭐", "그래 이건 뭐"),
]


@pytest.mark.parametrize(("raw", "spoken", "written"), EXAMPLES)
def test_examples_of_the_kspon_rules(raw: str, spoken: str, written: str) -> None:
    assert SPOKEN(raw) == spoken
    assert WRITTEN(raw) == written
    decomposed = unicodedata.normalize("NFD", raw)
    assert SPOKEN(decomposed) == spoken
    assert WRITTEN(decomposed) == written


@pytest.mark.parametrize("tag", ["o/", "n/", "b/", "l/", "u/"])
def test_tags_count_only_as_whole_tokens(tag: str) -> None:
    assert SPOKEN(f"{tag} 가 {tag} {tag} 나 {tag}") == "가 나"
    for glued in (f"가{tag}", f"{tag}가", f"a{tag}", f"{tag}{tag}", f"({tag})/(가)"):
        with pytest.raises(TranscriptError):
            WRITTEN(glued)
    with pytest.raises(TranscriptError):
        SPOKEN(f"가{tag}")


@pytest.mark.parametrize(
    ("malformed", "reason"),
    [
        ("(70%/(칠십 퍼센트) 정도", "bracket without its pair: '('"),
        ("(70%)/칠십 퍼센트) 정도", "bracket without its pair"),
        ("70%)/(칠십 퍼센트) 정도", "bracket without its pair: ')'"),
        ("(웃음) 그래", "bracket without its pair"),
        ("( )/( ) 그래", "empty side: '( )/( )'"),
        ("()/(칠십) 그래", "empty side"),
        ("((3)/(세) 개)/(세 개) 있어", "bracket without its pair"),
        ("(세 개)/(세)/(삼) 개", "bracket without its pair"),
        ("x/ 그래", "mark that belongs to no word: '/'"),
        ("+ 그래", "mark that belongs to no word: '+'"),
        ("그래 * 뭐", "mark that belongs to no word: '*' in '그래 * 뭐'"),
    ],
)
def test_malformed_transcripts_are_refused_with_a_reason(malformed: str, reason: str) -> None:
    for normalize in (SPOKEN, WRITTEN):
        with pytest.raises(TranscriptError, match=re.escape(reason)):
            normalize(malformed)


def test_a_sign_inside_a_latin_word_is_kept_in_spelling_and_refused_in_pronunciation() -> None:
    assert WRITTEN("A/S 받아") == "A/S 받아"
    with pytest.raises(TranscriptError, match="'/' in 'A/S 받아'"):
        SPOKEN("A/S 받아")


TRANSCRIPT = st.text("가나ㅋ각 ()/+*%#bno.,?!1Aa\u1100\u1161\u11a8\t", max_size=24)


@untimed
@given(TRANSCRIPT)
def test_normalised_text_is_clean_and_does_not_change_again(raw: str) -> None:
    for normalize, removed in ((SPOKEN, "()/+*%#"), (WRITTEN, "()"), (PLAIN, "")):
        try:
            clean = normalize(raw)
        except TranscriptError:
            continue
        assert not set(clean) & set(removed)
        assert clean == unicodedata.normalize("NFC", " ".join(clean.split()))
        assert normalize(clean) == clean


VISIBLE = st.characters(
    exclude_categories=("Cs", "Cc", "Cf", "Cn", "Mn"),
    exclude_characters="\u115f\u1160\u2800\u3164\uffa0",
)


@untimed
@given(st.text(VISIBLE))
def test_plain_keeps_everything_that_is_seen_but_spacing(raw: str) -> None:
    assert PLAIN(raw).split() == unicodedata.normalize("NFC", raw).split()


SIGNS = "\0\x1b\x9b\xad\u034f\u115f\u200b\u200d\u200e\u202e\u2060\u2066\ufe0f\ufeff\ufff9\U000e0020"


@pytest.mark.parametrize("normalize", [SPOKEN, WRITTEN, PLAIN], ids=str)
def test_no_normaliser_leaves_a_character_that_nobody_sees(normalize: Normalizer) -> None:
    for sign in SIGNS:
        assert normalize(f"{sign}안녕{sign}하세요 {sign} 여러분") == "안녕하세요 여러분"
    assert invisible_characters(f"안녕{SIGNS} \t하세요") == SIGNS
    for blank in "\u00a0\u2003\u2800\u3000\u3164\uffa0\x85":
        assert normalize(f"안녕{blank}하세요") == "안녕 하세요"
    # Hangul that was written in parts, with something between them.
    assert normalize("\u1112\u200b\u1161\u11ab") == "한"
    with pytest.raises(TranscriptError, match=r"half a character, U\+D800"):
        normalize("안녕\ud800")


def test_numbers_are_rewritten_on_request_and_the_name_says_so() -> None:
    read, kept = normalizer("plain", "spoken"), normalizer("plain", "written")
    assert read("  430명이\u200b  70% ") == "사백삼십 명이 칠십 퍼센트"
    assert kept("  사백삼십   명이 칠십 퍼센트") == "430명이 70%"
    assert normalizer("plain", "keep") == PLAIN
    assert str(read) == f"plain/2+spoken/{spoken_form.VERSION}"
    assert str(kept) == f"plain/2+written/{written_form.VERSION}"
    spelling = normalizer("kspon-spelling", "written")
    assert spelling("b/ (70%)/(칠십 퍼센트) 하고 세 시") == "70% 하고 3시"


@untimed
@given(ANY_TEXT)
def test_rewritten_numbers_do_not_change_again(raw: str) -> None:
    for normalize in (normalizer("plain", "spoken"), normalizer("plain", "written")):
        try:
            clean = normalize(raw)
        except TranscriptError:  # half a character
            continue
        assert normalize(clean) == clean == " ".join(clean.split())
        assert unicodedata.is_normalized("NFC", clean)


def test_punctuation_is_dropped_on_request_and_the_name_says_so() -> None:
    dropped = normalizer("plain", punctuation="drop")
    assert dropped("  “그래.”\u200b  3.14, 네?") == "그래 3.14 네"
    assert str(dropped) == f"plain/2+unpunctuated/{punctuation.VERSION}"
    both = normalizer("kspon-spelling", "spoken", "drop")
    assert both("b/ (70%)/(칠십 퍼센트), A-B.") == "칠십 퍼센트 에이비"
    assert str(both) == (
        f"kspon-spelling/2+spoken/{spoken_form.VERSION}+unpunctuated/{punctuation.VERSION}"
    )


ANY_UNICODE = st.one_of(ANY_TEXT, TRANSCRIPT, st.text(st.characters(exclude_categories=())))


@untimed
@given(ANY_UNICODE)
def test_any_unicode_is_normalised_or_refused_and_does_not_change_again(raw: str) -> None:
    is_whole = not re.search("[\ud800-\udfff]", raw)
    for normalize in (
        *(normalizer("plain", "keep", choice) for choice in get_args(Punctuation)),
        *(normalizer("plain", numbers, "drop") for numbers in get_args(Numbers)),
        normalizer("kspon-pronunciation", "keep", "drop"),
        normalizer("kspon-spelling", "keep", "drop"),
    ):
        try:
            clean = normalize(raw)
        except TranscriptError:
            assert normalize.name != "plain" or not is_whole
            continue
        assert normalize(clean) == clean == " ".join(clean.split())
        assert unicodedata.is_normalized("NFC", clean)
        assert not invisible_characters(clean)


def test_normalisers_have_names_and_versions() -> None:
    assert str(SPOKEN) == "kspon-pronunciation/2"
    assert str(WRITTEN) == "kspon-spelling/2"
    assert str(PLAIN) == "plain/2"
    with pytest.raises(UserError, match="kspon-pronunciation, kspon-spelling, plain"):
        normalizer("kspon")
