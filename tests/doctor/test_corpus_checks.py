"""Checks of a corpus: an intact one passes, a copy damaged in one way is refused because of it."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from helpers.commands import Command
from helpers.damaged_corpora import (
    at_half_speed,
    copy_corpus,
    measured_sample,
    recorded_at_8_khz,
    rows,
    unchanged,
    upsampled_from_8_khz,
    with_shuffled_texts,
)

from sorigeul.doctor.corpus_checks import check_corpus
from sorigeul.doctor.sample import Sample
from sorigeul.sound import audio


def test_synthesised_speech_passes(demo: Path) -> None:
    assert check_corpus(measured_sample(rows(demo)), 0.1) == []


def test_shuffled_transcripts(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    shuffled = with_shuffled_texts(rows(demo))
    done = sorigeul("doctor", copy_corpus(demo, tmp_path / "shuffled", train=shuffled))
    assert done.status == 2
    assert "texts and recordings do not belong together" in done.error()
    assert "shuffled or shifted" in done.error()


def test_texts_of_equal_length_are_judged_by_the_spectra(demo: Path) -> None:
    """If every text is as long as every other, lengths show nothing, but spectra do."""
    utterances = measured_sample(rows(demo)).measured
    texts = [utterance.text.replace(" ", "")[:12] for utterance in utterances]

    def with_texts() -> Sample:
        pairs = zip(utterances, texts, strict=True)
        return Sample([replace(utterance, text=text) for utterance, text in pairs])

    assert not with_texts().length_correlation.is_conclusive
    assert check_corpus(with_texts(), 0.1) == []
    Random(1).shuffle(texts)
    (finding,) = check_corpus(with_texts(), 0.1)
    assert finding.fatal
    assert "does not show in the sound" in finding.message


def test_too_few_utterances_are_not_judged(demo: Path) -> None:
    assert check_corpus(measured_sample(with_shuffled_texts(rows(demo)[:8])), 0.1) == []


def test_8_khz_labelled_16_khz(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    done = sorigeul("doctor", copy_corpus(demo, tmp_path / "fast", recorded_at_8_khz))
    assert done.status == 2
    assert "they play at about double speed" in done.error()
    assert "recorded at 8 kHz and their headers say 16 kHz" in done.error()


def test_8_khz_upsampled_is_a_warning(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    narrow = copy_corpus(demo, tmp_path / "narrow", upsampled_from_8_khz)
    done = sorigeul("doctor", narrow, "--preset", "quickstart", "--time_limit", "1")
    assert "warning: 100 % of the recordings hold nothing above 4 kHz: telephone" in done.err
    assert "overfit test" in done.error(), "the data alone are no reason to refuse"


def test_half_speed_is_a_warning(demo: Path) -> None:
    (finding, *_) = check_corpus(measured_sample(rows(demo)[:30], at_half_speed), 0.1)
    assert not finding.fatal
    assert "half speed" in finding.message


@pytest.mark.parametrize("kind", ["faint", "noise", "zeros"])
def test_silent_recordings(sorigeul: Command, demo: Path, tmp_path: Path, kind: str) -> None:
    def silence_a_quarter(number: int, samples: audio.Samples) -> audio.Samples:
        if number % 4:
            return samples
        noise = np.random.default_rng(number).standard_normal(len(samples)) * 0.05
        return {"faint": samples * 1e-4, "noise": noise, "zeros": samples * 0}[kind]

    error = sorigeul("doctor", copy_corpus(demo, tmp_path / "silent", silence_a_quarter)).error()
    assert re.match(r"5\d of 221 recordings ", error)
    assert "only silence" in error if kind == "zeros" else "hold silence or steady noise" in error


def test_unreadable_recordings(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    copy = copy_corpus(demo, tmp_path / "unreadable", unchanged)
    for path in sorted(copy.glob("*.wav"))[::4]:
        path.write_bytes(path.read_bytes()[:1000])
    error = sorigeul("doctor", copy).error()
    assert re.match(r"56 of 221 recordings cannot be read, such as .*\.wav: cut short", error)
    shutil.rmtree(copy)


def test_silence_around_utterances_is_a_warning_that_names_the_worst(demo: Path) -> None:
    def surround_a_quarter(number: int, samples: audio.Samples) -> audio.Samples:
        seconds = 0.0 if number % 4 else 2 + 0.1 * number
        return np.pad(samples, (round(seconds * audio.SAMPLE_RATE), 0))

    sample = measured_sample(rows(demo)[:40], surround_a_quarter)
    (finding,) = check_corpus(sample, 0.1)
    assert not finding.fatal
    assert finding.message.startswith("10 of 40 recordings begin or end with more than 1 s without")
    worst = rows(demo)[36]["id"]
    assert re.search(rf"most of all {worst} \(5\.\d s\), ", finding.message)
