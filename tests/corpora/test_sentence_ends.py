"""Corpora in which some transcripts have punctuation and others have none."""

import json
from pathlib import Path

import pytest
from helpers.trees import read_cuts, texts_by_id, write_text, write_tone

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions, Shard
from sorigeul.corpora.preparation import prepare, prepare_shard
from sorigeul.corpora.sentence_ends import SentenceEnds

TEXTS = [f"말 {number}, 말." if number % 2 else f"말 {number}" for number in range(24)]


def table(folder: Path, texts: list[str]) -> Path:
    """A table of these texts, each with a recording."""
    for number in range(len(texts)):
        write_tone(folder / f"{number}.wav")
    rows = [f'{number}.wav,"{text}",s{number % 6}' for number, text in enumerate(texts)]
    return write_text(folder / "t.csv", "\n".join(["audio,text,speaker", *rows]))


@pytest.mark.parametrize(
    ("full_stop", "word", "mixed"),
    [(10, 10, True), (9, 40, False), (100, 11, False), (100, 12, True), (0, 99, False)],
)
def test_only_many_of_each_kind_are_a_mixture(full_stop: int, word: int, mixed: bool) -> None:
    ends = SentenceEnds()
    for text in [*["그래."] * full_stop, *["그래"] * word, *["그래?"] * 99]:
        ends.add(text)
    assert ends == SentenceEnds(full_stop, word)
    assert ends.mixed == mixed


def test_punctuation_is_dropped_where_it_is_mixed_and_the_report_says_so(tmp_path: Path) -> None:
    report = prepare(CORPORA["table"], table(tmp_path, TEXTS), tmp_path / "out")
    assert texts_by_id(tmp_path / "out") == {
        f"{number}.wav": text.replace(",", "").replace(".", "") for number, text in enumerate(TEXTS)
    }
    assert report.normalizer == "plain/2+unpunctuated/1"
    assert report.sentence_ends == {"full_stop": 12, "word": 12}
    assert report.warnings[0] == (
        "12 transcripts end with a full stop and 12 with a word: punctuation was dropped from all, "
        "since a model cannot hear which it is; --punctuation keep leaves it"
    )
    written = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert written["splits"]["train"]["distinct_characters"] <= 12  # 말, a space and digits
    for cut in read_cuts(tmp_path / "out" / "train.jsonl"):
        assert "plain/2+unpunctuated/1" in json.dumps(cut)


def test_punctuation_can_be_kept_and_dropped_whatever_the_texts_are(tmp_path: Path) -> None:
    source = table(tmp_path, TEXTS)
    report = prepare(CORPORA["table"], source, tmp_path / "a", PrepareOptions(punctuation="keep"))
    assert texts_by_id(tmp_path / "a")["1.wav"] == "말 1, 말."
    assert report.normalizer == "plain/2"
    assert report.warnings[0].endswith("--punctuation drop makes them alike")
    all_punctuated = table(tmp_path / "stops", [f"{text}." for text in TEXTS])
    headers = PrepareOptions(check="header")  # the recordings are tones
    report = prepare(CORPORA["table"], all_punctuated, tmp_path / "b", headers)
    assert (report.normalizer, report.warnings) == ("plain/2", ())
    drop = PrepareOptions(punctuation="drop", check="header")
    report = prepare(CORPORA["table"], all_punctuated, tmp_path / "c", drop)
    assert texts_by_id(tmp_path / "c")["1.wav"] == "말 1 말"
    assert (report.normalizer, report.warnings) == ("plain/2+unpunctuated/1", ())


def test_machines_that_share_the_work_decide_on_the_whole_corpus(tmp_path: Path) -> None:
    source, options = table(tmp_path, TEXTS), PrepareOptions(shards=8)
    for _ in range(2):  # measures, then writes archives
        for number in (1, 2):
            prepare_shard(CORPORA["table"], source, tmp_path / "out", Shard(number, 2), options)
    prepare(CORPORA["table"], source, tmp_path / "out", options)
    prepare(CORPORA["table"], source, tmp_path / "one", options)
    archives = [sorted((tmp_path / out).rglob("*.tar")) for out in ("out", "one")]
    assert [path.read_bytes() for path in archives[0]] == [
        path.read_bytes() for path in archives[1]
    ]
    assert len(archives[0]) >= 3
