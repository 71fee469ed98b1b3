"""Zeroth-Korean: a small tree in its layout."""

from pathlib import Path

from helpers.trees import read_cuts, write_text, write_tone

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare


def test_dev_is_drawn_from_train_by_speaker_and_repeated_sentences_are_reported(
    tmp_path: Path,
) -> None:
    for part, part_speakers in (
        ("train_data_01", ("101", "102", "103")),
        ("test_data_01", ("201",)),
    ):
        for speaker in part_speakers:
            folder = tmp_path / "in" / part / "003" / speaker
            lines = [f"{speaker}_003_{number:04d} 같은 문장 {number}" for number in range(3)]
            for line in lines:
                write_tone(folder / f"{line.split()[0]}.flac")
            write_text(folder / f"{speaker}_003.trans.txt", "\n".join(lines))
    report = prepare(CORPORA["zeroth"], tmp_path / "in", tmp_path / "out")
    speakers = {
        split: {
            cut["supervisions"][0]["speaker"]
            for cut in read_cuts(tmp_path / "out" / f"{split}.jsonl")
        }
        for split in ("train", "dev", "test")
    }
    assert speakers["test"] == {"201"}
    assert len(speakers["dev"]) == 1
    assert speakers["train"] == {"101", "102", "103"} - speakers["dev"]
    assert report.split_by == "speaker"
    assert report.published["train"]["utterances"] == {"published": 22_263, "found": 9}
    assert report.published["test"]["speakers"] == {"published": 10, "found": 1}
    assert "test: 3 of 3 sentences and 0 of 1 speakers are in train too" in report.overlap
    assert report.leaks
