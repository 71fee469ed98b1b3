"""Splices of the tone language, made by the command."""

import csv
import json
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.commands import Command
from helpers.full_disk import limited_file_size
from helpers.pretrained import pretrained

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.data import manifests
from sorigeul.pretrained.publishing import publish
from sorigeul.sound.audio import SAMPLE_RATE, load
from sorigeul.splicing.kept_words import find_words

UTTERANCES = 24  # of train, of three speakers


def sentence(random: Random) -> str:
    """Two to four words."""
    return " ".join(
        "".join(random.choices("가나다라", k=random.randint(2, 3)))
        for _ in range(random.randint(2, 4))
    )


def write_table(folder: Path, speakers: int = 3) -> Path:
    """Recordings of sentences, and their table."""
    random = Random(0)
    rows = [("audio", "text", "speaker", "split")]
    folder.mkdir(parents=True)
    for number in range(UTTERANCES + 2):
        text, split = sentence(random), ("train", "dev", "test")[max(number - UTTERANCES + 1, 0)]
        name = f"{split}{number:02}.flac"
        soundfile.write(folder / name, tones.synthesize(f" {text} ", number), SAMPLE_RATE)
        speaker = f"화자{number % speakers}" if speakers else ""
        rows.append((name, text, speaker, split))
    table = folder / "table.tsv"
    table.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return table


@pytest.fixture
def data(tmp_path: Path) -> Path:
    prepare(CORPORA["table"], write_table(tmp_path / "recordings"), tmp_path / "data")
    return tmp_path / "data"


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "splices.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def pieces(row: dict[str, str]) -> list[tuple[str, float, float]]:
    """Utterance, start and end of the pieces of a splice."""
    found = []
    for piece in row["pieces"].split(" + "):
        name, times = piece.rsplit(" ", 1)
        start, end = map(float, times.split("-"))
        found.append((name, start, end))
    return found


def said(text: str, start: float, end: float) -> str:
    """What of the recording of a text is said between these times."""
    return "".join(
        char
        for place, char in enumerate(f" {text} ")
        if char in tones.HERTZ and start < (place + 0.5) * tones.SECONDS < end
    )


def test_splices_are_pieces_of_one_speaker_whose_texts_are_what_is_said_in_them(
    sorigeul: Command, run: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = sorigeul("splice", run, data, out, "--copies", "2")
    assert done.status == 0, done.err
    assert "utterances: 24, speakers: 3, words that were heard where they should be: " in done.err
    assert f"sorigeul train {data} {out} NEW_RUN --init_from {run}" in done.out
    train = {cut.id: cut for cut in manifests.required_manifest(data, "train")}
    used: Counter[str] = Counter()
    right = 0
    for row in rows(out):
        sound = load(out / row["audio"]).samples
        parts, heard = [], ""
        for name, start, end in pieces(row):
            cut = train[name]  # and not one of dev or test
            assert manifests.speaker(cut) == row["speaker"]
            heard += said(manifests.transcript(cut), start, end)
            whole = load(manifests.audio_source(cut).source).samples
            parts.append(whole[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)])
        assert len(parts) in (2, 3)
        assert len({name for name, *_ in pieces(row)}) == len(parts)
        expected = np.concatenate(parts)
        assert sound.shape == expected.shape
        joints = np.cumsum([len(part) for part in parts])[:-1]
        near = np.abs(np.arange(len(sound)) - joints[:, None]).min(0) <= 80
        assert np.abs(sound - expected)[~near].max() < 1e-4
        right += heard == row["text"].replace(" ", "")
        used.update(row["text"].split())
    assert right >= 0.97 * len(rows(out))  # it is a tiny model
    everything = Counter(
        word for cut in train.values() for word in cut.supervisions[0].text.split()
    )
    assert used.total() > 1.4 * everything.total()  # of two copies
    assert [cut.supervisions[0].text for cut in manifests.required_manifest(out, "train")] == [
        row["text"] for row in rows(out)
    ]
    assert manifests.manifest(out, "dev") is None
    assert manifests.manifest(out, "test") is None


