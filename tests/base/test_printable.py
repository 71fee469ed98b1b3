"""Nothing that a terminal would obey is shown."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from sorigeul.base.printable import LAYOUT, printable


def test_escape_sequences_are_shown_as_text() -> None:
    assert printable("\x1b[31mred\x07 \x9b2J \x7f\r") == r"\u001b[31mred\u0007 \u009b2J \u007f\r"
    assert printable("\u202eevil\u2066 \u2028 \udc80") == r"\u202eevil\u2066 \u2028 \udc80"
    assert printable("가\t나\n", LAYOUT) == "가\t나\n"
    assert printable("가\t나\n") == r"가\t나\n"
    text = "\x1b\x7f\x9b\u202e\U000e0020"
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


@given(st.text())
def test_the_rest_stays(text: str) -> None:
    shown = printable(text, LAYOUT)
    assert not {unicodedata.category(one) for one in shown if one not in "\n\t"} & {"Cc", "Cf"}
    kept = [one for one in text if unicodedata.category(one)[0] in "LMNPS" or one in " \u3000\n"]
    remaining = iter(shown)
    assert all(one in remaining for one in kept)
