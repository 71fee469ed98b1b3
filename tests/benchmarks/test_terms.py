"""benchmarks/terms.py: which words are chosen, what is counted, and that it runs."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from helpers.scripts import load_benchmark

from sorigeul.text.vocabulary import SPECIALS, Vocabulary

terms = load_benchmark("terms")


def test_the_words_are_rare_long_and_writable() -> None:
    vocabulary = Vocabulary((*"가나다라마바사아 ", *SPECIALS))
    train = ["가나다 라마", "바사아"]
    dev = ["나라가 가나다 라마바 사사사", "라마바 바사 사사사나 쀍쀍쀍", "다라마 마가나"]
    # In train: 가나다; 다라마, across a space; 라마바 is not. Too short: 바사. No such unit: 쀍.
    chosen = terms.rare_words(train, dev, vocabulary)
    assert chosen[0] == "라마바"
    assert set(chosen) == {"라마바", "나라가", "사사사", "사사사나", "마가나"}
    assert terms.rare_words(train, dev, vocabulary, count=2) == chosen[:2]
    assert terms.rare_words(train, dev[::-1], vocabulary) == chosen


@pytest.mark.parametrize(
    ("hypothesis", "expected"),
    [
        ("오늘 라마바 가 왔다", (1, 1, 0, 3, 0)),
        ("오늘 라 마바 가 왔다", (1, 1, 0, 3, 1)),  # found, and a word was put in
        ("오늘 나마바 가 왔다", (1, 0, 0, 3, 0)),  # not found: none of the other words is wrong
        ("어제 라마바 라마바 왔다", (1, 1, 1, 3, 2)),
        ("", (1, 0, 0, 3, 3)),
    ],
)
def test_terms_and_other_words_are_counted(hypothesis: str, expected: tuple[int, ...]) -> None:
    found = terms.count_terms(["라마바"], "오늘 라마바 가 왔다", hypothesis)
    assert found == terms.TermCounts(*expected)


def test_it_searches_with_and_without_the_terms(
    run: Path,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(corpus / "train.jsonl", tmp_path / "dev.jsonl")
    shutil.copy(corpus / "dev.jsonl", tmp_path / "train.jsonl")
    monkeypatch.setattr(sys, "argv", ["terms.py", str(run), str(tmp_path), "--weight", "0.5"])
    terms.main()
    rows = re.findall(r"(?m)^\| (no terms|0\.5) \| (\d+) of (\d+) \|", capsys.readouterr().out)
    assert [name for name, _, _ in rows] == ["no terms", "0.5"]
    assert rows[0][2] == rows[1][2]
    for _, found, spoken in rows:
        assert 0 < int(found) <= int(spoken)
