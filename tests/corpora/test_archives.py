"""Archives beside the manifests: what is in them, who can read them, and how they come to be."""

import gzip
import json
import os
import shutil
import signal
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.processes import Forked
from helpers.trees import audio, cuts, kspon_scripts, write
from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.corpora.archives import write as write_archive
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions, Shard
from sorigeul.corpora.preparation import prepare, prepare_shard
from sorigeul.data import manifests
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.sound.audio import load

FLAC = PrepareOptions(shards=8)
TEXTS = tones.texts(40)
SPLITS = ["train"] * 30 + ["dev"] * 5 + ["test"] * 5


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 30 recordings to train on and 5 each for dev and test. To be read only."""
    return tones.record(tmp_path_factory.mktemp("table"), TEXTS, SPLITS)


@pytest.fixture(scope="module")
def prepared(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is made of it, with archives of eight. To be read only."""
    out = tmp_path_factory.mktemp("prepared")
    prepare(CORPORA["table"], table, out, FLAC)
    return out


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_archives_stand_beside_unchanged_manifests(
    table: Path, prepared: Path, tmp_path: Path
) -> None:
    prepare(CORPORA["table"], table, tmp_path)
    for split in ("train", "dev", "test"):
        name = f"{split}.jsonl"
        assert (prepared / name).read_bytes() == (tmp_path / name).read_bytes()
    assert sorted(path.name for path in prepared.iterdir()) == [
        "dev.jsonl",
        "dev.shar",
        "report.json",
        "test.jsonl",
        "test.shar",
        "train.jsonl",
        "train.shar",
    ]
    assert sorted(path.name for path in (prepared / "train.shar").iterdir()) == [
        f"{name}.{number:06}.{kind}"
        for name, kind in (("cuts", "jsonl.gz"), ("recording", "tar"))
        for number in range(4)
    ]


def test_lhotse_reads_them(table: Path, prepared: Path) -> None:
    read = list(CutSet.from_shar(in_dir=prepared / "train.shar"))
    assert [cut.id for cut in read] == [cut["id"] for cut in cuts(prepared / "train.jsonl")]
    for cut, text in zip(read, TEXTS, strict=False):
        assert cut.supervisions[0].text == text
        samples = load(table.parent / cut.id).samples
        assert cut.duration == len(samples) / 16_000
        assert np.array_equal(cut.load_audio()[0], samples)


def test_what_is_in_them_is_what_was_in_the_files(table: Path, prepared: Path) -> None:
    found = {cut.id: load_cut_audio(cut) for cut in manifests.required_manifest(prepared, "train")}
    assert len(found) == 30
    for name, samples in found.items():
        assert np.array_equal(samples, load(table.parent / name).samples)


def test_any_recording_comes_out_at_16_khz(tmp_path: Path) -> None:
    audio(tmp_path / "a.flac", 1.5, rate=44_100)
    path = write(tmp_path / "t.jsonl", '{"audio": "a.flac", "text": "가", "split": "train"}\n')
    prepare(CORPORA["table"], path, tmp_path / "out", FLAC)
    (cut,) = manifests.required_manifest(tmp_path / "out", "train")
    samples = load(tmp_path / "a.flac").samples
    assert np.abs(load_cut_audio(cut) - samples).max() <= 2**-16


def test_what_is_louder_than_full_scale_is_clipped(tmp_path: Path) -> None:
    samples = 1.5 * np.sin(np.arange(16_000) / 20)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    path = write(tmp_path / "t.jsonl", '{"audio": "a.wav", "text": "가", "split": "train"}\n')
    prepare(CORPORA["table"], path, tmp_path / "out", FLAC)
    (cut,) = manifests.required_manifest(tmp_path / "out", "train")
    assert np.abs(load_cut_audio(cut) - samples.clip(-1, 1)).max() <= 2**-15


def test_loud_16_bit_samples_stay_as_they_are(tmp_path: Path) -> None:
    """A float decoder and encoder that disagree by one in 32,768 would move the loud ones."""
    samples = np.random.default_rng(0).integers(-32768, 32768, 16_000).astype("<i2")
    samples[:2] = (-32768, 32767)
    (tmp_path / "a.pcm").write_bytes(samples.tobytes())
    path = write(tmp_path / "t.jsonl", '{"audio": "a.pcm", "text": "가", "split": "train"}\n')
    prepare(CORPORA["table"], path, tmp_path / "out", FLAC)
    (cut,) = manifests.required_manifest(tmp_path / "out", "train")
    assert np.array_equal(load_cut_audio(cut) * 32768, samples)


