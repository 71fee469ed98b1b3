"""What `data check` finds: each kind of damage, by the utterance that has it."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from sorigeul.base.errors import UserError
from sorigeul.prepared.checks import check_corpus
from sorigeul.prepared.corpus import PreparedCorpus

from .conftest import sound


def audio(corpus: PreparedCorpus, name: str) -> Path:
    return corpus.folder.parent / "audio" / name


def change(corpus: PreparedCorpus, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    """Edit the cuts of train."""
    path = corpus.folder / "train.jsonl"
    cuts = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    edit(cuts)
    path.write_text("".join(f"{json.dumps(cut)}\n" for cut in cuts), encoding="utf-8")


def set_text(text: str) -> Callable[[list[dict[str, Any]]], None]:
    return lambda cuts: cuts[0]["supervisions"][0].update(text=text)


def test_nothing_is_wrong_with_a_corpus_as_it_was_prepared(prepared: PreparedCorpus) -> None:
    result = check_corpus(prepared, jobs=1)
    assert (result.utterances, dict(result.faults)) == (6, {})
    assert result.overlap.startswith("dev: 1 of 1 sentences")


@pytest.mark.parametrize(
    ("damage", "faults"),
    [
        (lambda corpus: audio(corpus, "a.wav").unlink(), {"no recording": ["a.wav"]}),
        (
            lambda corpus: audio(corpus, "f.wav").write_bytes(b"RIFF"),
            {"recording that cannot be read": ["f.wav"]},
        ),
        (
            lambda corpus: soundfile.write(audio(corpus, "b.wav"), sound(1.5), 16000),
            {"recording of another length than the manifest says": ["b.wav"]},
        ),
        (
            lambda corpus: change(corpus, set_text(unicodedata.normalize("NFD", "한글"))),
            {
                "text that is not in NFC": ["a.wav"],
                "report of other characters than there are": ["report.json"],
            },
        ),
        (
            lambda corpus: change(corpus, set_text(" ")),
            {
                "empty text": ["a.wav"],
                "report of other characters than there are": ["report.json"],
            },
        ),
        (
            lambda corpus: change(corpus, lambda cuts: cuts[0].update(duration=0.5)),
            {"report of other hours than there are": ["report.json"]},
        ),
        (
            lambda corpus: (corpus.folder / "dev.jsonl").unlink(),
            {"report of other splits than there are": ["report.json"]},
        ),
        (
            lambda corpus: change(corpus, lambda cuts: cuts.append(cuts[1])),
            {
                "id more than once in train": ["b.wav"],
                "report of other utterances than there are": ["report.json"],
            },
        ),
        (
            lambda corpus: change(corpus, lambda cuts: cuts[0].update(id="e.wav")),
            {"id in train and in dev": ["e.wav"]},
        ),
        (lambda corpus: (corpus.folder / "report.json").unlink(), {"no report": ["report.json"]}),
        (
            lambda corpus: (corpus.folder / "report.json").write_text("{"),
            {"report that cannot be read": ["report.json"]},
        ),
    ],
)
def test_each_kind_of_damage_is_named(
    prepared: PreparedCorpus,
    damage: Callable[[PreparedCorpus], Any],
    faults: dict[str, list[str]],
) -> None:
    damage(prepared)
    result = check_corpus(PreparedCorpus(prepared.folder), jobs=1)
    assert dict(result.faults) == faults
    fault, (name,) = next(iter(faults.items()))
    assert next(result.lines()) == f"1 x {fault}: {name}"


def test_an_older_report_with_fewer_counts_is_enough(prepared: PreparedCorpus) -> None:
    path = prepared.folder / "report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    for counts in report["splits"].values():
        del counts["distinct_sentences"]
    path.write_text(json.dumps(report), encoding="utf-8")
    assert not check_corpus(prepared, jobs=1).faults


def test_texts_that_are_not_prepared_alike_are_named(prepared: PreparedCorpus) -> None:
    first = next(iter(prepared)).normalizer
    change(prepared, lambda cuts: cuts[0]["supervisions"][0]["custom"].update(normalizer="zebra/1"))
    result = check_corpus(PreparedCorpus(prepared.folder), jobs=1)
    assert result.faults == {"texts that are not prepared alike": [f"{first} and zebra/1"]}


def test_a_line_that_is_no_cut_is_named(prepared: PreparedCorpus) -> None:
    with (prepared.folder / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": 3}\n')
    with pytest.raises(UserError, match=r"train.jsonl:5 is no cut with text"):
        check_corpus(PreparedCorpus(prepared.folder), jobs=1)
