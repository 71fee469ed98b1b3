"""Preparing, whatever the corpus: manifests, splits, the report, all or nothing."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import Command
from helpers.processes import Forked
from helpers.trees import audio, cuts, kspon_scripts, reasons, texts, write
from hypothesis import given
from hypothesis import strategies as st

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.duration_cache import open_duration_cache
from sorigeul.corpora.lhotse_cuts import cut_line
from sorigeul.corpora.options import PrepareOptions, Shard
from sorigeul.corpora.preparation import prepare, prepare_shard
from sorigeul.corpora.splits import hold_out
from sorigeul.corpora.utterances import Utterance
from sorigeul.sound.audio import probe


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def table(folder: Path, rows: list[tuple[str, str, str, str]], seconds: float = 0.5) -> Path:
    """A CSV of (audio, text, speaker, split) with a recording for each row."""
    for name, *_ in rows:
        audio(folder / name, seconds)
    lines = ["audio,text,speaker,split", *(",".join(row) for row in rows)]
    return write(folder / "table.csv", "\n".join(lines) + "\n")


def test_manifests_are_lhotse_cuts(tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    audio(tmp_path / "a.wav", 1.23456, rate=44_100)
    path = write(tmp_path / "t.csv", "audio,text,speaker\na.wav,그래,나\n")
    prepare(CORPORA["table"], path, tmp_path / "out")
    (cut,) = lhotse.CutSet.from_jsonl_lazy(tmp_path / "out" / "train.jsonl")
    lhotse.validate(cut)
    assert isinstance(cut, lhotse.MonoCut)
    assert (cut.id, cut.sampling_rate, cut.num_samples) == ("a.wav", 16_000, 19_753)
    assert cut.duration == pytest.approx(1.23456, abs=1 / 16_000)
    (supervision,) = cut.supervisions
    assert (supervision.text, supervision.speaker) == ("그래", "나")
    assert (supervision.language, supervision.normalizer) == ("Korean", "plain/1")
    (source,) = cut.recording.sources
    assert (source.type, source.source) == ("file", str(tmp_path / "a.wav"))


def test_recordings_that_cannot_be_used(tmp_path: Path) -> None:
    audio(tmp_path / "good.wav")
    audio(tmp_path / "long.wav", 2.5)
    audio(tmp_path / "short.wav", 0.09)
    write(tmp_path / "empty.wav", "")
    write(tmp_path / "words.wav", "이것은 소리가 아니다" * 100)
    audio(tmp_path / "silent.wav")
    (tmp_path / "folder.wav").mkdir()
    names = ["good", "long", "short", "empty", "words", "folder", "gone", "good"]
    lines = ["audio,text", *(f"{name}.wav,말" for name in names), "silent.wav, "]
    path = write(tmp_path / "t.csv", "\n".join(lines))
    report = prepare(CORPORA["table"], path, tmp_path / "out", PrepareOptions(max_duration=2))
    assert texts(tmp_path / "out") == {"good.wav": "말"}
    assert [(item.item, item.where) for item in report.rejected] == [
        ("long.wav", "t.csv:3"),
        ("short.wav", "t.csv:4"),
        ("empty.wav", "t.csv:5"),
        ("words.wav", "t.csv:6"),
        ("folder.wav", "t.csv:7"),
        ("gone.wav", "t.csv:8"),
        ("good.wav", "t.csv:9"),
        ("silent.wav", "t.csv:10"),
    ]
    why = [item.reason for item in report.rejected]
    assert why[0] == "2.50 s long, over 2 s"
    assert why[1] == "0.090 s long, under 0.1 s"
    assert why[2].startswith(str(tmp_path / "empty.wav"))
    assert why[3].startswith(str(tmp_path / "words.wav"))
    assert why[6:] == ["duplicate id", "empty transcript"]


def many(folder: Path, speakers: int, each: int = 4, split: str = "") -> Path:
    named = [
        (f"{s}-{n}.wav", f"말 {s} {n}", f"화자{s}") for s in range(speakers) for n in range(each)
    ]
    return table(folder, [(*row, split) for row in named], seconds=0.12)


def test_split_by_speaker_is_disjoint(tmp_path: Path) -> None:
    source = many(tmp_path / "in", speakers=20)
    report = prepare(CORPORA["table"], source, tmp_path / "out")
    voices = [
        {cut["supervisions"][0]["speaker"] for cut in cuts(tmp_path / "out" / f"{split}.jsonl")}
        for split in ("train", "dev", "test")
    ]
    assert [len(speakers) for speakers in voices] == [16, 2, 2]
    assert len(set().union(*voices)) == 20
    assert report.split_by == "speaker"
    other = prepare(CORPORA["table"], source, tmp_path / "other", PrepareOptions(seed=1))
    assert other.seed == 1
    assert texts(tmp_path / "other", "test") != texts(tmp_path / "out", "test")
    assert texts(tmp_path / "other") == texts(tmp_path / "out")


@pytest.mark.parametrize(("speakers", "split_by"), [(3, "speaker"), (2, "utterance")])
def test_few_speakers(tmp_path: Path, speakers: int, split_by: str) -> None:
    report = prepare(CORPORA["table"], many(tmp_path / "in", speakers, each=10), tmp_path / "out")
    assert report.split_by == split_by
    assert set(report.splits) == {"train", "dev", "test"}
    assert any("voices of dev and test" in w for w in report.warnings) == (split_by == "utterance")
    assert sum(s["utterances"] for s in report.splits.values()) == 10 * speakers


def test_what_is_given_stays_and_the_rest_is_drawn_from_train(tmp_path: Path) -> None:
    rows = [(f"{n}.wav", f"말 {n}", f"화자{n % 5}", "train") for n in range(20)]
    rows += [(f"{n}.wav", f"말 {n}", "시험", "test") for n in range(20, 23)]
    rows += [(f"{n}.wav", f"말 {n}", "", "") for n in range(23, 25)]
    report = prepare(CORPORA["table"], table(tmp_path / "in", rows, 0.12), tmp_path / "out")
    assert set(texts(tmp_path / "out", "test")) == {"20.wav", "21.wav", "22.wav"}
    assert report.splits["dev"]["utterances"] + report.splits["train"]["utterances"] == 22
    assert report.splits["dev"]["utterances"] > 0
    assert "2 utterances name no speaker; they were kept together as one" in report.warnings


def test_a_test_set_alone(tmp_path: Path) -> None:
    report = prepare(CORPORA["table"], many(tmp_path / "in", 3, 1, "test"), tmp_path / "out")
    assert sorted(snapshot(tmp_path / "out")) == ["report.json", "test.jsonl"]
    assert {"no utterance in train", "no utterance in dev"} <= set(report.warnings)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    """Across processes too, whose hashes of strings differ."""
    source = many(tmp_path / "in", speakers=6)
    prepare(CORPORA["table"], source, tmp_path / "out")
    first = snapshot(tmp_path / "out")
    code = (
        "import sys; from pathlib import Path; from sorigeul.corpora.catalog import CORPORA;"
        "from sorigeul.corpora.preparation import prepare;"
        "prepare(CORPORA['table'], Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, source, tmp_path / "out"],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert snapshot(tmp_path / "out") == first


def test_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(CORPORA["table"], many(tmp_path / "in", speakers=6), tmp_path / "out")
    before = snapshot(tmp_path / "out")
    again = many(tmp_path / "again", speakers=8)

    written = []

    def disk_full(utterance: Utterance, normalizer: str) -> str:
        written.append(utterance)
        if len(written) == 30:
            raise OSError(28, "No space left on device")
        return cut_line(utterance, normalizer)

    monkeypatch.setattr("sorigeul.corpora.preparation.cut_line", disk_full)
    with pytest.raises(OSError, match="No space left"):
        prepare(CORPORA["table"], again, tmp_path / "out")
    after = snapshot(tmp_path / "out")
    assert after.pop("probed.journal").count(b"\n") == 32  # what was measured is not lost
    assert after == before
    written.clear()
    with pytest.raises(OSError, match="No space left"):
        prepare(CORPORA["table"], again, tmp_path / "new")
    assert list(snapshot(tmp_path / "new")) == ["probed.journal"]


# Many processes, interruptions, many machines


@pytest.fixture(scope="module")
def hundreds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 utterances of 40 speakers, one in twenty of no use. To be read only."""
    source = many(tmp_path_factory.mktemp("hundreds"), speakers=40, each=10)
    for number in range(0, 40, 4):
        (source.parent / f"{number}-3.wav").write_bytes(b"RIFF" + bytes(number))
        (source.parent / f"{number}-7.wav").unlink()
    return source


