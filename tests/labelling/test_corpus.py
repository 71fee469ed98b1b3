"""Recordings of the tone language without texts, labelled by the command."""

import csv
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.commands import Command
from helpers.pretrained import pretrained
from helpers.trees import unreadable_folder
from rapidfuzz.distance import Levenshtein

from sorigeul.data import manifests
from sorigeul.pretrained.publishing import publish
from sorigeul.sound.audio import SAMPLE_RATE, load

PAUSE = " " * 4  # a second
ALL = ("--min_confidence", "0.1", "--min_agreement", "0.1")
SAID = ["가나다라가", "라라나 다가나", "다나가나라다", "나다가라"]


def record(path: Path, said: list[str]) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    sound = tones.synthesize(PAUSE.join(["", *said, ""]))
    soundfile.write(path, sound, SAMPLE_RATE)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_what_is_heard_becomes_a_corpus_to_train_on(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    recording, out = record(tmp_path / "강의.flac", SAID), tmp_path / "out"
    done = sorigeul("label", run, recording, out, *ALL)
    assert done.status == 0, done.err
    table = rows(out / "labels.tsv")
    heard = "".join(row["text"] for row in table).replace(" ", "")
    assert Levenshtein.distance(heard, "".join(SAID).replace(" ", "")) <= 4  # it is a tiny model
    whole = load(recording).samples
    for row in table:
        start, end = (float(row[name]) for name in ("start", "end"))
        assert load(out / row["audio"]).duration == pytest.approx(end - start, abs=0.01)
        assert 0.1 <= float(row["confidence"]) <= 1
        assert 0.1 <= float(row["agreement"]) <= 1
    assert sum(float(row["end"]) - float(row["start"]) for row in table) < len(whole) / SAMPLE_RATE
    cuts = list(manifests.open_split(out, "train"))
    assert [cut.supervisions[0].text for cut in cuts] == [row["text"] for row in table]
    assert manifests.manifest(out, "dev") is None  # what a model heard is nothing to judge by
    assert manifests.manifest(out, "test") is None
    assert (out / "confidence.png").is_file()


def test_only_what_is_trusted_is_kept_and_other_bounds_need_no_hearing(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    recording, out = record(tmp_path / "a.flac", SAID), tmp_path / "out"
    assert sorigeul("label", run, recording, out, *ALL).status == 0
    heard = rows(out / "heard.tsv")
    confidences = sorted(float(row["confidence"]) for row in heard)
    bound = (confidences[0] + confidences[-1]) / 2
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    fewer = ("--min_confidence", str(bound), "--min_agreement", "0.1")
    assert sorigeul("label", run, recording, out, *fewer).status == 0
    kept = rows(out / "labels.tsv")
    assert [row["text"] for row in kept] == [
        row["text"] for row in heard if float(row["confidence"]) >= bound
    ]
    assert 0 < len(kept) < len(heard) == len(rows(out / "heard.tsv"))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")} == written
    refused = sorigeul("label", run, recording, out, "--min_confidence", "1")
    assert refused.status == 2
    assert "lower --min_confidence or --min_agreement" in refused.err
    assert rows(out / "labels.tsv") == kept  # the corpus that was there is whole


def test_a_second_model_has_to_agree(
    sorigeul: Command, run: Path, tiny: Callable[..., object], tmp_path: Path
) -> None:
    recording, other = record(tmp_path / "a.flac", SAID), tmp_path / "other"
    publish(other, pretrained(tiny()))  # type: ignore[arg-type]  # which knows nothing
    refused = sorigeul("label", run, recording, tmp_path / "out", *ALL[:2], "--second", other)
    assert refused.status == 2
    assert "error: no utterance of" in refused.err
    assert {row["kept"] for row in rows(tmp_path / "out" / "heard.tsv")} == {"no"}
    assert (tmp_path / "out" / "confidence.png").is_file()
    itself = sorigeul("label", run, recording, tmp_path / "out2", *ALL[:2], "--second", run)
    assert itself.status == 0, itself.err
    assert {row["agreement"] for row in rows(tmp_path / "out2" / "labels.tsv")} == {"1.000"}
    alone = sorigeul("label", other, recording, tmp_path / "out3")
    assert "has no CTC head that could disagree" in alone.error()


def test_a_folder_goes_on_where_it_was_interrupted(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "recordings", tmp_path / "recordings" / "labels"
    record(folder / "하나.flac", SAID[:2])
    record(folder / "more" / "하나.flac", SAID[2:])
    (folder / "둘.wav").write_bytes(b"no sound")
    done = sorigeul("label", run, folder, out, *ALL)
    assert done.status == 2
    assert "1 of 3 recordings could not be read" in done.err
    assert {row["recording"] for row in rows(out / "labels.tsv")} == {"하나.flac", "more/하나.flac"}
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    record(folder / "둘.wav", SAID[:1])
    done = sorigeul(
        "label", run, folder, out, *ALL
    )  # and what lies in its own folder is no recording
    assert done.status == 0, done.err
    assert {row["speaker"] for row in rows(out / "labels.tsv")} == {
        *("하나.flac", "more/하나.flac", "둘.wav")
    }
    for path, modified in written.items():
        assert path.stat().st_mtime_ns == modified
    assert json.loads((out / "report.json").read_text())["total"]["utterances"] >= 4


def test_recordings_that_vanish_do_not_end_the_work_on_the_others(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "recordings", tmp_path / "out"
    record(folder / "c.flac", SAID)
    (folder / "a.flac").symlink_to("gone.flac")
    (folder / "b.flac").symlink_to("b.flac")
    unreadable_folder(folder)
    done = sorigeul("label", run, folder, out, *ALL)
    assert done.status == 2
    assert "a.flac: cannot be opened (No such file or directory)" in done.err
    assert "b.flac: cannot be opened (Too many levels of symbolic links)" in done.err
    assert "the folder cannot be read (File name too long)" in done.err
    assert "error: 3 of 4 recordings could not be read, as said above" in done.err
    assert {row["recording"] for row in rows(out / "labels.tsv")} == {"c.flac"}
    alone = sorigeul("label", run, tmp_path / "none.flac", tmp_path / "out2")
    assert "none.flac: cannot be opened (No such file or directory)" in alone.error()
    (folder / "c.flac").unlink()
    none = sorigeul("label", run, folder, tmp_path / "out3").error()
    assert none == "none of the recordings could be read, as said above"


def test_what_was_left_out_of_a_recording_is_said(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    recording = record(tmp_path / "a.wav", SAID)
    recording.write_bytes(2 * recording.read_bytes())
    done = sorigeul("label", run, recording, tmp_path / "out", *ALL)
    assert done.status == 0, done.err
    warning = f"warning: {recording}: read the first of 2 recordings that were joined in one file"
    assert warning in done.err


def test_a_recording_that_is_another_now_leaves_no_pieces_of_the_earlier_one(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for said in (SAID, SAID[::-1][:3]):
        recording = record(tmp_path / "a.flac", said)
        done = sorigeul("label", run, recording, out, *ALL)
        assert done.status == 0, done.err
    heard = {row["audio"] for row in rows(out / "heard.tsv")}
    assert {str(path.relative_to(out)) for path in out.rglob("*-*.flac")} == heard


def test_recordings_without_speech_are_named_so(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    noise = 0.001 * np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE)
    soundfile.write(tmp_path / "a.wav", noise, SAMPLE_RATE)
    refused = sorigeul("label", run, tmp_path / "a.wav", tmp_path / "out")
    assert refused.status == 2
    assert "error: no speech was found in the recordings" in refused.err


def test_two_recordings_of_one_name_are_refused(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    places = [record(tmp_path / name / "a.flac", SAID[:1]) for name in ("one", "two")]
    refused = sorigeul("label", run, *places, tmp_path / "out")
    assert refused.error().startswith(f"{places[0]} and {places[1]} have the same name: rename")
    twins = [
        record(tmp_path / "twins" / unicodedata.normalize(form, "녹음.flac"), SAID[:1])
        for form in ("NFC", "NFD")
    ]
    refused = sorigeul("label", run, twins[0].parent, tmp_path / "out")
    assert "have the same name" in refused.error()
    assert "Missing from sorigeul label: OUT" in sorigeul("label", run, places[0]).error()


def test_a_name_that_no_table_can_hold_is_refused(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    for name in ("a\tb", "a\nb"):
        recording = record(tmp_path / name / "a.flac", SAID[:1])
        refused = sorigeul("label", run, recording.parent.parent, tmp_path / "out")
        assert "which a table cannot hold: rename it" in refused.error()
        recording.unlink()
