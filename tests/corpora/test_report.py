"""Warnings of the report, and the report as JSON."""

import json
from pathlib import Path

from helpers.trees import write_speakers

from sorigeul.corpora.archives import UnreadableRecording
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.counts import SplitCounts
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.reading import CorpusContents
from sorigeul.corpora.report import warnings
from sorigeul.corpora.utterances import Layout, Utterance


def splits(**texts: list[str]) -> dict[str, SplitCounts]:
    """Counts of splits with these texts, of a speaker without a name."""
    counts = {}
    for split, split_texts in texts.items():
        counts[split] = SplitCounts()
        for text in split_texts:
            counts[split].add(Utterance("u", Path("u.wav"), text, duration=1.0))
    return counts


def test_a_complete_corpus_gives_no_warning() -> None:
    counts = splits(train=["가", "나"], dev=["다"], test=["라"])
    assert not list(warnings(CorpusContents(), "corpus", counts, []))


def test_missing_splits_and_repeated_sentences_are_warned_of() -> None:
    counts = splits(train=["가", "나"], test=["가", "나", "다"])
    assert list(warnings(CorpusContents(), "corpus", counts, [])) == [
        "no utterance in dev",
        "test: 2 of 3 sentences are in train too; a model can know them",
    ]


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