def copied(source: Path, to: Path) -> Path:
    """The corpus of `source` once more, its files as old as they were."""
    shutil.copytree(source.parent, to, copy_function=shutil.copy2)
    return to / source.name


@pytest.fixture(scope="module")
def expected(hundreds: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes of them in one go."""
    out = tmp_path_factory.mktemp("expected")
    report = prepare(CORPORA["table"], hundreds, out)
    assert report.total["utterances"] == 380
    assert len(report.rejected) == 20
    return snapshot(out)


@pytest.mark.parametrize("jobs", [2, 5])
def test_any_number_of_processes_gives_the_same_bytes(
    tmp_path: Path, hundreds: Path, expected: dict[str, bytes], jobs: int
) -> None:
    prepare(CORPORA["table"], hundreds, tmp_path, jobs=jobs)
    assert snapshot(tmp_path) == expected
    prepare(CORPORA["table"], hundreds, tmp_path, jobs=jobs)
    assert snapshot(tmp_path) == expected


def journal(out: Path) -> list[bytes]:
    path = out / "probed.journal"
    return path.read_bytes().splitlines() if path.exists() else []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupted_it_goes_on_where_it_was(
    tmp_path: Path,
    hundreds: Path,
    number: signal.Signals,
    jobs: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def from_afar(path: Path) -> float:
        time.sleep(0.002)
        return probe(path)

    source, out = copied(hundreds, tmp_path / "in"), tmp_path / "out"
    prepare(CORPORA["table"], source, tmp_path / "uninterrupted")
    monkeypatch.setattr("sorigeul.corpora.checking.probe", from_afar)
    command = Forked(tmp_path / "said", "prepare", "table", source, out, "--jobs", jobs)
    assert command.wait_until(lambda: len(journal(out)) >= 100)
    command.kill(number)
    done = command.done()
    if number == signal.SIGKILL:
        assert done.status == -signal.SIGKILL
    else:
        assert done.status == 130
        assert "the same command goes on" in done.err
        assert done.error() == "interrupted"
    measured = journal(out)
    assert 100 <= len(measured) < 380
    assert [path.name for path in out.iterdir()] == ["probed.journal"]

    # What was measured is not measured again: nobody notices that it holds no sound any more.
    for line in measured[:-1]:
        spoil(Path(json.loads(line)[1]))
    with (out / "probed.journal").open("ab") as file:
        file.write(measured[-1][:20])  # as a machine leaves it that loses its power
    monkeypatch.undo()
    prepare(CORPORA["table"], source, out, jobs=int(jobs))
    assert snapshot(out) == snapshot(tmp_path / "uninterrupted")


def test_what_a_killed_run_left_half_written_goes(tmp_path: Path, hundreds: Path) -> None:
    for name in ("train.jsonl", "report.json"):
        with replacing(tmp_path / name) as temporary:
            pass
        (tmp_path / name).rename(temporary)
    others = [tmp_path / name for name in (".train.jsonl", ".train.note.jsonl", "notes.txt")]
    for path in others:
        path.touch()
    assert len(list(tmp_path.iterdir())) == 5
    prepare(CORPORA["table"], hundreds, tmp_path)
    names = {"report.json", *(f"{split}.jsonl" for split in ("train", "dev", "test"))}
    assert {path.name for path in tmp_path.iterdir()} == names | {path.name for path in others}


def spoil(path: Path) -> None:
    """Make a recording unreadable without its size or date showing it."""
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_changed_since_is_measured_again(tmp_path: Path, hundreds: Path) -> None:
    source, out = copied(hundreds, tmp_path / "in"), tmp_path / "out"
    interrupted(source, out)
    names = [Path(json.loads(line)[1]) for line in journal(out)[:3]]
    audio(names[0], 0.5)
    spoil(names[1])
    os.utime(names[1])
    names[2].unlink()
    report = prepare(CORPORA["table"], source, out, PrepareOptions(max_duration=0.4))
    why = reasons(report)
    assert why[names[0].name].endswith("0.50 s long, over 0.4 s")
    assert str(names[1]) in why[names[1].name]
    assert "transcript without audio" in why[names[2].name]
    assert len(why) == 23


def interrupted(source: Path, out: Path) -> None:
    """Measure everything, and write no manifest."""
    prepare_shard(CORPORA["table"], source, out, Shard(1, 1))
    (out / "probed-1-of-1.journal").rename(out / "probed.journal")


def test_a_journal_of_another_version_does_not_count(tmp_path: Path, hundreds: Path) -> None:
    source, out = copied(hundreds, tmp_path / "in"), tmp_path / "out"
    interrupted(source, out)
    lines = [json.loads(line) for line in journal(out)]
    other = [[version + 1, path, size, date, 9.0] for version, path, size, date, _ in lines]
    rest = ["null", "{}", "[1, 2]", "\0\0", *map(json.dumps, other)]
    (out / "probed.journal").write_text("\n".join(rest))
    prepare(CORPORA["table"], source, out)
    prepare(CORPORA["table"], source, tmp_path / "uninterrupted")
    assert snapshot(out) == snapshot(tmp_path / "uninterrupted")


def test_the_journal_is_written_at_once_and_survives_a_half_line(tmp_path: Path) -> None:
    with open_duration_cache(tmp_path) as known:
        known.add(tmp_path / "a", (1, 2, 0.1))
        assert len(journal(tmp_path)) == 1
    with (tmp_path / "probed.journal").open("ab") as file:
        file.write(b'[1, "/so')
    with open_duration_cache(tmp_path) as known:
        known.add(tmp_path / "나\udcff", (3, 4, 1 / 3))
    with open_duration_cache(tmp_path, Shard(1, 2)) as known:
        assert known.take(tmp_path / "a") == (1, 2, 0.1)
        assert known.take(tmp_path / "나\udcff") == (3, 4, 1 / 3)
        assert known.take(tmp_path / "c") is None


def test_a_process_that_dies_names_the_recording_and_loses_nothing(
    tmp_path: Path, hundreds: Path, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where memory runs out."""

    def fall(path: Path) -> float:
        if path.name == "20-5.wav":
            os.kill(os.getpid(), signal.SIGKILL)
        return probe(path)

    monkeypatch.setattr("sorigeul.corpora.checking.probe", fall)
    with pytest.raises(UserError, match=r"20-5\.wav: the process .* died \(SIGKILL\)"):
        prepare(CORPORA["table"], hundreds, tmp_path, jobs=2)
    assert [path.name for path in tmp_path.iterdir()] == ["probed.journal"]
    monkeypatch.undo()
    prepare(CORPORA["table"], hundreds, tmp_path, jobs=2)
    assert snapshot(tmp_path) == expected


def test_many_machines_prepare_what_one_would(
    tmp_path: Path, hundreds: Path, expected: dict[str, bytes]
) -> None:
    said = [
        prepare_shard(CORPORA["table"], hundreds, tmp_path, Shard(number, 3), jobs=number)
        for number in (3, 1, 2)
    ]
    assert said == [
        "part 3/3 is measured; not yet: 1/3, 2/3",
        "part 1/3 is measured; not yet: 2/3",
        "all 3 parts are measured: once more, without --shard, for the manifests",
    ]
    shares = [set(path.read_bytes().splitlines()) for path in sorted(tmp_path.glob("*.journal"))]
    assert len(shares) == 3
    assert len(set().union(*shares)) == sum(map(len, shares)) == 380
    assert min(map(len, shares)) > 100
    assert prepare_shard(CORPORA["table"], hundreds, tmp_path, Shard(1, 3)) == said[-1]
    prepare(CORPORA["table"], hundreds, tmp_path)
    assert snapshot(tmp_path) == expected


def test_a_part_that_is_missing_is_no_loss(
    tmp_path: Path, hundreds: Path, expected: dict[str, bytes]
) -> None:
    prepare_shard(CORPORA["table"], hundreds, tmp_path, Shard(2, 3))
    prepare(CORPORA["table"], hundreds, tmp_path)
    assert snapshot(tmp_path) == expected


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "a/b", "1/3/5", "-1/3", "½/2"])
def test_parts_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match=f"^shard {text}: must be i/n"):
        Shard.parse(text)
    assert Shard.parse("2/8") == Shard(2, 8)


