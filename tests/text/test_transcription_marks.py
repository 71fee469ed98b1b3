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
    ],
)
def test_marks_are_found_and_text_is_not_taken_for_them(text: str, marks: list[str]) -> None:
    assert transcription_marks(text) == marks