def test_a_seed_gives_the_same_splices_and_another_one_others(
    sorigeul: Command, run: Path, data: Path, tmp_path: Path
) -> None:
    outs = [tmp_path / name for name in "abc"]
    options = [("--jobs", "1"), ("--jobs", "3"), ("--seed", "7")]
    for out, option in zip(outs, options, strict=True):
        assert sorigeul("splice", run, data, out, *option).status == 0
    one, same, other = (
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*.flac")} for out in outs
    )
    assert one == same
    assert (outs[0] / "splices.tsv").read_bytes() == (outs[1] / "splices.tsv").read_bytes()
    assert one.keys() != other.keys()


def test_an_interrupted_call_goes_on_and_what_another_has_made_goes_away(
    sorigeul: Command, run: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert sorigeul("splice", run, data, out).status == 0
    table, found = (out / "splices.tsv").read_bytes(), out / ".splices" / "words.jsonl"
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    lost = next(iter(written))
    lost.unlink()
    (out / "audio" / "my notes.flac").write_bytes(b"not ours")
    assert sorigeul("splice", run, data, out).status == 0
    assert {path for path in written if path.stat().st_mtime_ns != written[path]} == {lost}
    assert (out / "splices.tsv").read_bytes() == table
    # The file of the words as a killed process leaves it, and one of another kind.
    for content in (found.read_bytes()[:-30], b"\xff\xfe", b'{"key": 3}\n[]\n', b""):
        found.write_bytes(content)
        assert sorigeul("splice", run, data, out).status == 0
        assert (out / "splices.tsv").read_bytes() == table
    half = out / "audio" / "00" / ".0123456789abcdef.a1b2c3d4.flac"
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"half")
    assert sorigeul("splice", run, data, out, "--seed", "2").status == 0
    left = {path.relative_to(out).as_posix() for path in (out / "audio").glob("??/*.flac")}
    assert left == {row["audio"] for row in rows(out)}
    assert (out / "audio" / "my notes.flac").is_file()
    assert not half.exists()


def test_recordings_that_cannot_be_read_are_named_and_tried_again(
    sorigeul: Command, run: Path, data: Path, tmp_path: Path
) -> None:
    out, broken = tmp_path / "out", tmp_path / "recordings" / "train03.flac"
    sound = broken.read_bytes()
    broken.write_bytes(b"no sound")
    done = sorigeul("splice", run, data, out)
    assert done.status == 2
    assert "train03.flac" in done.err
    assert "error: 1 of 24 utterances could not be read, as said above; the corpus in" in done.err
    assert done.err.count("train03") == 1
    assert "train03" not in (out / "splices.tsv").read_text()
    assert manifests.manifest(out, "train") is not None
    broken.write_bytes(sound)
    assert sorigeul("splice", run, data, out).status == 0
    assert "train03" in (out / "splices.tsv").read_text()
    shutil.rmtree(tmp_path / "recordings")
    gone = sorigeul("splice", run, data, tmp_path / "other")
    assert gone.status == 2
    assert "none of the utterances could be read, as said above" in gone.err
    assert not (tmp_path / "other" / "train.jsonl").exists()
    again = sorigeul("splice", run, data, out)
    assert again.status == 2
    assert "none of the utterances could be read, as said above" in again.err
    assert manifests.manifest(out, "train") is not None  # the corpus that was there is whole


def test_corpora_without_speakers_and_speakers_without_a_second_utterance(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "nameless", speakers=0)
    prepare(CORPORA["table"], table, tmp_path / "data")
    done = sorigeul("splice", run, tmp_path / "data", tmp_path / "out")
    assert "does not say who speaks" in done.error()
    table = write_table(tmp_path / "each", speakers=UTTERANCES)
    prepare(CORPORA["table"], table, tmp_path / "data2")
    done = sorigeul("splice", run, tmp_path / "data2", tmp_path / "out2")
    assert done.status == 2
    assert "24 utterances are left out, since their speakers have no other" in done.err
    assert "has no speaker with two utterances of which others could be made" in done.err
    assert not (tmp_path / "out2").exists()
    head, *lines = table.read_text(encoding="utf-8").splitlines()
    named = [line.replace("화자1\t", "화자0\t") for line in lines[:2]]
    nameless = [line.replace(line.split("\t")[2], "") for line in lines[2:]]
    table.write_text("\n".join([head, *named, *nameless]) + "\n", encoding="utf-8")
    prepare(CORPORA["table"], table, tmp_path / "data3")
    done = sorigeul("splice", run, tmp_path / "data3", tmp_path / "out3", "--copies", "5")
    assert done.status == 0, done.err
    assert "22 utterances are left out, since their speakers have no names" in done.err
    none = sorigeul("splice", run, tmp_path / "data3", tmp_path / "out4", "--min_score", "0")
    assert "no two pieces of a speaker in" in none.err
    assert not (tmp_path / "out4" / "train.jsonl").exists()
    assert {row["speaker"] for row in rows(tmp_path / "out3")} == {"화자0"}


