"""AI Hub's JSON labels: every ready description on a tree of its layout, damaged in each way."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.aihub import (
    ONE_BY_ONE,
    SESSIONS,
    OneByOne,
    Sessions,
    Tree,
    noise,
    to_bytes,
    wav,
    write_tree,
)
from helpers.paths import ROOT
from helpers.trees import read_cuts, rejections, texts_by_id, write_text

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.label_layouts import ready_layouts
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.report import Report
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.manifests import open_manifest
from sorigeul.prepared.checks import check_corpus
from sorigeul.prepared.corpus import PreparedCorpus
from sorigeul.recognition.recording_list import read_recording_list
from sorigeul.sound.audio import AudioError
from sorigeul.sound.segments import SegmentLimits

ALL_TRAIN = {"dev_share": 0.001, "test_share": 0.001}
WAYS = pytest.mark.parametrize("zipped", [False, True], ids=["folders", "zip"])


def read(source: Path, out: Path, layout: str, **options: object) -> Report:
    chosen = PrepareOptions(layout=layout, **options)  # type: ignore[arg-type]
    return prepare(CORPORA["aihub"], source, out, chosen)


def container(folder: str, zipped: bool) -> str:
    return f"{folder}.zip" if zipped else folder


def one_by_one(shape: OneByOne) -> Tree:
    """Labels and recordings, some of them damaged."""
    labels: dict[str, bytes] = {}
    recordings: dict[str, bytes] = {}

    def add(name: str, content: bytes | None, label: bytes | None, suffix: str = "wav") -> None:
        if label is not None:
            labels[f"{shape.inner}/{name}.json"] = label
        if content is not None:
            recordings[f"{shape.inner}/{name}.{suffix}"] = content

    for number in range(4):
        label = shape.make(f"u{number}.wav", shape.text, f"화자{number}")
        encoding = ("utf-8", "cp949", "utf-8-sig", "utf-8")[number]
        add(f"u{number}", wav(1.5, number), to_bytes(label, encoding))
    label = shape.make("odd.pcm", shape.text, "화자")
    add("odd", noise(1.5).tobytes() + b"x", to_bytes(label), "pcm")
    add("gone", None, to_bytes(shape.make("gone.wav", shape.text, "화자")))
    add("extra", wav(), None)
    add("broken", wav(), to_bytes(shape.make("broken.wav", shape.text, "화자"))[:-9])
    add("empty", wav(), to_bytes(shape.make("empty.wav", "", "화자")))
    add("lacks", wav(), b'{"other": 1}')
    add("cut", wav()[:3000], to_bytes(shape.make("cut.wav", shape.text, "화자")))
    if shape.names_recording:
        add("u9", None, to_bytes(shape.make("u0.wav", "또", "화자")))
    return {shape.folders[0]: labels, shape.folders[1]: recordings}


@WAYS
@pytest.mark.parametrize("layout", ONE_BY_ONE)
def test_labels_of_an_utterance_each(layout: str, zipped: bool, tmp_path: Path) -> None:
    shape = ONE_BY_ONE[layout]
    write_tree(tmp_path / "in", one_by_one(shape), zipped)
    (tmp_path / "in" / "Training" / "[라벨]2.zip").write_bytes(b"PK\3\4 no zip")
    report = read(tmp_path / "in", tmp_path / "out", layout, **ALL_TRAIN)
    labels, recordings = (f"{container(folder, zipped)}/{shape.inner}" for folder in shape.folders)
    good = ["u0", "u1", "u2", "u3", "odd"]
    assert texts_by_id(tmp_path / "out") == {
        f"{recordings}/{name}": shape.expected for name in good
    }
    reasons = rejections(report)
    assert reasons.pop("[라벨]2.zip").startswith("Training/[라벨]2.zip | not a readable zip file")
    extra = reasons.pop(f"{recordings}/extra")
    assert extra == f"{recordings}/extra.wav | audio without a label"
    assert "not JSON" in reasons.pop(f"{labels}/broken.json")
    assert reasons.pop(f"{recordings}/empty").endswith("empty transcript")
    assert " in the label, which holds the " in reasons.pop(f"{labels}/lacks.json")
    if shape.names_recording:
        assert reasons.pop(f"{recordings}/u0").endswith("duplicate id")
    cut = reasons.pop(f"{recordings}/cut")
    assert "cut short or damaged" in cut
    (missing,) = [reason for item, reason in reasons.items() if "gone" in item]
    assert "transcript without audio: no file" in missing
    # What a damaged label would have said of its recording is not known.
    assert {item for item in reasons if "gone" not in item} == {
        f"{recordings}/{name}" for name in ("broken", "lacks")
    }
    assert any(".pcm with an odd byte" in warning for warning in report.warnings)
    speakers = {
        cut["supervisions"][0].get("speaker") for cut in read_cuts(tmp_path / "out" / "train.jsonl")
    }
    assert len(speakers) > 1 or layout == "learner"


def session(shape: Sessions) -> Tree:
    """Labels of a long recording each, and one with every kind of damage."""

    def entry(number: int, start: object, end: object, text: str) -> dict[str, object]:
        times = {"start": start, "end": end, "speaker_id": str(number % 2), "note": ""}
        return {"id": f"S1.{number}", shape.key: text, **shape.further, **times}

    good = [entry(number, number * 2.0, f"{number * 2 + 1.5}", shape.text) for number in range(4)]
    faulty = [
        entry(10, 9.5, 12.5, shape.text),
        entry(11, 4, 3, shape.text),
        entry(12, "", 3, shape.text),
        entry(13, 1, 2, "" if shape.key != "original_form" else " "),
        entry(14, 1, 2, shape.hidden),
        entry(3, 1, 2.5, shape.text),
    ]
    labels = {
        "가/S1.json": to_bytes(shape.make([*good, *faulty]), "cp949"),
        "가/S2.json": to_bytes(shape.make([entry(0, 0, 1, shape.text)])),
        "가/S3.json": b"{",
        "가/S4.json": to_bytes({"utterance": {}}),
    }
    recordings = {"가/S1.wav": wav(10, 1), "가/S9.wav": wav()}
    return {"1.Training/라벨링데이터/TL1": labels, "1.Training/원천데이터/TS1": recordings}


@WAYS
@pytest.mark.parametrize("layout", SESSIONS)
def test_labels_with_times_in_long_recordings(layout: str, zipped: bool, tmp_path: Path) -> None:
    shape = SESSIONS[layout]
    write_tree(tmp_path / "in", session(shape), zipped)
    report = read(tmp_path / "in", tmp_path / "out", layout, **ALL_TRAIN)
    label = f"{container('1.Training/라벨링데이터/TL1', zipped)}/가"
    recording = f"{container('1.Training/원천데이터/TS1', zipped)}/가"
    assert texts_by_id(tmp_path / "out") == {
        f"{recording}/S1#S1.{number}": shape.expected for number in range(4)
    }
    reasons = rejections(report)
    assert reasons.pop(f"{recording}/S1#S1.10").endswith(
        "times out of range: it ends at 12.50 s of a recording of 10.00 s"
    )
    assert reasons.pop(f"{label}/S1.json: entry 6").endswith("times out of range: from 4 s to 3 s")
    assert reasons.pop(f"{label}/S1.json: entry 7").endswith("start is '' and no time")
    assert reasons.pop(f"{recording}/S1#S1.13").endswith("empty transcript")
    assert "leaves out what is said: " in reasons.pop(f"{label}/S1.json: entry 9")
    assert reasons.pop(f"{recording}/S1#S1.3").endswith("duplicate id")
    assert "transcript without audio" in reasons.pop(f"{label}/S2.json")
    assert "not JSON" in reasons.pop(f"{label}/S3.json")
    assert reasons.pop(f"{label}/S4.json").endswith("no list utterance in the label")
    assert reasons.pop(f"{recording}/S9").endswith("audio without a label")
    assert not reasons
    for cut in open_manifest(tmp_path / "out" / "train.jsonl"):
        number = int(cut.id[-1])
        expected = noise(10, 1)[number * 32_000 : number * 32_000 + 24_000] / 32768
        assert np.array_equal(load_cut_audio(cut), expected)
        assert cut.supervisions[0].speaker == f"{label}/S1/{number % 2}"


def dialogs(tree: Tree) -> Tree:
    """Sessions of 회의 음성: names of files repeat in every session."""
    for session_number, place in enumerate(("D26/G02/S000009", "D26/G02/S000010")):
        entries = []
        for number in range(3):
            stem = f"{place}/{number:06d}"
            text = f"b/ 아/ ({number}명)/({'영일이'[number]} 명) 입니다"
            tree["라벨링데이터/train_D26_label_0"][f"{stem}.txt"] = text.encode("cp949")
            tree["원천데이터/train_D26_wav_0"][f"{stem}.wav"] = wav(
                1.5, 10 * session_number + number
            )
            paths = {"audioPath": f"Kconf/{stem}.wav", "textPath": f"Kconf/{stem}.txt"}
            entries.append({"speaker": str(number % 2), **paths})
        label = {"dataSet": {"version": "1.0", "typeInfo": {"place": "x"}, "dialogs": entries}}
        name = f"{place}/{place[-7:]}.json"
        tree["라벨링데이터/train_D26_label_0"][name] = to_bytes(label)
    return tree


@WAYS
def test_dialogs_whose_texts_are_files_and_whose_names_repeat(zipped: bool, tmp_path: Path) -> None:
    labels, recordings = "라벨링데이터/train_D26_label_0", "원천데이터/train_D26_wav_0"
    tree = dialogs({labels: {}, recordings: {}})
    first, second = "D26/G02/S000009", "D26/G02/S000010"
    del tree[recordings][f"{first}/000001.wav"]  # and no other 000001.wav takes its place
    del tree[labels][f"{second}/000002.txt"]
    other = json.loads(tree[labels][f"{second}/S000010.json"])
    other["dataSet"]["dialogs"][1].update(textPath="", text="n/ (7시)/(일곱 시)")
    tree[labels][f"{second}/S000010.json"] = to_bytes(other)
    tree[recordings]["D27/G02/S000009/000001.wav"] = wav(1.5, 99)
    write_tree(tmp_path / "in", tree, zipped)
    report = read(tmp_path / "in", tmp_path / "out", "dialogs", text="spelling", **ALL_TRAIN)
    place = container(recordings, zipped)
    assert texts_by_id(tmp_path / "out") == {
        f"{place}/{first}/000000": "아 0명 입니다",
        f"{place}/{first}/000002": "아 2명 입니다",
        f"{place}/{second}/000000": "아 0명 입니다",
        f"{place}/{second}/000001": "7시",
    }
    reasons = rejections(report)
    missing = f"Kconf/{first}/000001.wav"
    assert reasons[missing].endswith(f"transcript without audio: no file {missing}")
    assert "no text: no file Kconf" in reasons[f"{place}/{second}/000002"]
    assert reasons[f"{place}/D27/G02/S000009/000001"].endswith("audio without a label")
    assert len(reasons) == 3
    for cut in open_manifest(tmp_path / "out" / "train.jsonl"):
        seed = 10 * ("S000010" in cut.id) + int(cut.id[-1])
        assert np.array_equal(load_cut_audio(cut), noise(1.5, seed) / 32768)


def test_every_ready_description_is_tried_here_and_says_what_it_rests_on() -> None:
    assert set(ready_layouts()) == {*ONE_BY_ONE, *SESSIONS, "dialogs"}


def test_archives_hold_the_parts_and_the_members_alone(tmp_path: Path) -> None:
    write_tree(tmp_path / "in", session(SESSIONS["meeting"]), zipped=True)
    read(tmp_path / "in", tmp_path / "out", "meeting", shards=2, **ALL_TRAIN)
    cuts = list(open_manifest(tmp_path / "out" / "train.jsonl"))
    assert {cut.recording.sources[0].type for cut in cuts} == {"shar"}
    for cut in cuts:
        number = int(cut.id[-1])
        expected = noise(10, 1)[number * 32_000 : number * 32_000 + 24_000] / 32768
        assert cut.start == 0
        assert np.array_equal(load_cut_audio(cut), expected)


def test_a_zip_file_that_is_damaged_later_is_named(tmp_path: Path) -> None:
    write_tree(tmp_path / "in", one_by_one(ONE_BY_ONE["freetalk"]), zipped=True)
    read(tmp_path / "in", tmp_path / "out", "freetalk", **ALL_TRAIN)
    cut = next(iter(open_manifest(tmp_path / "out" / "train.jsonl")))
    archive = Path(cut.recording.sources[0].source)
    content = bytearray(archive.read_bytes())
    content[cut.custom["member"]["offset"] + 100] ^= 1
    archive.write_bytes(content)
    with pytest.raises(AudioError, match=r"damaged, its checksum differs; download"):
        load_cut_audio(cut)


def test_splits_are_told_by_the_folders_and_the_rest_is_drawn(tmp_path: Path) -> None:
    shape = ONE_BY_ONE["freetalk"]
    for folder, count in (("Training", 20), ("Validation", 2)):
        labels, recordings = {}, {}
        for number in range(count):
            name = f"{folder[0]}{number}"
            labels[f"{name}.json"] = to_bytes(shape.make(f"{name}.wav", "말 하나", name))
            recordings[f"{name}.wav"] = wav(1.5)
        write_tree(tmp_path / "in", {f"{folder}/라벨": labels, f"{folder}/원천": recordings}, True)
    report = read(tmp_path / "in", tmp_path / "out", "freetalk")
    assert report.splits["dev"]["utterances"] == 2
    assert report.splits["train"]["utterances"] + report.splits["test"]["utterances"] == 20


def test_the_same_in_a_folder_and_in_the_zip_file_beside_it_counts_once(tmp_path: Path) -> None:
    tree = one_by_one(ONE_BY_ONE["callcenter"])
    for zipped in (True, False):
        write_tree(tmp_path / "in", tree, zipped)
    read(tmp_path / "in", tmp_path / "out", "callcenter", **ALL_TRAIN)
    found = texts_by_id(tmp_path / "out")
    assert len(found) == 5
    assert not any(".zip" in id_ for id_ in found)


def test_an_option_that_the_layout_would_ignore_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path / "in", one_by_one(ONE_BY_ONE["callcenter"]), zipped=False)
    with pytest.raises(UserError, match="layout callcenter has no dual transcriptions"):
        read(tmp_path / "in", tmp_path / "out", "callcenter", text="spelling")
    with pytest.raises(UserError, match=r"layout: say which labels .* freetalk \(자유대화"):
        read(tmp_path / "in", tmp_path / "out", "")
    table = write_text(tmp_path / "t.csv", "audio,text\n")
    with pytest.raises(UserError, match="layout meeting: goes with aihub only"):
        prepare(CORPORA["table"], table, tmp_path / "o", PrepareOptions(layout="meeting"))


def test_the_wrong_layout_says_what_it_has_not_found(tmp_path: Path) -> None:
    label = to_bytes(ONE_BY_ONE["command"].make("a.wav", "말", "나"))
    tree = {"l": {"a.json": label, "b.json": label}, "w": {"a.wav": wav(), "b.wav": wav()}}
    write_tree(tmp_path / "in", tree, zipped=False)
    with pytest.raises(UserError, match=r"none of its 4 .*: no 발화정보\.stt in the label"):
        read(tmp_path / "in", tmp_path / "out", "freetalk")


def test_a_description_of_ones_own(tmp_path: Path) -> None:
    entries = [
        {"wav": "a.wav", "words": "<잡음> 하나 [둘]", "from": 500, "to": 2000},
        {"wav": "a.wav", "words": "셋 ***", "from": 0, "to": 2000},
    ]
    label = {"who": {"name": "나"}, "list": [{"entries": entries}]}
    write_tree(tmp_path / "in", {"x": {"l.json": to_bytes(label), "a.wav": wav(2.0, 3)}}, False)
    description = """
