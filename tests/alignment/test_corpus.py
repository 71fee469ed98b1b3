"""Long recordings of the tone language, aligned by the command, with texts that fit or do not."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.commands import Command
from helpers.full_disk import limited_file_size
from helpers.trees import unreadable_folder
from rapidfuzz.distance import Levenshtein

from sorigeul.data import manifests
from sorigeul.sound.audio import SAMPLE_RATE, load

PAUSE = 4  # characters that are silence, a second


def lines(count: int, seed: int = 0) -> list[str]:
    """Lines of two words."""
    random = Random(seed)
    return [
        " ".join("".join(random.choices("가나다라", k=random.randint(3, 5))) for _ in range(2))
        for _ in range(count)
    ]


@dataclass
class Speech:
    """A recording of lines, and which syllable is spoken when."""

    spoken: Sequence[str]
    middles: list[tuple[float, str]] = field(default_factory=list)

    def write(self, path: Path) -> Path:
        # The detector takes long speech without any pause for a hum, so words are apart, too.
        text = (" " * PAUSE).join(["", *self.spoken, ""])
        self.middles = [
            ((position + 0.5) * tones.SECONDS, char)
            for position, char in enumerate(text)
            if char in tones.HERTZ
        ]
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, tones.synthesize(text), SAMPLE_RATE)
        return path

    def between(self, start: float, end: float) -> str:
        """What is spoken."""
        return "".join(char for middle, char in self.middles if start < middle < end)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def texts_of(out: Path) -> str:
    return " ".join(row["text"] for row in rows(out / "utterances.tsv"))


@pytest.fixture
def align(sorigeul: Command, run: Path, tmp_path: Path) -> Callable[..., Path]:
    """Aligns what is spoken with what is written; returns the corpus."""

    def do(speech: Speech, written: Sequence[str], *options: str) -> Path:
        recording = speech.write(tmp_path / "강의.flac")
        text = tmp_path / "강의.txt"
        text.write_text("\n".join(written) + "\n", encoding="utf-8")
        out = tmp_path / "out"
        done = sorigeul("align", run, recording, text, out, *options)
        assert done.status == 0, done.err
        return out

    return do


def test_the_utterances_have_the_sound_of_their_texts(align: Callable[..., Path]) -> None:
    said = lines(16)
    speech = Speech(said)
    out = align(speech, said, "--max_seconds", "8")
    assert texts_of(out) == " ".join(said)
    for row in rows(out / "utterances.tsv"):
        start, end = float(row["start"]), float(row["end"])
        assert end - start <= 8
        assert speech.between(start, end) == row["text"].replace(" ", "")
        heard = load(out / row["audio"])
        assert heard.duration == pytest.approx(end - start, abs=0.01)
    cuts = [cut for split in ("train", "dev", "test") for cut in manifests.open_split(out, split)]
    assert sorted(cut.supervisions[0].text for cut in cuts) == sorted(
        row["text"] for row in rows(out / "utterances.tsv")
    )
    assert json.loads((out / "report.json").read_text())["total"]["utterances"] == len(cuts)


def test_the_samples_are_those_of_the_recording(align: Callable[..., Path], tmp_path: Path) -> None:
    said = lines(6)
    out = align(Speech(said), said)
    whole = load(tmp_path / "강의.flac").samples
    for row in rows(out / "utterances.tsv"):
        start, end = (round(float(row[name]) * SAMPLE_RATE) for name in ("start", "end"))
        piece = load(out / row["audio"]).samples
        assert len(piece) == end - start
        assert np.abs(whole[start:end] - piece).max() < 1e-4


def test_what_is_not_written_and_what_is_not_spoken_is_left_out(
    align: Callable[..., Path],
) -> None:
    both = lines(18)
    unwritten, unspoken = set(both[4:6]), set(both[11:13])
    speech = Speech([line for line in both if line not in unspoken])
    written = [line for line in both if line not in unwritten]
    out = align(speech, written, "--min_score=-1")  # the model is sure of what it hears
    kept = rows(out / "utterances.tsv")
    texts = [row["text"].replace(" ", "") for row in kept]
    heard = [speech.between(float(row["start"]), float(row["end"])) for row in kept]
    # A syllable of the text may be found in speech that is not: the language has only four.
    errors = sum(Levenshtein.distance(*pair) for pair in zip(texts, heard, strict=True))
    assert errors <= 4
    fitting = "".join(line for line in both if line not in unwritten | unspoken).replace(" ", "")
    assert len("".join(texts)) > 0.6 * len(fitting)
    assert not any(line in row["text"] for line in unspoken for row in kept)


def test_each_line_is_an_utterance_if_asked_for(align: Callable[..., Path]) -> None:
    said = lines(8)
    out = align(Speech(said), said, "--lines")
    assert [row["text"] for row in rows(out / "utterances.tsv")] == said


def test_lines_that_are_too_long_are_counted_and_listed(
    align: Callable[..., Path], sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    short, long = lines(6), " ".join(lines(3, 1))
    said = [*short[:3], long, *short[3:]]
    out = align(Speech(said), said, "--lines", "--max_seconds", "5")
    assert [row["text"] for row in rows(out / "utterances.tsv")] == short
    all_rows = rows(out / "alignment.tsv")
    assert [row["text"] for row in all_rows if row["kept"] == "no"] == [long]
    command = ("align", run, tmp_path / "강의.flac", tmp_path / "강의.txt", out, "--lines")
    assert ", 1 longer than max_seconds" in sorigeul(*command, "--max_seconds", "5").err
    refused = sorigeul(*command, "--max_seconds", "1")
    assert refused.status == 2
    assert "7 are longer than --max_seconds 1, up to" in refused.err
    assert [row["text"] for row in rows(out / "alignment.tsv")] == said
    assert {row["audio"] for row in rows(out / "utterances.tsv")} <= {  # the corpus is still whole
        str(path.relative_to(out)) for path in out.rglob("*.flac")
    }


def test_what_was_left_out_of_a_recording_is_said(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    said = lines(6)
    recording = Speech(said).write(tmp_path / "a.wav")
    recording.write_bytes(2 * recording.read_bytes())
    text = tmp_path / "a.txt"
    text.write_text("\n".join(said), encoding="utf-8")
    done = sorigeul("align", run, recording, text, tmp_path / "out")
    assert done.status == 0, done.err
    warning = f"warning: {recording}: read the first of 2 recordings that were joined in one file"
    assert warning in done.err


def test_other_options_cut_anew_and_another_score_needs_no_hearing(
    align: Callable[..., Path], sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    said = lines(8)
    out = align(Speech(said), said, "--max_seconds", "4")
    short = rows(out / "utterances.tsv")
    align(Speech(said), said, "--max_seconds", "12")
    long = rows(out / "utterances.tsv")
    assert {row["audio"] for row in long} != {row["audio"] for row in short}
    # The earlier ones are gone.
    assert {str(path.relative_to(out)) for path in out.rglob("*.flac")} == {
        row["audio"] for row in long
    }
    sound = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    scores = sorted(float(row["score"]) for row in long)
    middle = (scores[0] + scores[-1]) / 2
    command = ("align", run, tmp_path / "강의.flac", tmp_path / "강의.txt", out)
    assert sorigeul(*command, "--max_seconds", "12", f"--min_score={middle}").status == 0
    kept = rows(out / "utterances.tsv")
    assert 0 < len(kept) < len(long)
    assert [row["kept"] for row in rows(out / "alignment.tsv")].count("no") == len(long) - len(kept)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")} == sound


def test_neither_corrections_nor_another_corpus_are_lost(
    align: Callable[..., Path], sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    said = lines(5)
    out = align(Speech(said), said)
    other = Speech(lines(5, 1)).write(tmp_path / "b.flac")
    done = sorigeul("align", run, other, tmp_path / "강의.txt", out)
    assert done.status == 2
    assert "holds the utterances of 강의" in done.error()
    table = out / "utterances.tsv"
    corrected = table.read_text(encoding="utf-8").replace("가", "나", 1)
    table.write_text(corrected, encoding="utf-8")
    command = ("align", run, tmp_path / "강의.flac", tmp_path / "강의.txt", out)
    done = sorigeul(*command)
    assert done.status == 2
    assert "has been changed since it was written" in done.error()
    assert table.read_text(encoding="utf-8") == corrected
    assert sorigeul(*command, "--overwrite").status == 0
    assert table.read_text(encoding="utf-8") != corrected
    table.unlink()
    done = sorigeul(*command)
    assert done.status == 2
    assert f"{out} holds another corpus" in done.error()


def test_a_full_disk_is_named_and_leaves_no_half_utterance(
    align: Callable[..., Path], sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    said = lines(6)
    out = align(Speech(said), said)
    whole = {path.name: path.read_bytes() for path in out.rglob("*.flac")}
    with limited_file_size(min(map(len, whole.values())) - 1):
        done = sorigeul(
            "align", run, tmp_path / "강의.flac", tmp_path / "강의.txt", tmp_path / "full"
        )
    assert done.status == 1
    assert ".flac: File too large" in done.err
    assert not list((tmp_path / "full").rglob("*.flac"))


@pytest.mark.parametrize("name", ["alignment.tsv", "alignment.png", "train.jsonl", "report.json"])
def test_what_is_in_the_way_is_said_before_anything_is_done(
    sorigeul: Command, tmp_path: Path, name: str
) -> None:
    recording, text, out = tmp_path / "a.flac", tmp_path / "a.txt", tmp_path / "out"
    for path in (recording, text, out / name):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine", encoding="utf-8")
    done = sorigeul("align", tmp_path / "no run", recording, text, out)
    assert done.status == 2
    assert f"{out / name} exists" in done.err
    assert (out / name).read_text(encoding="utf-8") == "mine"


def test_a_text_of_another_recording_makes_no_corpus(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    recording = Speech(lines(8)).write(tmp_path / "a.flac")
    text = tmp_path / "a.txt"
    text.write_text("\n".join("가" * 12 for _ in range(12)), encoding="utf-8")
    done = sorigeul("align", run, recording, text, tmp_path / "out")
    assert done.status == 2
    assert f"{text} does not fit {recording}" in done.err
    assert not list((tmp_path / "out").glob("*.jsonl"))


def test_what_does_not_fit_well_enough_is_listed_and_drawn(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    said, out = lines(6), tmp_path / "out"
    text = tmp_path / "a.txt"
    text.write_text("\n".join(said), encoding="utf-8")
    recording = Speech(said).write(tmp_path / "a.flac")
    done = sorigeul("align", run, recording, text, out, "--min_score=0")
    assert done.status == 2
    assert f"no utterance has a score of 0 ({out / 'alignment.tsv'} has them all)" in done.err
    assert {row["kept"] for row in rows(out / "alignment.tsv")} == {"no"}
    assert (out / "alignment.png").is_file()


def test_a_folder_of_recordings_goes_on_where_it_was_interrupted(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    texts, out = tmp_path / "texts", tmp_path / "out"
    texts.mkdir()
    for number, name in enumerate(("하나", "둘", "셋")):
        said = lines(6, number)
        Speech(said).write(tmp_path / "recordings" / f"{name}.flac")
        (texts / f"{name}.txt").write_text("\n".join(said), encoding="utf-8")
    (tmp_path / "recordings" / "둘.flac").write_bytes(b"no sound")
    (texts / "넷.txt").write_text("가나다", encoding="utf-8")
    command = ("align", run, tmp_path / "recordings", texts, out)
    done = sorigeul(*command)
    assert done.status == 2
    assert "1 of 3 recordings could not be read" in done.err
    assert "넷.txt has no recording of this name" in done.err
    assert {row["recording"] for row in rows(out / "utterances.tsv")} == {"하나", "셋"}
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    Speech(lines(6, 1)).write(tmp_path / "recordings" / "둘.flac")
    done = sorigeul(*command)
    assert done.status == 0, done.err
    assert {row["recording"] for row in rows(out / "utterances.tsv")} == {"하나", "둘", "셋"}
    for path, modified in made.items():
        assert path.stat().st_mtime_ns == modified


def test_what_has_vanished_and_what_cannot_be_looked_into_count_as_unreadable(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    recordings, texts, out = (tmp_path / name for name in ("recordings", "texts", "out"))
    texts.mkdir()
    said = lines(6)
    Speech(said).write(recordings / "a.flac")
    unreadable_folder(recordings)
    (recordings / "b.flac").symlink_to("gone.flac")
    for name in ("a", "b"):
        (texts / f"{name}.txt").write_text("\n".join(said), encoding="utf-8")
    done = sorigeul("align", run, recordings, texts, out)
    assert done.status == 2
    assert "the folder cannot be read (File name too long)" in done.err
    assert "b.flac: cannot be opened (No such file or directory)" in done.err
    assert "error: 2 of 3 recordings could not be read, as said above" in done.err
    assert {row["recording"] for row in rows(out / "utterances.tsv")} == {"a"}


def test_a_model_without_ctc_is_refused(
    sorigeul: Command, run: Path, tmp_path: Path, tiny: Callable[..., object]
) -> None:
    from helpers.pretrained import pretrained

    from sorigeul.pretrained.publishing import publish

    publish(tmp_path / "model", pretrained(tiny(ctc_weight=0.0)))  # type: ignore[arg-type]
    text = tmp_path / "a.txt"
    text.write_text("가나다", encoding="utf-8")
    done = sorigeul(
        "align",
        tmp_path / "model",
        Speech(lines(2)).write(tmp_path / "a.wav"),
        text,
        tmp_path / "out",
    )
    assert done.status == 2
    assert "has no CTC head" in done.err
