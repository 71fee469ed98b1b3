"""The doctor: what it says of sound corpora, and of copies damaged in one way each."""

import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from helpers.commands import Command
from helpers.paths import SHARED

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.doctor.corpus_checks import Sample, association, check_corpus
from sorigeul.doctor.measurements import Measurements, measure
from sorigeul.doctor.overfit import Outcome
from sorigeul.doctor.preflight import why_not
from sorigeul.sound import audio
from sorigeul.synthesis.demo import DEMO
from sorigeul.training.settings import Settings

TINY = [
    "--preset",
    "quickstart",
    "--n_mels",
    "16",
    "--hidden_size",
    "16",
    "--conv_channels",
    "4",
    "--lr",
    "0.01",
    "--score_function",
    "location",
]
"""A model that learns four tones in seconds, and no speech."""

Row = dict[str, Any]
Sound = Callable[[int, audio.Samples], audio.Samples]
RATE = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """260 utterances of synthesised speech, 221 of them to train on. To be read only."""
    folder = tmp_path_factory.mktemp("demo")
    prepare(DEMO, None, folder, PrepareOptions(utterances=260))
    return folder


def rows(folder: Path, split: str = "train") -> list[Row]:
    lines = (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def copy(folder: Path, to: Path, sound: Sound | None = None, **splits: list[Row]) -> Path:
    """A copy of manifests with some splits replaced, and the recordings of train changed."""
    to.mkdir()
    for split in ("train", "dev", "test"):
        chosen = splits.get(split, rows(folder, split))
        for number, row in enumerate(chosen if sound and split == "train" else []):
            source = row["recording"]["sources"][0]
            samples = sound(number, audio.load(source["source"]).samples)
            source["source"] = str(to / f"{row['id']}.wav")
            soundfile.write(source["source"], samples, RATE)
            seconds = len(samples) / RATE
            row["duration"] = row["supervisions"][0]["duration"] = seconds
            row["recording"].update(num_samples=len(samples), duration=seconds)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen)
        (to / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return to


def shuffled(chosen: list[Row]) -> list[Row]:
    """The same recordings with each other's transcripts."""
    texts = [row["supervisions"][0]["text"] for row in chosen]
    Random(1).shuffle(texts)
    for row, text in zip(chosen, texts, strict=True):
        row["supervisions"][0]["text"] = text
    return chosen


def recorded_at_8_khz(_: int, samples: audio.Samples) -> audio.Samples:
    return soxr.resample(samples, RATE, RATE / 2)


def upsampled(_: int, samples: audio.Samples) -> audio.Samples:
    return soxr.resample(soxr.resample(samples, RATE, RATE / 2), RATE / 2, RATE)


def sample(chosen: list[Row], sound: Sound = lambda _, samples: samples) -> Sample:
    heard: list[Measurements] = []
    for number, row in enumerate(chosen):
        samples = audio.load(row["recording"]["sources"][0]["source"]).samples
        text = row["supervisions"][0]["text"]
        heard.append(measure(row["id"], text, sound(number, samples)))
    return Sample(heard)


# The command


def test_without_a_corpus_the_environment_is_told(sorigeul: Command) -> None:
    done = sorigeul("doctor")
    assert (done.status, done.err) == (0, "")
    for word in ("PyTorch", "Python", "device: ", "threads", "bfloat16", "demo", "GB"):
        assert word in done.out
    assert len(done.out.splitlines()) <= 6


def test_what_can_be_learnt_is_fit_to_train(
    sorigeul: Command, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sorigeul("doctor", corpus, *TINY, "--time_limit", "250")
    assert done.status == 0, done.err
    assert done.out.endswith("fit to train\n")
    assert re.search(r"learning \d+ utterances by heart", done.out)
    assert re.search(r"CRR \d+\.\d % of the speller, \d+\.\d % of the CTC head", done.out)
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_it_ends_in_time(sorigeul: Command, demo: Path) -> None:
    """Healthy data pass; a time too short to learn them in is told as that."""
    before = time.monotonic()
    done = sorigeul("doctor", demo, *TINY, "--time_limit", "5")
    assert time.monotonic() - before < 60
    assert done.status == 2
    assert re.search(r"too short to learn \d+ utterances by heart", done.error())
    assert "raise --time_limit" in done.error()


def test_the_settings_are_those_of_train(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    assert "perhaps --hidden_size" in sorigeul("doctor", demo, "--hiden_size", "4").error()
    config = tmp_path / "config.yaml"
    config.write_text("time_reduction: 16\nlistener_layer_size: 3\n", encoding="utf-8")
    by_file = sorigeul("doctor", demo, "--config", config).error()
    by_preset = sorigeul("doctor", demo, "--preset", "seed").error()
    assert by_file == by_preset
    assert "16-fold time_reduction" in by_file
    assert "time_limit is 0" in sorigeul("doctor", demo, "--time_limit", "0").error()


def test_a_place_that_is_no_corpus_is_told(sorigeul: Command, tmp_path: Path) -> None:
    assert "make it with 'sorigeul prepare'" in sorigeul("doctor", tmp_path).error()


# Data that cannot train


def test_shuffled_transcripts(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    done = sorigeul("doctor", copy(demo, tmp_path / "bad", train=shuffled(rows(demo))))
    assert done.status == 2
    assert "texts and recordings do not belong together" in done.error()
    assert "shuffled or shifted" in done.error()


def test_8_khz_labelled_16_khz(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    done = sorigeul("doctor", copy(demo, tmp_path / "bad", recorded_at_8_khz))
    assert done.status == 2
    assert "they play at about double speed" in done.error()
    assert "recorded at 8 kHz and their headers say 16 kHz" in done.error()


def test_8_khz_upsampled_is_a_warning(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    done = sorigeul("doctor", copy(demo, tmp_path / "narrow", upsampled), *TINY, "--time_limit=4")
    assert "warning: 100 % of the recordings hold nothing above 4 kHz: telephone" in done.err
    assert "by heart" in done.error(), "the data alone are no reason to refuse"


def test_half_speed_is_a_warning(demo: Path) -> None:
    slow = sample(rows(demo)[:30], lambda _, samples: soxr.resample(samples, RATE / 2, RATE))
    (first, *_) = check_corpus(slow, 0.1)
    assert not first.fatal
    assert "half speed" in first.says


@pytest.mark.parametrize("kind", ["faint", "noise", "zeros"])
def test_silent_recordings(sorigeul: Command, demo: Path, tmp_path: Path, kind: str) -> None:
    def silenced(number: int, samples: audio.Samples) -> audio.Samples:
        if number % 4:  # a quarter of the corpus
            return samples
        noise = np.random.default_rng(number).standard_normal(len(samples)) * 0.05
        return {"faint": samples * 1e-4, "noise": noise, "zeros": samples * 0}[kind]

    error = sorigeul("doctor", copy(demo, tmp_path / "bad", silenced)).error()
    assert re.match(r"5\d of 221 recordings ", error)
    assert "only silence" in error if kind == "zeros" else "hold silence or steady noise" in error


def test_unreadable_recordings(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    bad = copy(demo, tmp_path / "bad", lambda _, samples: samples)
    for path in sorted(bad.glob("*.wav"))[::4]:
        path.write_bytes(path.read_bytes()[:1000])
    error = sorigeul("doctor", bad).error()
    assert re.match(r"56 of 221 recordings cannot be read, such as .*\.wav: cut short", error)
    shutil.rmtree(bad)


def test_sixteenfold_reduction_and_a_fast_speaker(
    sorigeul: Command, demo: Path, tmp_path: Path
) -> None:
    """A third of the corpus is spoken fast; at eightfold reduction nothing is wrong with it."""

    def paced(number: int, samples: audio.Samples) -> audio.Samples:
        slow = np.concatenate((samples, samples[:1600] * 0.01, samples * 0.001))
        return samples if number % 3 == 0 else slow

    mixed = copy(demo, tmp_path / "mixed", paced)
    done = sorigeul("doctor", mixed, "--time_reduction", "16")
    assert done.status == 2
    assert re.match(r"[23]\d\.\d % of the utterances are spoken too fast", done.error())
    for words in ("6.25 frames a second", "16-fold", "fast speakers", "set time_reduction 8"):
        assert words in done.error()
    eightfold = sorigeul("doctor", mixed, *TINY, "--time_limit", "3")
    assert "too short to learn" in eightfold.error()


def test_letters_too_many_for_eightfold_reduction(sorigeul: Command, demo: Path) -> None:
    error = sorigeul("doctor", demo, *TINY, "--vocabulary", "jamo").error()
    assert "8-fold time_reduction" in error
    assert "set vocabulary syllable" in error


def test_vocabulary_holes(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    english = rows(demo, "dev")
    for row in english:
        row["supervisions"][0]["text"] = "the quick brown fox"
    error = sorigeul("doctor", copy(demo, tmp_path / "bad", dev=english)).error()
    assert re.match(r"the vocabulary lacks 8\d\.\d\d % of the text of dev, 15 different", error)
    table = tmp_path / "table.csv"
    table.write_text(
        "id,char,freq\n0, ,9\n1,가,5\n2,나,4\n3,<s>,0\n4,</s>,0\n5,_,0\n", encoding="utf-8"
    )
    error = sorigeul("doctor", demo, "--vocabulary", table).error()
    assert "of the text of train" in error
    assert f"{table} lacks them; set vocabulary syllable" in error


def test_a_few_holes_are_a_warning(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    dev = rows(demo, "dev")
    dev[0]["supervisions"][0]["text"] += " 뷁뷁"
    bad = copy(demo, tmp_path / "bad", dev=dev)
    done = sorigeul("doctor", bad, *TINY, "--time_limit", "3")
    assert "of the text of dev, 1 different characters that are never recognised (뷁)" in done.err
    assert "too short to learn" in done.error()


# What the judgement rests on


def test_nothing_ails_synthesised_speech(demo: Path) -> None:
    assert check_corpus(sample(rows(demo)), 0.1) == []


def test_uniform_lengths_are_judged_by_their_sound(demo: Path) -> None:
    """Every text as long as every other: lengths say nothing, letters do."""
    found = sample(rows(demo))
    texts = [one.text.replace(" ", "")[:12] for one in found.heard]
    even = [replace(one, text=text) for one, text in zip(found.heard, texts, strict=True)]
    assert not Sample(even).lengths.tell
    assert check_corpus(Sample(even), 0.1) == []
    Random(1).shuffle(texts)
    mixed = [replace(one, text=text) for one, text in zip(even, texts, strict=True)]
    (found_in_it,) = check_corpus(Sample(mixed), 0.1)
    assert found_in_it.fatal
    assert "does not show in the sound" in found_in_it.says


def test_few_utterances_are_not_judged(demo: Path) -> None:
    assert check_corpus(sample(shuffled(rows(demo)[:8])), 0.1) == []


def test_association_tells_dependence_from_chance() -> None:
    random = np.random.default_rng(0)
    causes = random.standard_normal((200, 20))
    effects = causes @ random.standard_normal((20, 10)) + 5 * random.standard_normal((200, 10))
    assert association(causes, effects) > 10
    assert abs(association(random.permutation(causes), effects)) < 3


@pytest.mark.parametrize("hertz", [90.0, 180.0, 320.0])
def test_the_pitch_of_a_harmonic_tone(hertz: float) -> None:
    time = np.arange(RATE) / RATE
    tone = sum(np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, 8)) * (time < 0.8)
    measured = measure("a", "가", np.asarray(0.2 * tone, np.float32))
    assert measured.pitch == pytest.approx(hertz, rel=0.05)
    assert measured.speech == pytest.approx(0.8, abs=0.05)


# Why something is not learnt

NOT_LEARNT = Outcome(30, 200.0, 80, 10.0, 5.0, 40.0, 3.0, False, True, 0.002)


@pytest.mark.parametrize(
    ("outcome", "settings", "words"),
    [
        ({"finite": False}, {}, "lower lr (it is 0.002)"),
        ({"ctc_crr": 95.0}, {"ctc_weight": 0.3}, "found no alignment; set guide_weight 2"),
        ({"ctc_crr": 95.0}, {"ctc_weight": 0.3, "guide_weight": 1.0}, "raise guide_weight"),
        ({"lr": 0.5}, {}, "at lr 0.5: set lr 0.001"),
        ({"forced_crr": 95.0, "ctc_crr": None}, {}, "set guide_weight 2, with ctc_weight 0.3"),
        ({"falling": True}, {}, "raise --time_limit"),
        ({}, {}, "the loss stands at 3.00"),
    ],
)
def test_why_it_is_not_learnt(outcome: Row, settings: Row, words: str) -> None:
    assert words in why_not(replace(NOT_LEARNT, **outcome), Settings().changed(settings, "test"))


def test_a_learning_rate_that_is_too_high_is_named(sorigeul: Command, corpus: Path) -> None:
    error = sorigeul("doctor", corpus, *TINY, "--lr", "30", "--time_limit", "60").error()
    assert "lr 30" in error or "lower lr (it is 30)" in error


# Long proofs


def fit(sorigeul: Command, corpus: Path, *settings: str) -> None:
    before = time.monotonic()
    done = sorigeul("doctor", corpus, *settings)
    print(done.out, done.err, f"{time.monotonic() - before:.0f} s")
    assert done.status == 0, done.err
    assert done.out.endswith("fit to train\n")
    assert time.monotonic() - before < 300


@pytest.mark.prove
def test_synthesised_speech_is_fit_to_train(sorigeul: Command, tmp_path: Path) -> None:
    prepare(DEMO, None, tmp_path / "data", PrepareOptions(utterances=1000))
    fit(sorigeul, tmp_path / "data", "--preset", "quickstart")


@pytest.mark.prove
@pytest.mark.parametrize("preset", ["quickstart", "small"])
def test_real_speech_is_fit_to_train(sorigeul: Command, tmp_path: Path, preset: str) -> None:
    corpus = SHARED / "corpora" / "pansori-tedxkr"
    if not corpus.is_dir():
        pytest.skip("Pansori TEDxKR is not here")
    prepare(CORPORA["pansori"], corpus, tmp_path / "data")
    fit(sorigeul, tmp_path / "data", "--preset", preset)
