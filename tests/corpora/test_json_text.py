"""JSON with Hangul."""

import json

from sorigeul.corpora.json_text import to_json


def test_hangul_is_not_escaped() -> None:
    assert to_json({"글": "말"}) == '{"글": "말"}'


def test_names_that_are_not_valid_unicode_are_escaped() -> None:
    text = to_json({"글": "폴더\udcc0"})
    assert text.isascii()
    assert json.loads(text) == {"글": "폴더\udcc0"}
