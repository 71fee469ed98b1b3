"""`sorigeul prepare`: what it prints, warns of and refuses."""

from pathlib import Path

from helpers import tones
from helpers.commands import Command


def test_it_prints_what_it_found(sorigeul: Command, audio: Path, tmp_path: Path) -> None:
    done = sorigeul("prepare", "table", audio / "table.csv", tmp_path / "out")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[0].startswith("train: 40 utterances, 0.01 h, 4 speakers, ")
    assert "48 usable utterances" in done.out
    assert str(tmp_path / "out" / "report.json") in done.out


def test_it_warns_of_what_it_rejects(sorigeul: Command, bad: dict[str, Path]) -> None:
    folder = bad["empty"].parent
    tones.record(folder / "corpus", tones.texts(12), ["train"] * 8 + ["dev", "dev", "test", "test"])
    (folder / "corpus" / "u03.wav").write_bytes(b"")
    done = sorigeul("prepare", "table", folder / "corpus" / "table.csv", folder / "out")
    assert done.status == 0
    assert "warning: rejected u03.wav (table.csv:5): " in done.err
    assert "1 rejected" in done.out


def test_a_table_without_the_columns_is_refused(sorigeul: Command, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("audio,words\na.wav,hello\n", encoding="utf-8")
    done = sorigeul("prepare", "table", tmp_path / "table.csv", tmp_path / "out")
    assert done.status == 2
    assert "no column text" in done.error()
    assert "audio, words" in done.error()
    assert not (tmp_path / "out").exists()