def test_what_is_in_the_way_is_named_and_stays(
    sorigeul: Command, run: Path, data: Path, tiny: Callable[..., object], tmp_path: Path
) -> None:
    deaf = tmp_path / "deaf"
    publish(deaf, pretrained(tiny()))  # type: ignore[arg-type]
    assert "has no CTC head" in sorigeul("splice", deaf, data, tmp_path / "out").error()
    assert "is no folder of manifests" in sorigeul("splice", run, deaf / "x", deaf).error()
    before = {path: path.read_bytes() for path in data.iterdir() if path.is_file()}
    assert sorigeul("splice", run, data, data).status == 2
    assert {path: path.read_bytes() for path in data.iterdir() if path.is_file()} == before
    other = tmp_path / "other"
    prepare(CORPORA["table"], tmp_path / "recordings" / "table.tsv", other)
    assert "holds another corpus" in sorigeul("splice", run, data, other).error()
    out = tmp_path / "out"
    assert sorigeul("splice", run, data, out).status == 0
    corrected = (out / "splices.tsv").read_text(encoding="utf-8").replace("가", "나")
    (out / "splices.tsv").write_text(corrected, encoding="utf-8")
    assert "has been changed since it was written" in sorigeul("splice", run, data, out).error()
    assert (out / "splices.tsv").read_text(encoding="utf-8") == corrected
    assert sorigeul("splice", run, data, out, "--overwrite").status == 0
    refused = sorigeul("splice", run, data, out, "--copies", "0")
    assert refused.error() == "copies is 0.0, but must be above 0 and at most 100"


