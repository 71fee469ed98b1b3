"""FLEURS: a small tree in its layout."""

from pathlib import Path

from helpers.trees import rejections, texts_by_id, write_text, write_tone

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare


def test_two_speakers_may_read_the_sentence_of_one_id(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "ko_kr"
    for split in ("train", "dev", "test"):
        rows = []
        for speaker in range(2):
            name = f"{split}{speaker}.wav"
            write_tone(folder / "audio" / split / name)
            rows.append(f"7\t{name}\t원문, {split}!\t원문 {split}\t원|문\t8000\tMALE\n")
        write_text(folder / f"{split}.tsv", "".join(rows))
    write_tone(folder / "audio" / "dev" / "more.wav")
    report = prepare(CORPORA["fleurs"], tmp_path / "in", tmp_path / "out")
    assert texts_by_id(tmp_path / "out", "dev") == {"dev0": "원문 dev", "dev1": "원문 dev"}
    assert report.split_by == "corpus"
    assert rejections(report) == {"more": "audio/dev/more.wav | audio without a transcript"}
