"""CSV and TSV: separators, quotation marks, and rows that no mark can swallow."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigeul.base.errors import UserError
from sorigeul.corpora.tables.columns import Values
from sorigeul.corpora.tables.separated_values import read_rows


def texts(table: str, separator: str) -> dict[int, str]:
    """The text of each row that can be read, by its line."""
    return {
        row.number: row.content.text
        for row in read_rows(table, "t", separator)
        if isinstance(row.content, Values)
    }


def faults(table: str, separator: str) -> dict[int, str]:
    """Why the other rows cannot be read."""
    rows = read_rows(table, "t", separator)
    return {row.number: row.content for row in rows if isinstance(row.content, str)}


@pytest.mark.parametrize("promised", [",", "\t"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_the_one_that_divides_the_header(promised: str, separator: str) -> None:
    rows = [["audio", "text"], ["a.wav", "가 나"], ["b.wav", "다"]]
    table = "\n".join(map(separator.join, rows)) + "\n"
    assert texts(table, promised) == {2: "가 나", 3: "다"}


def test_a_header_without_the_columns_is_shown_as_it_is_divided() -> None:
    with pytest.raises(UserError, match=r"no column text; .* and has audio, words$"):
        list(read_rows("audio;words\n", "t", ","))
    with pytest.raises(UserError, match="t:2: not a readable header"):
        list(read_rows('\n"audio,text\n', "t", ","))
    with pytest.raises(UserError, match="and has nothing"):
        list(read_rows("", "t", ","))


@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_stray_quotation_mark_costs_its_own_row_only(separator: str) -> None:
    rows = ["audio,text", 'a.wav,"가', "b.wav,나", 'c.wav,"다"라', 'd.wav,마"', "e.wav,바"]
    table = "\n".join(rows).replace(",", separator)
    if separator == ",":
        assert texts(table, separator) == {3: "나", 5: '마"', 6: "바"}
        assert list(faults(table, separator)) == [2, 4]
        assert faults(table, separator)[2].startswith("a quotation mark is not closed in its line")
    else:
        expected = {2: '"가', 3: "나", 4: '"다"라', 5: '마"', 6: "바"}
        assert texts(table, separator) == expected


def test_a_field_with_a_line_end_is_refused_where_it_began() -> None:
    table = 'audio,text\na.wav,"첫 줄\n둘째 줄"\nb.wav,나\n'
    assert texts(table, ",") == {4: "나"}
    assert list(faults(table, ",")) == [2, 3]


def test_a_tsv_has_no_quoting_unless_it_plainly_does() -> None:
    spoken = 'audio\ttext\na.wav\t"가"\nb.wav\t나 "다"\n'
    assert texts(spoken, "\t") == {2: '"가"', 3: '나 "다"'}
    doubled = 'audio\ttext\na.wav\t"가"\nb.wav\t"나 ""다"""\n'
    assert texts(doubled, "\t") == {2: "가", 3: '나 "다"'}
    header = '"audio"\t"text"\n"a.wav"\t"가"\n'
    assert texts(header, "\t") == {2: "가"}


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1)


@given(st.lists(_TEXT, min_size=1), st.sampled_from([",", ";"]))
def test_what_was_written_by_the_rules_is_read_back(fields: list[str], separator: str) -> None:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, lineterminator="\n")
    writer.writerows([["audio", "text"], *(["a.wav", field] for field in fields)])
    assert list(texts(written.getvalue(), ",").values()) == fields


@given(st.lists(_TEXT, min_size=1), st.sampled_from([",", "\t"]))
def test_no_text_costs_another_row(fields: list[str], separator: str) -> None:
    """Whatever is in the rows between, the rows around them are read."""
    lines = [f"m.wav{separator}{field}" for field in fields]
    table = "\n".join([f"audio{separator}text", f"a.wav{separator}가", *lines, f"z{separator}하"])
    read = texts(table, separator)
    assert read[2] == "가"
    assert read[len(fields) + 3] == "하"
    assert len(read) + len(faults(table, separator)) == len(fields) + 2
