"""Vocabularies: order of the units, specials, the published table, errors for damaged files."""

import csv
import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import SHARED
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sorigeul.base.errors import UserError
from sorigeul.text.vocabulary import SPECIALS, Kind, Vocabulary

# No limits on time: the machine may be slow or busy.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PUBLISHED = SHARED / "vocabularies" / "kspon-2040.csv"

TABLE = 'id,char,freq\n0, ,50\n1,",",40\n2,그,30\n3,"""",20\n4,<s>,0\n5,</s>,0\n6,_,0\n'


def test_units_are_ordered_by_falling_frequency_then_by_code_point() -> None:
    vocabulary = Vocabulary.from_texts(["나가 나", "다가 나"])
    assert vocabulary.units == ("나", " ", "가", "다", "<s>", "</s>", "_")
    assert (vocabulary.sos_id, vocabulary.eos_id, vocabulary.pad_id) == (4, 5, 6)
    assert len(vocabulary) == 7
    assert Vocabulary.from_texts(["다가 나", "나가 나"]) == vocabulary


def test_min_count_leaves_rare_characters_out() -> None:
    assert Vocabulary.from_texts(["가가나"], min_count=2).units == ("가", "<s>", "</s>", "_")
    with pytest.raises(UserError, match="no character occurs 3 times"):
        Vocabulary.from_texts(["가가나"], min_count=3)


def test_a_character_that_equals_a_special_is_unknown() -> None:
    vocabulary = Vocabulary.from_texts(["가_나__"])
    assert vocabulary.units == ("가", "나", "<s>", "</s>", "_")
    assert vocabulary.encode("_가_") == [0]
    assert vocabulary.unknown("_가다_") == ["_", "다", "_"]
    assert vocabulary.encode("<s>") == []


def test_decode_stops_at_the_end_and_skips_start_and_padding() -> None:
    vocabulary = Vocabulary.from_texts(["가가나"])
    sos, eos, pad = vocabulary.sos_id, vocabulary.eos_id, vocabulary.pad_id
    assert vocabulary.decode([sos, 0, pad, 1, eos, 0, 0]) == "가나"
    for invalid in (-1, 5):
        with pytest.raises(ValueError, match=f"id {invalid} "):
            vocabulary.decode([invalid])


def test_jamo_vocabularies_encode_jamo_and_decode_to_syllables() -> None:
    vocabulary = Vocabulary.from_texts(["각 가"], kind="jamo")
    assert vocabulary.units[:-3] == ("\u1100", "\u1161", " ", "\u11a8")
    assert vocabulary.decode(vocabulary.encode("각 가")) == "각 가"
    assert vocabulary.encode("깍") == [1, 3]
    assert vocabulary.unknown("깍") == ["\u1101"]


@pytest.mark.parametrize("kind", ["syllable", "jamo"])
@untimed
@given(text=st.text("가각힣ㅋ뷁 aZ1,.?é\u1100\u1161", min_size=1))
def test_encoding_and_json_round_trip(kind: Kind, text: str) -> None:
    vocabulary = Vocabulary.from_texts([text], kind)
    assert vocabulary.decode(vocabulary.encode(text)) == unicodedata.normalize("NFC", text)
    loaded = Vocabulary.from_json(vocabulary.to_json(), "vocabulary.json")
    assert loaded == vocabulary
    assert loaded.hash == vocabulary.hash


def test_the_hash_depends_on_units_order_and_kind() -> None:
    vocabularies = [
        Vocabulary(("a", "b", "<s>", "</s>", "_")),
        Vocabulary(("b", "a", "<s>", "</s>", "_")),
        Vocabulary(("a", "<s>", "</s>", "_")),
        Vocabulary(("a", "b", "<s>", "</s>", "_"), "jamo"),
    ]
    assert len({vocabulary.hash for vocabulary in vocabularies}) == 4
    assert vocabularies[0].hash == Vocabulary(("a", "b", "<s>", "</s>", "_")).hash
    assert len(vocabularies[0].hash) == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["units"].__setitem__(0, "나"), "do not match its hash"),
        (lambda c: c["units"].insert(0, "가"), "'가' occurs 2 times"),
        (lambda c: c["units"].insert(0, "가나"), "'가나' is not a single character"),
        (lambda c: c["units"].pop(), "last three units must be <s> </s> _"),
        (lambda c: c["units"].insert(0, 7), "not a list of strings"),
        (lambda c: c.update(kind="word"), "kind 'word' is none of syllable, jamo"),
        (lambda c: c.update(format="other/1"), "format is not sorigeul-vocabulary/1"),
        (lambda c: c.pop("units"), "not a list of strings"),
    ],
)
def test_damaged_json_is_refused_with_one_line(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    content = json.loads(Vocabulary.from_texts(["가"]).to_json())
    change(content)
    with pytest.raises(UserError, match=f"^run/vocabulary.json: .*{message}") as raised:
        Vocabulary.from_json(json.dumps(content), "run/vocabulary.json")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"units": []}'])
def test_other_json_files_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^v\.json: not a usable vocabulary"):
        Vocabulary.from_json(text, "v.json")


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("", "is a folder"), ("pipe", "is a named pipe"), ("gone", "cannot be")):
        with pytest.raises(UserError, match=f"{tmp_path / name}.* {message}"):
            Vocabulary.read(tmp_path / name)
    (tmp_path / "v.json").write_bytes(b"\xff" + Vocabulary(("a", *SPECIALS)).to_json().encode())
    with pytest.raises(UserError, match=r"v\.json: not a usable vocabulary"):
        Vocabulary.read(tmp_path / "v.json")


def test_a_table_with_a_byte_order_mark_and_quotes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xef\xbb\xbf" + TABLE.replace("\n", "\r\n").encode())
    vocabulary = Vocabulary.from_csv(path)
    assert vocabulary.units == (" ", ",", "그", '"', "<s>", "</s>", "_")
    assert vocabulary.encode('그, "') == [2, 1, 0, 3]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id,char,freq", "label,text", "first line must be 'id,char,freq', not 'label,text'"),
        ("2,그,30", "3,그,30", r"table\.csv:4: expected 3 fields, the first 2; found '3,그,30'"),
        ("2,그,30", "2,그", r"table\.csv:4: expected 3 fields"),
        ("2,그,30", '2," ",30', "unit ' ' occurs 2 times"),
        ("2,그,30", "2,그래,30", "unit '그래' is not a single character"),
        ("2,그,30", "2,,30", "unit '' is not a single character"),
        ("6,_,0\n", "", "last three units must be <s> </s> _"),
        ("4,<s>,0\n5,</s>,0", "4,</s>,0\n5,<s>,0", "last three units must be <s> </s> _"),
        (TABLE, "", "first line must be"),
    ],
)
def test_damaged_tables_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLE.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=message) as raised:
        Vocabulary.from_csv(path)
    assert "\n" not in str(raised.value)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv: no such vocabulary file"):
        Vocabulary.from_csv(tmp_path / "none.csv")


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the published table is not available")
def test_the_published_table_is_read() -> None:
    vocabulary = Vocabulary.from_csv(PUBLISHED)
    assert len(vocabulary) == 2040
    assert (vocabulary.sos_id, vocabulary.eos_id, vocabulary.pad_id) == (2037, 2038, 2039)
    assert vocabulary.encode(" .그,") == [0, 1, 2, 21]
    with PUBLISHED.open(encoding="utf-8-sig", newline="") as file:
        assert tuple(row["char"] for row in csv.DictReader(file)) == vocabulary.units
