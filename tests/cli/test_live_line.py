"""Lines of a live transcript, on a real terminal device and without one."""

import io
import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigeul.cli.live_line import LiveLine, last_columns


def columns(text: str) -> int:
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


@given(st.text("가나다힣abc .,…é①𝄞", max_size=40), st.integers(1, 50))
def test_a_line_keeps_as_many_last_words_as_it_has_room_for(text: str, room: int) -> None:
    kept = last_columns(text, room)
    assert columns(kept) <= room
    if columns(text) <= room:
        assert kept == text
    else:
        assert kept.startswith("…")
        assert text.endswith(kept[1:])
        left_out = text[: len(text) - len(kept[1:])]
        assert columns(kept) + columns(left_out[-1]) > room


def test_on_a_terminal_text_is_rewritten_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "11")
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        line = LiveLine(terminal)
        line.provisional("오늘")
        line.provisional("오늘은 날씨가")
        line.final("오늘은 날씨가 참 좋네요")
        expected = "\r\x1b[K오늘\r\x1b[K…은 날씨가\r\x1b[K오늘은 날씨가 참 좋네요\r\n".encode()
        shown = b""
        while len(shown) < len(expected):  # a terminal hands over a part at a time
            shown += os.read(master, 10_000)
    os.close(master)
    assert shown.decode() == expected.decode()


def test_without_a_terminal_there_is_only_what_is_final() -> None:
    written = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    line = LiveLine(written)
    line.provisional("오늘")
    line.final("오늘은")
    written.seek(0)
    assert written.read() == "오늘은\n"


def test_a_character_that_the_terminal_does_not_have_is_escaped() -> None:
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    LiveLine(written).final("가a")
    written.seek(0)
    assert written.read() == "\\uac00a\n"
