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


def test_a_text_that_cannot_be_said_in_that_time_is_rejected(tmp_path: Path) -> None:
    texts = {"slow": "가" * 12, "fast": "가" * 13, "number": "1000" * 9}
    rows = [f"{name}.wav,{text}" for name, text in texts.items()]
    for name in texts:
        write_tone(tmp_path / f"{name}.wav", 0.5)
    table = write_text(tmp_path / "t.csv", "\n".join(["audio,text", *rows]))
    report = prepare(CORPORA["table"], table, tmp_path / "out")
    assert list(texts_by_id(tmp_path / "out")) == ["slow.wav", "number.wav"]
    reason = "text and recording do not belong together: 26 syllables a second, over 25"
    assert [(one.item, one.reason) for one in report.rejected] == [("fast.wav", reason)]
    options = PrepareOptions(max_syllable_rate=26)
    assert not prepare(CORPORA["table"], table, tmp_path / "out", options).rejected


def test_a_text_of_signs_only_is_rejected(tmp_path: Path) -> None:
    texts = {"a": "...", "b": "—?!", "c": "ㅋㅋ", "d": "3", "e": "♪" * 30}
    for name in texts:
        write_tone(tmp_path / f"{name}.wav", 2)
    rows = ["audio,text", *(f"{name}.wav,{text}" for name, text in texts.items())]
    report = prepare(
        CORPORA["table"], write_text(tmp_path / "t.csv", "\n".join(rows)), tmp_path / "out"
    )
    assert texts_by_id(tmp_path / "out") == {"c.wav": "ㅋㅋ", "d.wav": "3"}
    assert [(one.item, one.reason) for one in report.rejected] == [
        ("a.wav", "transcript of signs only: ..."),
        ("b.wav", "transcript of signs only: —?!"),
        ("e.wav", "transcript of signs only: " + "♪" * 20),
    ]


def test_characters_that_nobody_sees_are_removed_and_counted(tmp_path: Path) -> None:
    texts = [
        "안녕\u200b하세요\u200b",
        "\ufeff여러\u00ad분",
        "반갑\u200b습니다",
        "네",
        "\u200b\u2060",
    ]
    rows = [f"{number}.wav,{text}" for number, text in enumerate(texts)]
    for number in range(len(texts)):
        write_tone(tmp_path / f"{number}.wav", 1)
    table = write_text(tmp_path / "t.csv", "\n".join(["audio,text", *rows]))
    report = prepare(CORPORA["table"], table, tmp_path / "out")
    kept = texts_by_id(tmp_path / "out")
    assert [kept[f"{number}.wav"] for number in range(4)] == [
        "안녕하세요",
        "여러분",
        "반갑습니다",
        "네",
    ]
    assert [one.reason for one in report.rejected] == ["empty transcript"]
    (warning,) = [warning for warning in report.warnings if "nobody sees" in warning]
    assert warning.startswith("3 transcripts had characters that nobody sees")
    assert "(3 U+200B, 1 U+FEFF, 1 U+00AD)" in warning
    assert warning.endswith("): 0.wav, 1.wav, 2.wav")
    assert report.invisible_characters == {
        "U+200B ZERO WIDTH SPACE": 3,
        "U+FEFF ZERO WIDTH NO-BREAK SPACE": 1,
        "U+00AD SOFT HYPHEN": 1,
    }
