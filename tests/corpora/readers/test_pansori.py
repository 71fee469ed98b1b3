"""Pansori TEDxKR: a small tree in its layout, and the corpus itself where it is available."""

import base64
from pathlib import Path

import pytest
from helpers.paths import SHARED
from helpers.trees import read_cuts, rejections, texts_by_id, write_text, write_tone

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare

PANSORI = SHARED / "corpora" / "pansori-tedxkr"


def test_speaker_names_are_decoded_and_unmatched_files_and_lines_are_rejected(
    tmp_path: Path,
) -> None:
    encoded = base64.urlsafe_b64encode("김\xff길동".encode()).decode().rstrip("=")
    not_encoded = "not-a-name"
    for speaker in (encoded, not_encoded):
        talk = tmp_path / "in" / "data" / speaker / "talk-1"
        lines = []
        for number in range(3):
            write_tone(talk / f"{speaker}-talk-1-{number:04d}.flac")
            lines.append(f"{speaker}-talk-1-{number:04d} 문장  {number}")
        lines = [*lines[1:], f"{speaker}-9 없다", ""]
        write_text(talk / f"{speaker}-talk-1.trans.txt", "\n".join(lines))
        write_tone(talk / "._junk.flac")
    report = prepare(CORPORA["pansori"], tmp_path / "in", tmp_path / "out")
    supervisions = [
        cut["supervisions"][0]
        for split in ("train", "dev", "test")
        for cut in read_cuts(tmp_path / "out" / f"{split}.jsonl")
    ]
    assert {supervision["speaker"] for supervision in supervisions} == {"김\xff길동", not_encoded}
    assert {supervision["text"] for supervision in supervisions} == {"문장 1", "문장 2"}
    path = f"data/{encoded}/talk-1/{encoded}-talk-1"
    reasons = rejections(report)
    assert reasons[f"{encoded}-talk-1-0000"] == f"{path}-0000.flac | audio without a transcript"
    assert reasons[f"{encoded}-9"].startswith(f"{path}.trans.txt:3 | transcript without audio")
    assert len(reasons) == 4


@pytest.mark.skipif(not PANSORI.is_dir(), reason="the corpus is not here")
def test_the_corpus_itself_gives_the_published_counts(tmp_path: Path) -> None:
    report = prepare(CORPORA["pansori"], PANSORI, tmp_path, PrepareOptions(check="header"))
    assert sum(split["utterances"] for split in report.splits.values()) == 2_987
    assert sum(split["speakers"] for split in report.splits.values()) == 41
    hours = {name: split["hours"] for name, split in report.splits.items()}
    assert sum(hours.values()) == pytest.approx(2.69, abs=0.01)
    assert hours["dev"] / sum(hours.values()) == pytest.approx(0.1, abs=0.02)
    assert hours["test"] / sum(hours.values()) == pytest.approx(0.1, abs=0.02)
    assert {rejected.item: rejected.reason for rejected in report.rejected} == {
        "6rOg6rG07ZiB-aWPB0xeM8UA-0162": "audio without a transcript",
        "7Jyk7Jes7KSA-LnGadr1MDs8-0323": "audio without a transcript",
    }
    assert not report.warnings
    characters = set().union(*texts_by_id(tmp_path).values())
    assert len(characters - {"♪", "”"}) == 920