def test_opus_is_smaller_sounds_alike_and_is_the_same_every_time(tmp_path: Path) -> None:
    options = PrepareOptions(shards=8, shard_format="opus")
    table = tones.record(tmp_path / "few", TEXTS[:6], ["train"] * 4 + ["dev", "test"])
    for name in ("one", "two"):
        prepare(CORPORA["table"], table, tmp_path / name, options)
        time.sleep(1.1)  # the clock must not matter
    assert everything(tmp_path / "one") == everything(tmp_path / "two")

    def size(out: Path) -> int:
        return sum(path.stat().st_size for path in (out / "train.shar").glob("*.tar"))

    prepare(CORPORA["table"], table, tmp_path / "flac", FLAC)
    assert size(tmp_path / "one") < 0.6 * size(tmp_path / "flac")
    for cut in manifests.required_manifest(tmp_path / "one", "train"):
        original, samples = load(table.parent / cut.id).samples, load_cut_audio(cut)
        assert len(samples) == len(original)
        assert np.corrcoef(original, samples)[0, 1] > 0.99


@pytest.mark.parametrize("jobs", [2, 5])
def test_any_number_of_processes_gives_the_same_bytes(
    table: Path, prepared: Path, tmp_path: Path, jobs: int
) -> None:
    prepare(CORPORA["table"], table, tmp_path, FLAC, jobs)
    assert everything(tmp_path) == everything(prepared)


def test_many_machines_write_what_one_would(table: Path, prepared: Path, tmp_path: Path) -> None:
    parts = [Shard(number, 3) for number in (1, 2, 3)]

    def written() -> list[str]:
        return sorted(path.name for path in tmp_path.rglob("cuts.*"))

    said = [prepare_shard(CORPORA["table"], table, tmp_path, part, FLAC) for part in parts]
    assert said[0] == "part 1/3 is measured; not yet: 2/3, 3/3"
    assert said[2] == "all 3 parts are measured: the same again on each machine for archives"
    assert not written()
    shares = []
    for part in parts:
        before = len(written())
        said = [prepare_shard(CORPORA["table"], table, tmp_path, part, FLAC)]
        assert said == [f"archives of part {part} written; when all are: the same without --shard"]
        shares.append(len(written()) - before)
    assert shares == [4, 1, 1]  # of four of train, one of dev and one of test
    made = {path.stat().st_ino for path in tmp_path.rglob("*.tar")}
    prepare(CORPORA["table"], table, tmp_path, FLAC)
    assert {path.stat().st_ino for path in tmp_path.rglob("*.tar")} == made
    assert everything(tmp_path) == everything(prepared)


def test_only_what_changed_is_written_again(table: Path, tmp_path: Path) -> None:
    source = shutil.copytree(table.parent, tmp_path / "in") / table.name
    out = tmp_path / "out"

    def dates() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (out / "train.shar").iterdir()}

    prepare(CORPORA["table"], source, out, FLAC)
    first = dates()
    prepare(CORPORA["table"], source, out, FLAC)
    assert dates() == first
    audio(source.parent / "u09.wav", 0.75)
    prepare(CORPORA["table"], source, out, FLAC)
    changed = {name for name, date in dates().items() if date != first[name]}
    assert changed == {"cuts.000001.jsonl.gz", "recording.000001.tar"}
    (cut,) = (cut for cut in manifests.required_manifest(out, "train") if cut.id == "u09.wav")
    assert len(load_cut_audio(cut)) == 12_000
    os.utime(source.parent / "u20.wav")  # as if another recording of the same length were there
    prepare(CORPORA["table"], source, out, FLAC)
    assert dates()["recording.000002.tar"] != first["recording.000002.tar"]


def test_a_damaged_archive_is_written_again(table: Path, prepared: Path, tmp_path: Path) -> None:
    out = shutil.copytree(prepared, tmp_path / "out")
    (out / "train.shar" / "recording.000000.tar").write_bytes(b"")
    (out / "train.shar" / "recording.000001.tar").unlink()
    (out / "train.shar" / "cuts.000002.jsonl.gz").unlink()
    cuts = out / "train.shar" / "cuts.000003.jsonl.gz"
    cuts.write_bytes(cuts.read_bytes()[:-20])
    prepare(CORPORA["table"], table, out, FLAC)
    assert everything(out) == everything(prepared)


def test_a_smaller_corpus_leaves_no_archive_behind(prepared: Path, tmp_path: Path) -> None:
    out = shutil.copytree(prepared, tmp_path / "out")
    (out / "train.shar" / ".recording.000000.abcdefgh.tar").touch()  # of a run that was killed
    source = tones.record(tmp_path / "in", TEXTS[:20], ["train"] * 16 + ["dev"] * 4)
    prepare(CORPORA["table"], source, out, FLAC)
    # The table gives no test: one is drawn from train.
    lines = [len((out / f"{split}.jsonl").read_text().splitlines()) for split in ("train", "test")]
    assert sum(lines) == 16
    for split in ("train", "dev", "test"):
        read = CutSet.from_shar(in_dir=out / f"{split}.shar")
        assert [cut.id for cut in read] == [cut["id"] for cut in cuts(out / f"{split}.jsonl")]
    only_test = tones.record(tmp_path / "only", TEXTS[:3], ["test"] * 3)
    prepare(CORPORA["table"], only_test, out, FLAC)
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "test.jsonl", "test.shar"]


