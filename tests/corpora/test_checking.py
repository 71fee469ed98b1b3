"""Items that cannot be used are rejected with the reason."""

from pathlib import Path

from helpers.trees import texts_by_id, write_text, write_tone

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare


def test_unusable_recordings_and_texts_are_rejected_with_their_line_and_reason(
    tmp_path: Path,
) -> None:
    write_tone(tmp_path / "good.wav")
    write_tone(tmp_path / "long.wav", 2.5)
    write_tone(tmp_path / "short.wav", 0.09)
    write_text(tmp_path / "empty.wav", "")
    write_text(tmp_path / "words.wav", "이것은 소리가 아니다" * 100)
    write_tone(tmp_path / "silent.wav")
    (tmp_path / "folder.wav").mkdir()
    names = ["good", "long", "short", "empty", "words", "folder", "gone", "good"]
    lines = ["audio,text", *(f"{name}.wav,말" for name in names), "silent.wav, "]
    table = write_text(tmp_path / "t.csv", "\n".join(lines))
    report = prepare(CORPORA["table"], table, tmp_path / "out", PrepareOptions(max_duration=2))
    assert texts_by_id(tmp_path / "out") == {"good.wav": "말"}
    assert [(rejected.item, rejected.where) for rejected in report.rejected] == [
        ("long.wav", "t.csv:3"),
        ("short.wav", "t.csv:4"),
        ("empty.wav", "t.csv:5"),
        ("words.wav", "t.csv:6"),
        ("folder.wav", "t.csv:7"),
        ("gone.wav", "t.csv:8"),
        ("good.wav", "t.csv:9"),
        ("silent.wav", "t.csv:10"),
    ]
    reasons = [rejected.reason for rejected in report.rejected]
    assert reasons[0] == "2.50 s long, over 2 s"
    assert reasons[1] == "0.090 s long, under 0.1 s"
    assert reasons[2].startswith(str(tmp_path / "empty.wav"))
    assert reasons[3].startswith(str(tmp_path / "words.wav"))
    assert reasons[6:] == ["duplicate id", "empty transcript"]
