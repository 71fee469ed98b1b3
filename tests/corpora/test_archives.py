"""Archives beside the manifests: their content, lhotse reads them, interrupted writing resumes."""

import gzip
import json
import os
import shutil
import signal
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.processes import Forked, Pause
from helpers.trees import (
    file_contents,
    read_cuts,
    write_kspon_scripts,
    write_table,
    write_text,
    write_tone,
)
from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.corpora.archives import Archive
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
    """A table of 30 recordings for train, 5 for dev and 5 for test. Do not change it."""
    return tones.record(tmp_path_factory.mktemp("table"), TEXTS, SPLITS)


@pytest.fixture(scope="module")
def prepared(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output for `table`, with eight utterances to an archive. Do not change it."""
    out = tmp_path_factory.mktemp("prepared")
    prepare(CORPORA["table"], table, out, FLAC)
    return out


def test_archives_stand_beside_the_same_manifests_as_without_them(
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


def test_lhotse_reads_the_archives(table: Path, prepared: Path) -> None:
    read = list(CutSet.from_shar(in_dir=prepared / "train.shar"))
    assert [cut.id for cut in read] == [cut["id"] for cut in read_cuts(prepared / "train.jsonl")]
    for cut, text in zip(read, TEXTS, strict=False):
        assert cut.supervisions[0].text == text
        samples = load(table.parent / cut.id).samples
        assert cut.duration == len(samples) / 16_000
        assert np.array_equal(cut.load_audio()[0], samples)


def test_archives_hold_the_samples_of_the_files(table: Path, prepared: Path) -> None:
    found = {cut.id: load_cut_audio(cut) for cut in manifests.required_manifest(prepared, "train")}
    assert len(found) == 30
    for name, samples in found.items():
        assert np.array_equal(samples, load(table.parent / name).samples)


def test_recordings_are_resampled_to_16_khz(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.flac", 1.5, rate=44_100)
    path = write_text(tmp_path / "t.jsonl", '{"audio": "a.flac", "text": "가", "split": "train"}\n')
    prepare(CORPORA["table"], path, tmp_path / "out", FLAC)
    (cut,) = manifests.required_manifest(tmp_path / "out", "train")
    samples = load(tmp_path / "a.flac").samples
    assert np.abs(load_cut_audio(cut) - samples).max() <= 2**-16


def test_samples_above_full_scale_are_clipped(tmp_path: Path) -> None:
    samples = 1.5 * np.sin(np.arange(16_000) / 20)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    path = write_text(tmp_path / "t.jsonl", '{"audio": "a.wav", "text": "가", "split": "train"}\n')
    prepare(CORPORA["table"], path, tmp_path / "out", FLAC)
    (cut,) = manifests.required_manifest(tmp_path / "out", "train")
    assert np.abs(load_cut_audio(cut) - samples.clip(-1, 1)).max() <= 2**-15


def test_loud_16_bit_samples_stay_as_they_are(tmp_path: Path) -> None:
    """A float decoder and encoder that disagree by one in 32,768 would move the loud ones."""
    samples = np.random.default_rng(0).integers(-32768, 32768, 16_000).astype("<i2")
    samples[:2] = (-32768, 32767)
    (tmp_path / "a.pcm").write_bytes(samples.tobytes())
    path = write_text(tmp_path / "t.jsonl", '{"audio": "a.pcm", "text": "가", "split": "train"}\n')
    prepare(CORPORA["table"], path, tmp_path / "out", FLAC)
    (cut,) = manifests.required_manifest(tmp_path / "out", "train")
    assert np.array_equal(load_cut_audio(cut) * 32768, samples)


def test_opus_is_smaller_sounds_alike_and_is_the_same_every_time(tmp_path: Path) -> None:
    options = PrepareOptions(shards=8, shard_format="opus")
    splits = ["train"] * 4 + ["dev", "test"]
    rows = [(f"{number}.wav", "말", "나", split) for number, split in enumerate(splits)]
    table = write_table(tmp_path / "few", rows, seconds=4.0)
    for name in ("one", "two"):
        prepare(CORPORA["table"], table, tmp_path / name, options)
        time.sleep(1.1)  # the clock must not matter
    assert file_contents(tmp_path / "one") == file_contents(tmp_path / "two")

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
    prepare(CORPORA["table"], table, tmp_path, replace(FLAC, jobs=jobs))
    assert file_contents(tmp_path) == file_contents(prepared)


def test_several_machines_write_the_same_bytes_as_one(
    table: Path, prepared: Path, tmp_path: Path
) -> None:
    shards = [Shard(number, 3) for number in (1, 2, 3)]

    def written() -> int:
        return len(list(tmp_path.rglob("cuts.*")))

    def tar_inodes() -> set[int]:
        return {path.stat().st_ino for path in tmp_path.rglob("*.tar")}

    messages = [prepare_shard(CORPORA["table"], table, tmp_path, shard, FLAC) for shard in shards]
    assert messages[0] == "part 1/3 is measured; not yet: 2/3, 3/3"
    assert messages[2] == "all 3 parts are measured: the same again on each machine for archives"
    assert written() == 0
    archives_by_machine = []
    for shard in shards:
        before = written()
        message = prepare_shard(CORPORA["table"], table, tmp_path, shard, FLAC)
        assert message == (
            f"archives of part {shard} written; when all are: the same without --shard"
        )
        archives_by_machine.append(written() - before)
    assert archives_by_machine == [4, 1, 1]  # of four of train, one of dev and one of test
    inodes = tar_inodes()
    prepare(CORPORA["table"], table, tmp_path, FLAC)
    assert tar_inodes() == inodes
    assert file_contents(tmp_path) == file_contents(prepared)


def test_only_archives_that_changed_are_written_again(table: Path, tmp_path: Path) -> None:
    source = shutil.copytree(table.parent, tmp_path / "in") / table.name
    out = tmp_path / "out"

    def dates() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (out / "train.shar").iterdir()}

    prepare(CORPORA["table"], source, out, FLAC)
    first = dates()
    prepare(CORPORA["table"], source, out, FLAC)
    assert dates() == first
    write_tone(source.parent / "u09.wav", 0.75)
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
    assert file_contents(out) == file_contents(prepared)


def test_archives_of_a_larger_corpus_are_removed(prepared: Path, tmp_path: Path) -> None:
    out = shutil.copytree(prepared, tmp_path / "out")
    (out / "train.shar" / ".recording.000000.abcdefgh.tar").touch()  # of a run that was killed
    source = tones.record(tmp_path / "in", TEXTS[:20], ["train"] * 16 + ["dev"] * 4)
    prepare(CORPORA["table"], source, out, FLAC)
    # The table gives no test: one is drawn from train.
    lines = [len((out / f"{split}.jsonl").read_text().splitlines()) for split in ("train", "test")]
    assert sum(lines) == 16
    for split in ("train", "dev", "test"):
        read = CutSet.from_shar(in_dir=out / f"{split}.shar")
        assert [cut.id for cut in read] == [cut["id"] for cut in read_cuts(out / f"{split}.jsonl")]
    only_test = tones.record(tmp_path / "only", TEXTS[:3], ["test"] * 3)
    prepare(CORPORA["table"], only_test, out, FLAC)
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "test.jsonl", "test.shar"]


def test_interrupted_writing_resumes_and_incomplete_archives_are_not_read(
    table: Path, prepared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepare(CORPORA["table"], table, out)  # manifests of an earlier run without archives

    def written() -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in out.glob("train.shar*/cuts.*")}

    command = Forked(
        tmp_path / "output",
        *("prepare", "table", table, out, "--shards", "8", "--jobs", "2"),
        pause=Pause(4, [(Archive, "__init__")]),  # the last one of train
    )
    assert command.wait_until_paused()
    assert command.wait_until(lambda: len(written()) == 3)
    command.kill(signal.SIGKILL)
    assert command.done().status == -signal.SIGKILL
    before = written()
    assert not (out / "train.shar").exists()
    (first, *_) = manifests.required_manifest(out, "train")
    assert first.recording.sources[0].type == "file"

    prepare(CORPORA["table"], table, out, FLAC)
    assert file_contents(out) == file_contents(prepared)
    assert before.items() <= written().items()


def test_a_recording_that_cannot_be_decoded_is_named(table: Path, tmp_path: Path) -> None:
    source = shutil.copytree(table.parent, tmp_path / "in") / table.name
    silent = source.parent / "u05.wav"
    write_tone(silent, 1.0)
    content = bytearray(silent.read_bytes())
    content[44:] = bytes(len(content) - 44)
    silent.write_bytes(content)
    unheard = replace(FLAC, check="header")
    first = prepare(CORPORA["table"], source, tmp_path / "out", unheard)
    (warning,) = (warning for warning in first.warnings if "decoded" in warning)
    assert warning.startswith("1 recordings cannot be decoded and are in no archive")
    assert f"u05.wav ({silent}: holds only silence" in warning
    assert prepare(CORPORA["table"], source, tmp_path / "out", unheard) == first

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
    assert file_contents(out) == file_contents(prepared)


def test_evaluation_sets_of_kspon_are_in_the_archives_of_test_too(tmp_path: Path) -> None:
    write_kspon_scripts(tmp_path / "in")
    out = tmp_path / "out"
    prepare(CORPORA["kspon"], tmp_path / "in", out, FLAC)
    for split in ("train", "dev", "test", "eval_clean", "eval_other"):
        read = [cut.id for cut in manifests.required_manifest(out, split)]
        assert read == [cut["id"] for cut in read_cuts(out / f"{split}.jsonl")]
        for cut in manifests.open_manifest(out / f"{split}.jsonl"):
            assert cut.recording.sources[0].type == "shar"
            assert len(load_cut_audio(cut)) == 8_000


def test_ids_may_hold_hangul_slashes_spaces_and_dots(tmp_path: Path) -> None:
    names = ["한글 이름.wav", "a/b/c.wav", f"{'long' * 30}.wav", "점.이.많은.wav", "a.pcm"]
    for name in names:
        write_tone(tmp_path / name)
    rows = [{"audio": name, "text": "가", "split": "test"} for name in names]
    path = write_text(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    prepare(CORPORA["table"], path, tmp_path / "out", FLAC)
    read = {cut.id: cut for cut in manifests.required_manifest(tmp_path / "out", "test")}
    assert list(read) == names
    for name, cut in read.items():
        assert np.array_equal(load_cut_audio(cut), load(tmp_path / name).samples)
    assert [cut.id for cut in CutSet.from_shar(in_dir=tmp_path / "out" / "test.shar")] == names


def test_archives_hold_no_date_user_or_file_name(prepared: Path) -> None:
    with tarfile.open(prepared / "train.shar" / "recording.000000.tar") as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
    raw = (prepared / "train.shar" / "cuts.000000.jsonl.gz").read_bytes()
    assert raw[3] == 0  # no name of a file
    assert raw[4:8] == bytes(4)  # nor a date
    assert gzip.decompress(raw).count(b"\n") == 8
