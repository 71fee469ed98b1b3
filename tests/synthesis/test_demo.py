"""The demo corpus: its audio, the same bytes every time, and what it refuses."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers.commands import Command

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.utterances import Layout, Utterance
from sorigeul.synthesis.demo import DEMO, read

UTTERANCES = 160


def synthesise(out: Path) -> list[Utterance]:
    layout, *items = read(None, out, PrepareOptions(utterances=UTTERANCES))
    assert isinstance(layout, Layout)
    return [item for item in items if isinstance(item, Utterance)]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    """The utterances of a small demo corpus. Do not change their files."""
    pytest.importorskip("espeakng_loader")
    return synthesise(tmp_path_factory.mktemp("demo"))


def test_audio_is_16_khz_mono_within_the_scale_and_not_silent(spoken: list[Utterance]) -> None:
    assert len(spoken) == UTTERANCES
    for utterance in spoken:
        info = soundfile.info(utterance.audio)
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
        samples, _ = soundfile.read(utterance.audio)
        assert 0.09 < np.abs(samples).max() < 0.9
        assert np.sqrt(np.mean(samples**2)) > 0.005
        syllables = len(utterance.text.replace(" ", ""))
        assert 0.08 < info.duration / syllables < 0.35, utterance
        assert utterance.audio.parent.name == utterance.speaker
    durations = [soundfile.info(utterance.audio).duration for utterance in spoken]
    assert 2 < np.mean(durations) < 3


def test_silence_around_the_speech_is_short(spoken: list[Utterance]) -> None:
    for utterance in spoken:
        samples, rate = soundfile.read(utterance.audio)
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        loud = np.flatnonzero(np.abs(frames).max(1) > 0.2 * np.abs(samples).max()) * 160 / rate
        assert 0.07 < loud[0] < 0.5, utterance
        assert 0.07 < len(samples) / rate - loud[-1] < 0.8, utterance


def test_the_same_options_give_the_same_bytes(spoken: list[Utterance], tmp_path: Path) -> None:
    again = synthesise(tmp_path)
    assert [(utterance.id, utterance.text) for utterance in again] == [
        (utterance.id, utterance.text) for utterance in spoken
    ]
    for first, second in zip(spoken, again, strict=True):
        assert first.audio.read_bytes() == second.audio.read_bytes(), first.id


def test_the_same_text_file_gives_the_same_bytes(tmp_path: Path, novel: Path) -> None:
    pytest.importorskip("espeakng_loader")
    options = PrepareOptions(text_file=str(novel), utterances=60)
    for name in ("a", "b"):
        prepare(DEMO, None, tmp_path / name, options)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.flac")}
        for name in ("a", "b")
    )
    assert len(first) == 60
    assert first == second


def test_a_text_file_lasts_as_many_hours_as_asked_for(tmp_path: Path, novel: Path) -> None:
    pytest.importorskip("espeakng_loader")
    options = PrepareOptions(text_file=str(novel), hours=0.2)
    report = prepare(DEMO, None, tmp_path / "out", options)
    assert report.sound is None  # it has just been made
    assert report.total["hours"] == pytest.approx(0.2, rel=0.06)
    assert report.splits["train"]["hours"] == pytest.approx(0.17, rel=0.06)
    assert [rejected.reason for rejected in report.rejected] == [
        "cannot be read aloud: H e l o",
        "cannot be read aloud: 3",
        "cannot be read aloud: ♥",
    ]
    sentences = report.splits["train"]["distinct_sentences"]
    assert f"{novel} has {sentences} sentences for it, said up to 2 times each" in report.notes[0]
    assert report.splits["test"]["sentences_in_train"] == 0


def test_it_takes_as_many_processes_as_one_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("espeakng_loader")
    taken = []

    def nothing(_: Any, lines: Any, jobs: int, *others: Any) -> Iterator[Any]:
        taken.append(jobs)
        yield from ()

    monkeypatch.setattr("sorigeul.synthesis.demo.map_in_order", nothing)
    list(read(None, tmp_path, PrepareOptions(utterances=100, jobs=3)))
    assert taken == [3]


def test_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reads no source"):
        next(read(tmp_path, tmp_path / "out", PrepareOptions()))


def test_without_espeakng_loader_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['espeakng_loader'] = None\n"
        "from pathlib import Path\n"
        "from sorigeul.synthesis.demo import read\n"
        "from sorigeul.corpora.options import PrepareOptions\n"
        "from sorigeul.base.errors import UserError\n"
        "try:\n"
        "    next(read(None, Path(sys.argv[1]), PrepareOptions()))\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("pip install 'sorigeul[demo]'")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "book.txt: no such file"),
        (b"", "book.txt: holds no text"),
        (b"\n \n", "book.txt: holds no text"),
        (b"Hello.\n3", "none of its 2 sentences can be read aloud; the first, book.txt:1: cannot"),
        (b"\xff\xfe\x00", "not UTF-16, as its byte-order mark says"),
        ("안녕하세요".encode(), "none of its 1 sentences falls to "),
    ],
)
def test_an_unusable_text_file_is_refused_before_anything_is_written(
    sorigeul: Command, content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "book.txt"
    if content is not None:
        path.write_bytes(content)
    done = sorigeul("prepare", "demo", tmp_path / "out", "--text", path, "--hours", "0.1")
    assert done.status == 2
    assert message in done.error()
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("demo out --utterances 200 --hours 1", "utterances and hours exclude each other"),
        ("demo out --hours -1", "hours is -1.0, but must be at least 0"),
        ("demo out --hours 0.001", "ask for 100 or more"),
        ("demo out --text .", ".: is a folder; give a regular file"),
        (
            "kspon in out --text speling",
            "text speling: only the demo corpus reads a text file aloud",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(
    sorigeul: Command,
    arguments: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sorigeul("prepare", *arguments.split())
    assert (done.status, done.out) == (2, "")
    assert message in done.error()
    assert not list(tmp_path.iterdir())
