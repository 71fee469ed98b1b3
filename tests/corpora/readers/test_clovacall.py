"""ClovaCall: a small tree in its layout."""

import json
from pathlib import Path

import pytest
from helpers.trees import read_cuts, rejections, texts_by_id, write_text, write_tone

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare


def test_the_clean_lists_are_read_and_the_raw_ones_are_not(tmp_path: Path) -> None:
    entries_by_split = {
        split: [
            {"wav": f"{split}_{number}.wav", "text": f"예약 {number}", "speaker_id": number % 4}
            for number in range(8)
        ]
        for split in ("train", "test")
    }
    for version in ("clean", "raw"):
        folder = tmp_path / "in" / version
        for split, entries in entries_by_split.items():
            for entry in entries:
                write_tone(folder / "wavs" / str(entry["wav"]))
            incomplete = [{"wav": "x.wav"}] if split == "train" else []
            content = json.dumps(entries + incomplete, ensure_ascii=False)
            write_text(folder / f"{split}_ClovaCall.json", content)
    write_tone(tmp_path / "in" / "clean" / "wavs" / "unlisted.wav")
    report = prepare(CORPORA["clovacall"], tmp_path / "in", tmp_path / "out")
    assert set(texts_by_id(tmp_path / "out", "test")) == {f"test_{number}" for number in range(8)}
    assert len(texts_by_id(tmp_path / "out", "train", "dev")) == 8
    source = read_cuts(tmp_path / "out" / "test.jsonl")[0]["recording"]["sources"][0]["source"]
    assert source == str(tmp_path / "in" / "clean" / "wavs" / "test_0.wav")
    assert report.published["test"]["utterances"] == {"published": 1_084, "found": 8}
    assert "there are raw lists too; only the clean ones were read" in report.notes
    reasons = rejections(report)
    assert reasons["entry 9"].startswith("clean/train_ClovaCall.json: entry 9 | entry without")
    assert reasons["unlisted"] == "clean/wavs/unlisted.wav | audio without a transcript"
    assert len(reasons) == 2
    with pytest.raises(UserError, match="not ClovaCall; it should hold clean"):
        prepare(CORPORA["clovacall"], tmp_path / "out", tmp_path / "other")


def test_what_is_null_is_no_text_and_no_speaker(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "clean"
    entries = [
        {"wav": "a.wav", "text": "예약", "speaker_id": None},
        {"wav": "b.wav", "text": None, "speaker_id": "1"},
        {"wav": "c.wav", "text": 42, "speaker_id": "1"},
    ]
    for entry in entries:
        write_tone(folder / str(entry["wav"]))
    write_text(folder / "train_ClovaCall.json", json.dumps(entries))
    report = prepare(CORPORA["clovacall"], tmp_path / "in", tmp_path / "out")
    assert texts_by_id(tmp_path / "out") == {"a": "예약"}
    assert report.total["speakers"] == 0
    reasons = [(one.item, one.reason) for one in report.rejected[:2]]
    assert reasons == [
        ("b", "the text is null and no string"),
        ("c", "the text is 42 and no string"),
    ]


@pytest.mark.parametrize("content", ["[" * 100_000, "[{]", "\0"])
def test_a_list_that_is_no_json_is_named(tmp_path: Path, content: str) -> None:
    write_text(tmp_path / "in" / "clean" / "train_ClovaCall.json", content)
    with pytest.raises(UserError, match=r"train_ClovaCall\.json: not JSON \("):
        prepare(CORPORA["clovacall"], tmp_path / "in", tmp_path / "out")
