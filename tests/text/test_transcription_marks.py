"""Marks of AI Hub's transcription rules are told from text."""

import pytest

from sorigeul.text.transcription_marks import transcription_marks


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("b/ 아/ 지금 (3시)/(세 시)에 n/", [")/(", "b/"]),
        ("(70%) / (칠십 퍼센트)", [")/("]),
        ("뭐+ 뭐라고 했어* u/", ["b/", "+", "*"]),
        ("1+1 행사, A+ 학점, 아이폰+아이패드", []),
        ("그는 (웃으며) 말했다. km/h", []),
        ("별표*를 누르세요", []),
        ("@이름1 씨 오늘 &소음& 회의 있어요", ["@이름1", "&name&"]),
        ("(())/(음) 그렇지요", [")/(", "(())"]),
        ("#이름# 씨 {laughing} ((그거))", ["#이름#", "(())", "{laughing}"]),
        ("(NO:) 뭐 (SP:묵었노)", ["(SP:)"]),
        ("a@b.kr, R&B와 B&B, C#과 F#, ((가", []),
    ],
)
def test_marks_are_found_and_text_is_not_taken_for_them(text: str, marks: list[str]) -> None:
    assert transcription_marks(text) == marks


def test_the_marks_of_etri_are_left_out_where_they_are_read() -> None:
    assert transcription_marks("b/ 뭐+ (3시)/(세 시) &소음&", etri=False) == ["&name&"]