def test_a_full_disk_is_one_line(sorigeul: Command, run: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with limited_file_size(2_000):
        done = sorigeul("splice", run, data, out, "--jobs", "1")
    assert done.status == 1
    assert "words.jsonl: File too large; make room, and give the same command again" in done.error()
    assert not (out / "train.jsonl").exists()
    assert sorigeul("splice", run, data, out).status == 0


def test_archives_are_spliced_as_files_are(
    sorigeul: Command, run: Path, data: Path, tmp_path: Path
) -> None:
    table, archived = tmp_path / "recordings" / "table.tsv", tmp_path / "archived"
    prepare(CORPORA["table"], table, archived, PrepareOptions(shards=10))
    for name, source in (("a", data), ("b", archived)):
        assert sorigeul("splice", run, source, tmp_path / name).status == 0
    one, other = rows(tmp_path / "a"), rows(tmp_path / "b")
    assert [row["pieces"] for row in one] == [row["pieces"] for row in other]
    shutil.move(tmp_path / "recordings", tmp_path / "moved")
    for path in (tmp_path / "moved").glob("dev*"):
        path.unlink()  # train alone has been copied
    moved = ("--audio_root", tmp_path / "moved")
    assert sorigeul("splice", run, data, tmp_path / "c", *moved).status == 0
    assert rows(tmp_path / "c") == one


def test_a_recording_that_was_replaced_is_heard_again(
    sorigeul: Command, run: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert sorigeul("splice", run, data, out).status == 0
    before = rows(out)
    replaced = tmp_path / "recordings" / "train03.flac"
    sound, _ = soundfile.read(replaced)
    soundfile.write(replaced, 0.5 * sound, SAMPLE_RATE)
    assert sorigeul("splice", run, data, out).status == 0
    for old, new in zip(before, rows(out), strict=True):
        assert ("train03" in new["pieces"]) == (old["audio"] != new["audio"])
    assert {row["audio"] for row in rows(out)} == {
        path.relative_to(out).as_posix() for path in out.rglob("*.flac")
    }


def test_a_recording_that_vanishes_while_others_are_joined_is_left_out(
    sorigeul: Command, run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def find_and_lose(*arguments: Any) -> Any:
        found = find_words(*arguments)
        (tmp_path / "recordings" / "train05.flac").unlink()
        return found

    monkeypatch.setattr("sorigeul.splicing.corpus.find_words", find_and_lose)
    done = sorigeul("splice", run, data, out)
    assert done.status == 2
    assert "train05.flac: cannot be opened" in done.err
    assert "1 of 24 utterances could not be read" in done.err
    assert rows(out)
    assert not any("train05" in row["pieces"] for row in rows(out))
    assert len(list(manifests.required_manifest(out, "train"))) == len(rows(out))


def test_recordings_that_are_read_are_never_removed(
    sorigeul: Command, run: Path, data: Path, tmp_path: Path
) -> None:
    first, both = tmp_path / "first", tmp_path / "both"
    assert sorigeul("splice", run, data, first).status == 0
    assert sorigeul("data", "merge", data, first, both).status == 0
    sounds = {path: path.read_bytes() for path in first.rglob("*.flac")}
    for option in ((), ("--overwrite",)):
        refused = sorigeul("splice", run, both, first, *option)
        assert f"{both} has recordings in {first / 'audio'}, where" in refused.error()
        assert {path: path.read_bytes() for path in first.rglob("*.flac")} == sounds
    assert sorigeul("splice", run, both, tmp_path / "second").status == 0


def test_cuts_of_one_damaged_recording_are_counted_each(
    sorigeul: Command, run: Path, data: Path, tmp_path: Path
) -> None:
    manifest, whole = data / "train.jsonl", tmp_path / "whole.wav"
    whole.write_bytes(b"no sound")
    fields = [json.loads(line) for line in manifest.read_text().splitlines()]
    for number, cut in enumerate(fields[:8]):
        cut["start"], cut["recording"]["duration"] = number + 0.5, 60.0
        cut["recording"]["num_samples"] = 60 * SAMPLE_RATE
        cut["recording"]["sources"][0]["source"] = str(whole)
    manifest.write_text("".join(json.dumps(cut) + "\n" for cut in fields))
    done = sorigeul("splice", run, data, tmp_path / "out")
    assert done.status == 2
    assert "8 of 24 utterances could not be read" in done.err
    assert done.err.count("whole.wav") == 1


def test_an_export_finds_words_too(
    sorigeul: Command, run: Path, data: Path, tmp_path: Path
) -> None:
    assert sorigeul("export", run, tmp_path / "onnx").status == 0
    done = sorigeul("splice", tmp_path / "onnx", data, tmp_path / "out")
    assert done.status == 0, done.err
    assert "--init_from" not in done.out
    assert rows(tmp_path / "out")


def test_names_that_a_table_cannot_hold(sorigeul: Command, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    table = write_table(folder)
    for path in list(folder.glob("train0*.flac")):
        path.rename(folder / path.name.replace("train", "a\tb"))
    _, *lines = table.read_text(encoding="utf-8").splitlines()
    fields = [line.split("\t") for line in lines]
    named = [
        {"audio": a.replace("train0", "a\tb0"), "text": t, "split": p} for a, t, _, p in fields
    ]
    for number, row in enumerate(named):  # the same speaker, taken apart and with other spaces
        row["speaker"] = unicodedata.normalize("NFD" if number % 2 else "NFC", "김  화자")
    listed = folder / "table.jsonl"
    listed.write_text("".join(json.dumps(row) + "\n" for row in named))
    prepare(CORPORA["table"], listed, tmp_path / "data")
    done = sorigeul("splice", run, tmp_path / "data", tmp_path / "out")
    assert done.status == 0, done.err
    assert {row["speaker"] for row in rows(tmp_path / "out")} == {"김 화자"}
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["rejected"] == []
    assert report["total"]["utterances"] == len(rows(tmp_path / "out"))
    assert any("a\\tb0" in row["pieces"] for row in rows(tmp_path / "out"))