@given(st.text(), st.integers(1, 9))
def test_an_item_is_in_exactly_one_part(item: str, parts: int) -> None:
    assert sum(Shard(number, parts).holds(item) for number in range(1, parts + 1)) == 1


def test_the_command_says_what_is_next(
    tmp_path: Path, hundreds: Path, expected: dict[str, bytes], sorigeul: Command
) -> None:
    prepared = ("prepare", "table", hundreds, tmp_path)
    done = sorigeul(*prepared, "--shard", "2/2", "--jobs", "2")
    assert (done.status, done.out) == (0, "part 2/2 is measured; not yet: 1/2\n")
    assert "without --shard" in sorigeul(*prepared, "--shard", "1/2").out
    done = sorigeul(*prepared)
    assert "380 usable utterances" in done.out
    assert snapshot(tmp_path) == expected
    for wrong in (("--jobs", "-1"), ("--shard", "3/2"), ("--shards", "-1")):
        done = sorigeul(*prepared, *wrong)
        assert done.status == 2
        assert wrong[0].strip("-") in done.error()


def test_manifests_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    kspon_scripts(tmp_path / "kspon")
    prepare(CORPORA["kspon"], tmp_path / "kspon", tmp_path / "out")
    prepare(CORPORA["table"], many(tmp_path / "in", speakers=3), tmp_path / "out")
    assert sorted(snapshot(tmp_path / "out")) == [
        "dev.jsonl",
        "report.json",
        "test.jsonl",
        "train.jsonl",
    ]


