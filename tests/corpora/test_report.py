"""Warnings of the report, and the report as JSON."""

import json
from pathlib import Path

from helpers.trees import write_speakers

from sorigeul.corpora.archives import UnreadableRecording
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.counts import SplitCounts
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.reading import CorpusContents
from sorigeul.corpora.report import ReportedContents, overlap, read_contents, warnings
from sorigeul.corpora.utterances import Layout, Utterance


def splits(speakers: str = "", **texts: list[str]) -> dict[str, SplitCounts]:
    """Counts of splits with these texts, each split of one of the speakers, or of none."""
    counts = {}
    for number, (split, split_texts) in enumerate(texts.items()):
        counts[split] = SplitCounts()
        for text in split_texts:
            speaker = speakers[number] if speakers else None
            counts[split].add(Utterance("u", Path("u.wav"), text, speaker, duration=1.0))
    return counts


def test_a_complete_corpus_gives_no_warning() -> None:
    counts = splits(train=["가", "나"], dev=["다"], test=["라"])
    assert not list(warnings(CorpusContents(), "corpus", counts, []))


def test_missing_splits_are_warned_of() -> None:
    counts = splits(train=["가", "나"], test=["다"])
    assert list(warnings(CorpusContents(), "corpus", counts, [])) == ["no utterance in dev"]


def test_what_is_in_train_too_is_said_and_judged() -> None:
    many = [f"말 {number}" for number in range(99)]
    for (train, test, speakers), (said, leaks) in {
        (("가",), ("나",), "ab"): ("no sentence and no speaker of test is in train", False),
        (("가", "나"), ("가?", " 나.", "다"), "ab"): ("2 of 3 sentences and 0 of 1 speakers", True),
        (("가",), ("나",), "aa"): ("test: 0 of 1 sentences and 1 of 1 speakers", True),
        (("네",), ("네", *many), "ab"): ("test: 1 of 100 sentences and 0 of 1 speakers", False),
        (("가",), ("나",), ""): ("is in train; 2 utterances name no speaker", False),
    }.items():
        text, judged = overlap(splits(speakers, train=list(train), test=list(test)))
        assert said in text
        assert judged == leaks
    assert overlap(splits(test=["가"])) == overlap(splits(train=["가"])) == ("", False)


def test_published_counts_that_differ_are_warned_of_but_not_hours() -> None:
    contents = CorpusContents(Layout("", {"all": {"utterances": 1_500, "hours": 9, "speakers": 0}}))
    contents.counts.update(splits(train=["가"]))
    warning, *_ = warnings(contents, "corpus", {}, [])
    assert warning == "all: 1 usable utterances; published: 1,500"
    assert len(list(warnings(contents, "corpus", {}, []))) == 4  # and the three missing splits


def test_of_many_recordings_the_first_five_are_named() -> None:
    contents = CorpusContents(odd_sized=list("abcde"))
    unreadable = [UnreadableRecording(id_, "silent") for id_ in "abcdef"]
    counts = splits(train=["가"], dev=["나"], test=["다"])
    odd_sized, undecodable = warnings(contents, "corpus", counts, unreadable)
    assert odd_sized.endswith("which is dropped: a, b, c, d, e")
    assert undecodable.startswith("6 recordings cannot be decoded")
    assert undecodable.endswith("d (silent), e (silent), ...")


def test_utterances_without_a_speaker_are_counted_where_splits_are_by_speaker() -> None:
    counts = splits(train=["가"], dev=["나"], test=["다"])
    (warning,) = warnings(CorpusContents(), "speaker", counts, [])
    assert warning == "3 utterances name no speaker; they were kept together as one"
    (warning,) = warnings(CorpusContents(), "utterance", counts, [])
    assert warning.startswith("too few speakers")


def test_the_file_holds_the_fields_of_the_report(tmp_path: Path) -> None:
    report = prepare(CORPORA["table"], write_speakers(tmp_path / "in", 4), tmp_path / "out")
    text = (tmp_path / "out" / "report.json").read_text(encoding="utf-8")
    assert text == report.to_json()
    fields = json.loads(text)
    assert list(fields) == list(vars(report))
    assert fields["splits"] == report.splits
    assert fields["options"]["max_duration"] == 35.0
    assert "seed" not in fields["options"]


def test_a_report_tells_whoever_trains_what_the_corpus_is(tmp_path: Path) -> None:
    report = prepare(CORPORA["table"], write_speakers(tmp_path / "in", 4), tmp_path / "data")
    contents = read_contents(tmp_path / "data")
    assert contents.corpora == report.corpora == ("table",)
    assert contents.splits["train"]["utterances"] == report.splits["train"]["utterances"]
    path = tmp_path / "data" / "report.json"
    content = json.loads(path.read_bytes())
    del content["corpora"]  # as it was before
    path.write_text(json.dumps(content), encoding="utf-8")
    assert read_contents(tmp_path / "data") == contents
    path.write_text(json.dumps({**content, "layout": "prepared corpora"}), encoding="utf-8")
    assert read_contents(tmp_path / "data").corpora == ()  # of which ones it did not say
    for damage in ("", "[]", '{"corpus": 1}', '{"corpus": "a", "layout": "", "splits": [1]}'):
        path.write_text(damage, encoding="utf-8")
        assert read_contents(tmp_path / "data") == ReportedContents()
