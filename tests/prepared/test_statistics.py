"""Statistics of a corpus whose every figure is known."""

import pytest

from sorigeul.prepared.corpus import PreparedCorpus
from sorigeul.prepared.statistics import corpus_statistics, middle, script_of, table_rows


def test_every_figure_of_the_table(prepared: PreparedCorpus) -> None:
    header, *rows = table_rows(corpus_statistics(prepared, sample=0, jobs=1))
    assert header == ["", "train", "dev", "test"]
    table = {name: cells for name, *cells in rows}
    assert table["utterances"] == ["4", "1", "1"]
    assert table["speakers"] == ["2", "1", "1"]
    assert table["without a speaker"] == ["0", "0", "0"]
    assert table["seconds"] == ["1.5 (1.1 to 1.9)", "1.0 (1.0 to 1.0)", "3.0 (3.0 to 3.0)"]
    assert table["syllables a second"][1:] == ["5.0 (5.0 to 5.0)", "1.3 (1.3 to 1.3)"]
    assert table["characters"] == ["24", "5", "4"]
    assert table["characters seen once"][2] == "4"
    assert table["sentences"] == ["3", "1", "1"]
    assert table["said before in the split"] == ["1", "0", "0"]
    assert table["sentences also in train"] == ["-", "1", "0"]
    assert table["texts with Latin"] == table["texts with digits"] == ["1", "0", "0"]
    assert "texts with Han" not in table
    assert table["recordings heard"] == ["4", "1", "1"]
    assert table["clipped"] == ["0", "0", "0"]
    assert table["silence around, s"][2].startswith("0.5 (")


def test_repeats_and_examples_are_named(prepared: PreparedCorpus) -> None:
    statistics = corpus_statistics(prepared, sample=1, jobs=1)
    assert statistics.listened == 1
    assert statistics.most_repeated(5) == [("안녕하세요.", {"train": 2, "dev": 1})]
    assert statistics.examples == {"Latin": ["DSLR 3대"], "digits": ["DSLR 3대"]}
    assert statistics.seconds_of == {"가": 3.0, "나": 3.0, "다": 1.0, "라": 3.0}
    assert statistics.overlap[0].startswith("dev: 1 of 1 sentences")


def test_what_cannot_be_heard_is_named_and_any_number_of_processes_gives_the_same(
    prepared: PreparedCorpus,
) -> None:
    (prepared.folder.parent / "audio" / "f.wav").write_bytes(b"no sound")
    one, two = (corpus_statistics(PreparedCorpus(prepared.folder), 0, jobs) for jobs in (1, 2))
    assert table_rows(one) == table_rows(two)
    assert one.unreadable == two.unreadable
    (reason,) = one.unreadable
    assert "f.wav" in reason


@pytest.mark.parametrize(
    ("characters", "script"),
    [
        ("가힣ㄱㅏ", "Hangul"),
        ("aZé", "Latin"),
        ("3½٣", "digits"),
        ("人々", "Han"),
        ("のカ", "Kana"),
        ("яب", "others"),
        (" .?！…", ""),
    ],
)
def test_scripts(characters: str, script: str) -> None:
    assert {one: script_of(one) for one in characters} == dict.fromkeys(characters, script)


def test_the_middle_of_nothing_is_a_dash() -> None:
    assert middle([]) == "-"
    assert middle([1, 2, 3], digits=0) == "2 (1 to 3)"
