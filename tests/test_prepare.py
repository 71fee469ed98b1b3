"""Preparing, whatever the corpus: manifests, splits, the report, all or nothing."""

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trees import audio, cuts, kspon_scripts, texts, write

from sorigeul import corpora
from sorigeul.corpora import PrepareOptions, Utterance, prepare
from sorigeul.corpora.manifest import cut_line
from sorigeul.corpora.splits import hold_out
from sorigeul.errors import UserError


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
    prepare("table", path, tmp_path / "out")
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
    report = prepare("table", path, tmp_path / "out", PrepareOptions(max_duration=2))
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
    report = prepare("table", source, tmp_path / "out")
    voices = [
        {cut["supervisions"][0]["speaker"] for cut in cuts(tmp_path / "out" / f"{split}.jsonl")}
        for split in ("train", "dev", "test")
    ]
    assert [len(speakers) for speakers in voices] == [16, 2, 2]
    assert len(set().union(*voices)) == 20
    assert report.split_by == "speaker"
    other = prepare("table", source, tmp_path / "other", PrepareOptions(seed=1))
    assert other.seed == 1
    assert texts(tmp_path / "other", "test") != texts(tmp_path / "out", "test")
    assert texts(tmp_path / "other") == texts(tmp_path / "out")


@pytest.mark.parametrize(("speakers", "split_by"), [(3, "speaker"), (2, "utterance")])
def test_few_speakers(tmp_path: Path, speakers: int, split_by: str) -> None:
    report = prepare("table", many(tmp_path / "in", speakers, each=10), tmp_path / "out")
    assert report.split_by == split_by
    assert set(report.splits) == {"train", "dev", "test"}
    assert any("voices of dev and test" in w for w in report.warnings) == (split_by == "utterance")
    assert sum(s["utterances"] for s in report.splits.values()) == 10 * speakers


def test_what_is_given_stays_and_the_rest_is_drawn_from_train(tmp_path: Path) -> None:
    rows = [(f"{n}.wav", f"말 {n}", f"화자{n % 5}", "train") for n in range(20)]
    rows += [(f"{n}.wav", f"말 {n}", "시험", "test") for n in range(20, 23)]
    rows += [(f"{n}.wav", f"말 {n}", "", "") for n in range(23, 25)]
    report = prepare("table", table(tmp_path / "in", rows, 0.12), tmp_path / "out")
    assert set(texts(tmp_path / "out", "test")) == {"20.wav", "21.wav", "22.wav"}
    assert report.splits["dev"]["utterances"] + report.splits["train"]["utterances"] == 22
    assert report.splits["dev"]["utterances"] > 0
    assert "2 utterances name no speaker; they were kept together as one" in report.warnings


def test_a_test_set_alone(tmp_path: Path) -> None:
    report = prepare("table", many(tmp_path / "in", 3, 1, "test"), tmp_path / "out")
    assert sorted(snapshot(tmp_path / "out")) == ["report.json", "test.jsonl"]
    assert {"no utterance in train", "no utterance in dev"} <= set(report.warnings)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    """Across processes too, whose hashes of strings differ."""
    source = many(tmp_path / "in", speakers=6)
    prepare("table", source, tmp_path / "out")
    first = snapshot(tmp_path / "out")
    code = (
        "import sys; from pathlib import Path; from sorigeul.corpora import prepare;"
        "prepare('table', Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, source, tmp_path / "out"],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert snapshot(tmp_path / "out") == first


def test_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare("table", many(tmp_path / "in", speakers=6), tmp_path / "out")
    before = snapshot(tmp_path / "out")
    again = many(tmp_path / "again", speakers=8)

    written = []

    def disk_full(utterance: Utterance, normalizer: str) -> str:
        written.append(utterance)
        if len(written) == 30:
            raise OSError(28, "No space left on device")
        return cut_line(utterance, normalizer)

    monkeypatch.setattr("sorigeul.corpora.cut_line", disk_full)
    with pytest.raises(OSError, match="No space left"):
        prepare("table", again, tmp_path / "out")
    assert snapshot(tmp_path / "out") == before
    written.clear()
    with pytest.raises(OSError, match="No space left"):
        prepare("table", again, tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())


def test_manifests_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    kspon_scripts(tmp_path / "kspon")
    prepare("kspon", tmp_path / "kspon", tmp_path / "out")
    prepare("table", many(tmp_path / "in", speakers=3), tmp_path / "out")
    assert sorted(snapshot(tmp_path / "out")) == [
        "dev.jsonl",
        "report.json",
        "test.jsonl",
        "train.jsonl",
    ]


@pytest.mark.parametrize("corpus", sorted(set(corpora.READERS) - {"demo", "table"}))
def test_missing_and_empty_sources(tmp_path: Path, corpus: str) -> None:
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    for source in (None, tmp_path / "missing", tmp_path / "empty"):
        with pytest.raises(UserError, match=r"should hold \S+") as raised:
            prepare(corpus, source, out)
        assert "\n" not in str(raised.value)
        assert source is None or str(source) in str(raised.value)
    assert not out.exists()


def test_nothing_usable_names_the_first_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "audio,text\na.wav,가\nb.wav,나\n")
    with pytest.raises(
        UserError, match=r"none of its 2 items .* first, t\.csv:2: transcript without"
    ):
        prepare("table", path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unknown_corpus_and_wrong_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no corpus 'librispeech'; choose one of kspon, zeroth"):
        prepare("librispeech", tmp_path, tmp_path)
    with pytest.raises(UserError, match="is a file"):
        prepare("pansori", tmp_path, write(tmp_path / "file", ""))


@pytest.mark.parametrize(
    "wrong",
    [
        {"dev_share": 0},
        {"dev_share": 0.5, "test_share": 0.5},
        {"max_duration": 0.1},
        {"utterances": 0},
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
    report = prepare("kspon", tmp_path / "in", tmp_path / "out")
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
    code = "import sys, sorigeul.corpora, sorigeul.vocabulary; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"torch", "lhotse"} & set(modules.stdout.split())