@pytest.mark.parametrize("corpus", sorted(set(CORPORA) - {"table"}))
def test_missing_and_empty_sources(tmp_path: Path, corpus: str) -> None:
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    for source in (None, tmp_path / "missing", tmp_path / "empty"):
        with pytest.raises(UserError, match=r"should hold \S+") as raised:
            prepare(CORPORA[corpus], source, out)
        assert "\n" not in str(raised.value)
        assert source is None or str(source) in str(raised.value)
    assert not out.exists()


def test_nothing_usable_names_the_first_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "audio,text\na.wav,가\nb.wav,나\n")
    with pytest.raises(
        UserError, match=r"none of its 2 items .* first, t\.csv:2: transcript without"
    ):
        prepare(CORPORA["table"], path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a file"):
        prepare(CORPORA["pansori"], tmp_path, write(tmp_path / "file", ""))


@pytest.mark.parametrize(
    "wrong",
    [
        {"dev_share": 0},
        {"dev_share": 0.5, "test_share": 0.5},
        {"max_duration": 0.1},
        {"utterances": -1},
        {"shards": -1},
    ],
)
def test_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=str(next(iter(wrong)))):
        PrepareOptions(**wrong)


def test_links_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    kspon_scripts(tmp_path / "disk")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "disk", target_is_directory=True)
    report = prepare(CORPORA["kspon"], tmp_path / "in", tmp_path / "out")
    assert report.splits["train"]["utterances"] == 1
    assert not [item for item in report.rejected if "second file" in item.reason]