def test_interrupted_it_goes_on_and_is_not_read_before_it_is_whole(
    table: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    prepare(CORPORA["table"], table, out)  # manifests without archives, of before

    def slowly(*arguments: object) -> object:
        time.sleep(0.1)
        return write_archive(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("sorigeul.corpora.archives.write", slowly)
    options = ("--shards", "8", "--jobs", "2")
    command = Forked(tmp_path / "said", "prepare", "table", table, out, *options)
    assert command.wait_until(lambda: len(list(out.rglob("cuts.*"))) >= 2)
    command.kill(signal.SIGKILL)
    assert command.done().status == -signal.SIGKILL
    monkeypatch.undo()
    begun = {path.name: path.stat().st_ino for path in out.glob("train.shar.unfinished/cuts.*")}
    assert begun
    assert not (out / "train.shar").exists()
    (first, *_) = manifests.required_manifest(out, "train")
    assert first.recording.sources[0].type == "file"

    prepare(CORPORA["table"], table, out, FLAC)
    assert everything(out) == everything(prepared)
    found = {path.name: path.stat().st_ino for path in (out / "train.shar").glob("cuts.*")}
    assert begun.items() <= found.items()


def test_a_recording_that_cannot_be_decoded_is_named(table: Path, tmp_path: Path) -> None:
    source = shutil.copytree(table.parent, tmp_path / "in") / table.name
    silent = source.parent / "u05.wav"
    audio(silent, 1.0)
    content = bytearray(silent.read_bytes())
    content[44:] = bytes(len(content) - 44)
    silent.write_bytes(content)
    first = prepare(CORPORA["table"], source, tmp_path / "out", FLAC)
    (warning,) = (one for one in first.warnings if "decoded" in one)
    assert warning.startswith("1 recordings cannot be decoded and are in no archive")
    assert f"u05.wav ({silent}: holds only silence" in warning
    assert prepare(CORPORA["table"], source, tmp_path / "out", FLAC) == first

    read = list(CutSet.from_shar(in_dir=tmp_path / "out" / "train.shar"))
    assert len(read) == 30
    (cut,) = (
        cut for cut in manifests.required_manifest(tmp_path / "out", "train") if "05" in cut.id
    )
    with pytest.raises(UserError, match=r"u05\.wav: holds only silence"):
        load_cut_audio(cut)


def test_stale_archives_are_refused(table: Path, prepared: Path, tmp_path: Path) -> None:
    out = shutil.copytree(prepared, tmp_path / "out")
    with pytest.raises(UserError, match=r"archives \(train.shar, dev.shar, test.shar\): give --sh"):
        prepare(CORPORA["table"], table, out)
    assert everything(out) == everything(prepared)


def test_the_parts_of_kspon_evaluation_are_in_test_too(tmp_path: Path) -> None:
    kspon_scripts(tmp_path / "in")
    out = tmp_path / "out"
    prepare(CORPORA["kspon"], tmp_path / "in", out, FLAC)
    for split in ("train", "dev", "test", "eval_clean", "eval_other"):
        read = [cut.id for cut in manifests.required_manifest(out, split)]
        assert read == [cut["id"] for cut in cuts(out / f"{split}.jsonl")]
        for cut in manifests.open_manifest(out / f"{split}.jsonl"):
            assert cut.recording.sources[0].type == "shar"
            assert len(load_cut_audio(cut)) == 8_000


def test_names_of_every_kind(tmp_path: Path) -> None:
    names = ["한글 이름.wav", "a/b/c.wav", f"{'long' * 30}.wav", "점.이.많은.wav", "a.pcm"]
    for name in names:
        audio(tmp_path / name)
    rows = [{"audio": name, "text": "가", "split": "test"} for name in names]
    path = write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    prepare(CORPORA["table"], path, tmp_path / "out", FLAC)
    read = {cut.id: cut for cut in manifests.required_manifest(tmp_path / "out", "test")}
    assert list(read) == names
    for name, cut in read.items():
        assert np.array_equal(load_cut_audio(cut), load(tmp_path / name).samples)
    assert [cut.id for cut in CutSet.from_shar(in_dir=tmp_path / "out" / "test.shar")] == names


def test_nothing_in_an_archive_tells_when_or_by_whom(prepared: Path) -> None:
    with tarfile.open(prepared / "train.shar" / "recording.000000.tar") as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
    raw = (prepared / "train.shar" / "cuts.000000.jsonl.gz").read_bytes()
    assert raw[3] == 0  # no name of a file
    assert raw[4:8] == bytes(4)  # nor a date
    assert gzip.decompress(raw).count(b"\n") == 8
