"""Vocabularies: order of the units, specials, the published table, errors for damaged files."""

import csv
import json
import os
import unicodedata
from collections import Counter
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


TEXTS = ["나는 학교에 간다", "너는 학교에서 온다", "나는 집에 간다"]
BPE = Vocabulary.learn(TEXTS, 24)


def test_bpe_units_are_the_characters_and_then_what_is_joined() -> None:
    characters = " 에는다나학간교온너서집"
    assert "".join(sorted(BPE.units[:12])) == "".join(sorted(characters))
    assert BPE.units[0] == " "
    joined = (" 간", " 간다", " 나", " 나는", " 학", " 학교", " 학교에")
    assert BPE.units[12:] == (*joined, *SPECIALS)
    assert BPE.decode(BPE.encode("나는 학교에서")) == "나는 학교에서"
    assert [BPE.units[unit] for unit in BPE.encode("학교에 간다")] == [" 학교에", " 간다"]
    assert [BPE.units[unit] for unit in BPE.encode("그 학교")] == [" ", " 학교"]
    assert BPE.unknown("그 학교") == ["그"]
    assert [BPE.units[unit] for unit in BPE.encode_all("그 학교")] == [" ", "_", " 학교"]


@untimed
@given(text=st.text("".join(BPE.units[:12])))
def test_bpe_encoding_round_trips_texts_of_known_characters(text: str) -> None:
    ids = BPE.encode(text)
    assert BPE.decode(ids) == text
    assert BPE.encode_all(text) == ids
    assert BPE.encode(BPE.decode(ids)) == ids
    assert BPE.spell(ids) == BPE.encode_characters(text)
    assert text == "" or BPE.decode(ids, continues=True) == f" {text}"


@untimed
@given(text=st.text())
def test_bpe_encoding_takes_any_text(text: str) -> None:
    normal = unicodedata.normalize("NFC", text)
    known = "".join(one for one in normal if one in BPE.units[:-3])
    assert BPE.decode(BPE.encode(text)) == known
    assert BPE.encode_all(text).count(BPE.pad_id) == len(BPE.unknown(text))
    vocabulary = Vocabulary.learn([text, "가"], 1000)
    assert vocabulary.decode(vocabulary.encode(text)) == normal.replace("_", "")
    assert Vocabulary.from_json(vocabulary.to_json(), "vocabulary.json") == vocabulary


def test_bpe_units_never_spell_a_special() -> None:
    vocabulary = Vocabulary.learn(["<s></s>_"] * 3, 100)
    assert Counter(vocabulary.units).most_common(1)[0][1] == 1
    assert vocabulary.decode(vocabulary.encode("<s> </s>")) == "<s> </s>"


def test_bpe_leaves_rare_characters_out_and_needs_room() -> None:
    vocabulary = Vocabulary.learn(["가나 가나 가다"], 100, min_count=2)
    assert vocabulary.units == (" ", "가", "나", " 가", " 가나", *SPECIALS)
    with pytest.raises(UserError, match=r"bpe_units is 15, but must be more than 15: .* 12 diff"):
        Vocabulary.learn(TEXTS, 15)
    assert len(Vocabulary.learn(TEXTS, 16)) == 16
    # No pair occurs twice any more: fewer units than there may be.
    assert len(Vocabulary.learn(TEXTS, 1000)) < 40


def test_a_bpe_vocabulary_is_extended_by_characters_alone() -> None:
    other = Vocabulary.learn(["산에 간다 산에 간다"], 30)
    extended = BPE.extended(other)
    assert extended.units == (*BPE.units[:-3], "산", *SPECIALS)
    assert extended.encode("나는 학교에 간다") == BPE.encode("나는 학교에 간다")
    assert extended.decode(extended.encode("산에 간다")) == "산에 간다"
    with pytest.raises(UserError, match="a bpe vocabulary cannot be extended by a syllable one"):
        BPE.extended(Vocabulary.from_texts(["산"]))


def test_the_jamo_of_units_of_several_characters() -> None:
    vocabulary = Vocabulary((" ", "가", "각", " 가", " 가각", *SPECIALS), "bpe")
    giyeok, a, final = 1, 20, 41
    rows = vocabulary.jamo_ids()
    assert rows[1] == (giyeok, a, 0, *[-1] * 6)
    assert rows[4] == (0, 0, 0, giyeok, a, 0, giyeok, a, final)
    assert rows[-1] == (0, 0, 0, *[-1] * 6)
    assert {len(ids) for ids in Vocabulary.from_texts(["각 가"]).jamo_ids()} == {3}


def test_the_hash_depends_on_units_order_and_kind() -> None:
    vocabularies = [
        Vocabulary(("a", "b", "<s>", "</s>", "_")),
        Vocabulary(("b", "a", "<s>", "</s>", "_")),
        Vocabulary(("a", "<s>", "</s>", "_")),
        Vocabulary(("a", "b", "<s>", "</s>", "_"), "jamo"),
        Vocabulary((" ", "a", "<s>", "</s>", "_"), "bpe"),
    ]
    assert len({vocabulary.hash for vocabulary in vocabularies}) == 5
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
        (lambda c: c.update(kind="word"), "kind 'word' is none of syllable, jamo, bpe"),
        (lambda c: c.update(kind="bpe"), "there is no unit ' '"),
        (
            lambda c: c.update(kind="bpe", units=[" ", "가", "가 ", *SPECIALS]),
            "'가 ' spans two words",
        ),
        (
            lambda c: c.update(kind="bpe", units=[" ", " 나", *SPECIALS]),
            "'나' of unit ' 나' is not",
        ),
        (
            lambda c: c.update(kind="bpe", units=[" ", "", *SPECIALS]),
            "'' is not a single character",
        ),
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