SECONDS = st.dictionaries(st.text(max_size=3), st.floats(0.1, 1000), min_size=1, max_size=40)


@given(SECONDS, st.integers(0, 9))
def test_hold_out_properties(seconds: dict[str, float], seed: int) -> None:
    shares = {"dev": 0.1, "test": 0.1}
    held = hold_out(seconds, shares, seed)
    assert set(held) <= set(seconds)
    shuffled = list(seconds.items())
    random.Random(seed + 1).shuffle(shuffled)
    assert hold_out(dict(shuffled), shares, seed) == held
    assert len(held) < len(seconds)
    if len(seconds) >= 3:
        assert set(held.values()) == {"dev", "test"}


def test_hold_out_comes_near_the_shares() -> None:
    rng = random.Random(0)
    seconds = {str(n): rng.uniform(1, 20) for n in range(300)}
    held = hold_out(seconds, {"dev": 0.1, "test": 0.2}, seed=0)

    def share(split: str) -> float:
        return sum(s for n, s in seconds.items() if held.get(n) == split) / sum(seconds.values())

    assert share("dev") == pytest.approx(0.1, abs=0.002)
    assert share("test") == pytest.approx(0.2, abs=0.002)


def test_import_costs_no_torch() -> None:
    rooms = "sorigeul.corpora.preparation, sorigeul.corpora.catalog, sorigeul.text.vocabulary"
    code = f"import sys, {rooms}; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"torch", "lhotse"} & set(modules.stdout.split())