utterances: list.0.entries
audio: wav
text: [missing, words]
speaker: /who.name
start: from
end: to
times: milliseconds
removed: '<[^<>]*>'
unwrapped: ['\\[([^\\[\\]]*)\\]']
refused: '\\*{3}'
"""
    layout = write_text(tmp_path / "mine.yaml", description)
    report = read(tmp_path / "in", tmp_path / "out", str(layout))
    (cut,) = read_cuts(tmp_path / "out" / "train.jsonl")
    assert (cut["id"], cut["start"], cut["duration"]) == ("x/a#1", 0.5, 1.5)
    assert cut["supervisions"][0]["text"] == "하나 둘"
    assert cut["supervisions"][0]["speaker"] == "나"
    assert rejections(report)["x/l.json: entry 2"].endswith("leaves out what is said: ***")


@pytest.mark.parametrize("guide", ["corpora.md", "corpora.ko.md"])
def test_the_description_in_the_guide_reads_the_label_there(guide: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "guide" / guide).read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```(json|yaml)\n(.*?)```", page, re.DOTALL))
    layout = write_text(tmp_path / "mine.yaml", blocks["yaml"])
    heard = json.loads(blocks["json"])
    heard["segments"][0]["words"] = heard["segments"][0]["words"].replace(" (())", " (네 시)/(4시)")
    for name, label in (("a", json.loads(blocks["json"])), ("b", heard)):
        label["segments"][0]["wav"] = f"{name}.wav"
        tree = {"in": {f"{name}.json": to_bytes(label), f"{name}.wav": wav(4)}}
        write_tree(tmp_path, tree, zipped=False)
    report = read(tmp_path / "in", tmp_path / "out", str(layout))
    assert texts_by_id(tmp_path / "out") == {"b#1": "거시기 세 시에 네 시"}
    assert rejections(report)["a.json"] == "a.json | the text leaves out what is said: (())"


def test_a_prepared_zip_file_is_checked_transcribed_and_found_where_it_has_moved(
    tmp_path: Path,
) -> None:
    write_tree(tmp_path / "in", one_by_one(ONE_BY_ONE["freetalk"]), zipped=True)
    read(tmp_path / "in", tmp_path / "out", "freetalk", **ALL_TRAIN)
    manifest = tmp_path / "out" / "train.jsonl"
    before = [load_cut_audio(cut) for cut in open_manifest(manifest)]
    assert not check_corpus(PreparedCorpus(tmp_path / "out"), jobs=1).faults
    (tmp_path / "in").rename(tmp_path / "moved")
    after = [load_cut_audio(cut) for cut in open_manifest(manifest, str(tmp_path / "moved"))]
    assert all(map(np.array_equal, before, after))
    for entry in read_recording_list(manifest, "", str(tmp_path / "moved")):
        assert entry.load(SegmentLimits()).duration == pytest.approx(1.5)
