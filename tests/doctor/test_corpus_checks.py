"""Checks of a corpus: an intact one passes, a copy damaged in one way is refused because of it."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import Command
from helpers.damaged_corpora import (
    Damage,
    a_fifth_cut_to_a_third,
    at_half_speed,
    copy_corpus,
    cut_to_a_tenth,
    measured_sample,
    recorded_at_8_khz,
    rows,
    unchanged,
    upsampled_from_8_khz,
    with_a_text_lost,
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
    assert re.match(r"about (9\d|100) % of the texts do not belong", done.error())
    assert "some texts do not fit their recordings" in done.out


def test_texts_of_the_same_length_are_judged_by_alignment(demo: Path) -> None:
    """Each recording has a text of its length: lengths agree, and the texts are still wrong."""
    utterances = sorted(measured_sample(rows(demo)).measured, key=lambda one: one.characters)
    texts = [one.text for one in utterances]
    pairs = zip(utterances, texts[1:] + texts[:1], strict=True)
    sample = Sample([replace(utterance, text=text) for utterance, text in pairs])
    lengths = sample.length_correlation
    assert lengths.value > lengths.least
    (finding,) = check_corpus(sample, 0.1)
    assert finding.fatal
    assert re.match(r"about (9\d|100) % of the texts do not belong", finding.message)


def test_a_lost_line_of_the_texts_is_named(sorigeul: Command, demo: Path, tmp_path: Path) -> None:
    """From row 130 of 272 on, each recording has the text of the next one."""
    damaged = with_a_text_lost(rows(demo), 130)
    done = sorigeul("doctor", copy_corpus(demo, tmp_path / "shifted", train=damaged))
    assert done.status == 2
    found = re.search(
        r"(\d+) % of the recordings have their text 1 row before their own in the order of the "
        r"ids, between demo-0-train-(\d+) and demo-0-train-(\d+); a line was lost",
        done.error(),
    )
    assert found, done.error()
    share, first, last = map(int, found.groups())
    assert 35 < share < 70
    assert abs(first - 130) < 12
    assert last > 250


def test_a_speaker_with_the_texts_of_others_is_named(demo: Path) -> None:
    corpus = rows(demo)
    for number, row in enumerate(corpus):
        row["supervisions"][0]["speaker"] = "Lee" if number % 10 == 0 else "Kim"
    with_shuffled_texts(corpus[::10])
    (finding,) = check_corpus(measured_sample(corpus), 0.1)
    assert not finding.fatal
    assert "those of the speakers Lee most of all" in finding.message


@pytest.mark.parametrize("damage", [cut_to_a_tenth, a_fifth_cut_to_a_third])
def test_cut_recordings_are_told_from_fast_ones(demo: Path, damage: Damage) -> None:
    """Neither another sampling rate nor another time reduction would cure them."""
    (finding, *others) = check_corpus(measured_sample(rows(demo)[:30], damage), 0.1)
    assert finding.fatal
    assert re.search(r"\d\d+ syllables a second of speech", finding.message)
    assert "they were cut off; prepare again from the whole recordings" in finding.message
    assert not any("speed" in other.message for other in others)


def test_correlation_below_its_expectation_is_never_without_a_word(demo: Path) -> None:
    """Texts of which a third lack the second half of what is said."""
    utterances = measured_sample(rows(demo)[:60]).measured
    halved = Sample(
        [
            replace(one, text=one.text if number % 3 else one.text[: len(one.text) // 2])
            for number, one in enumerate(utterances)
        ]
    )
    assert halved.length_correlation.is_conclusive
    assert halved.length_correlation.is_too_low
    assert any("correlate by only" in finding.message for finding in check_corpus(halved, 0.1))


def test_too_few_utterances_are_not_judged(demo: Path) -> None:
    assert check_corpus(measured_sample(with_shuffled_texts(rows(demo)[:8])), 0.1) == []


def test_8_khz_labelled_16_khz(sorigeul: Command, small_demo: Path, tmp_path: Path) -> None:
    done = sorigeul("doctor", copy_corpus(small_demo, tmp_path / "fast", recorded_at_8_khz))
    assert done.status == 2
    assert "they play at about double speed" in done.error()
    assert "recorded at 8 kHz and their headers say 16 kHz" in done.error()


def test_8_khz_upsampled_is_a_warning(sorigeul: Command, small_demo: Path, tmp_path: Path) -> None:
    narrow = copy_corpus(small_demo, tmp_path / "narrow", upsampled_from_8_khz)
    done = sorigeul("doctor", narrow, "--preset", "quickstart", "--time_limit", "1")
    assert "warning: 100 % of the recordings hold nothing above 4 kHz: telephone" in done.err
    assert "overfit test" in done.error(), "the data alone are no reason to refuse"


def test_half_speed_is_a_warning(demo: Path) -> None:
    (finding, *_) = check_corpus(measured_sample(rows(demo)[:30], at_half_speed), 0.1)
    assert not finding.fatal
    assert "half speed" in finding.message


@pytest.mark.parametrize("kind", ["faint", "noise", "zeros"])
def test_silent_recordings(sorigeul: Command, small_demo: Path, tmp_path: Path, kind: str) -> None:
    def silence_a_quarter(number: int, samples: audio.Samples) -> audio.Samples:
        if number % 4:
            return samples
        noise = np.random.default_rng(number).standard_normal(len(samples)) * 0.05
        return {"faint": samples * 1e-4, "noise": noise, "zeros": samples * 0}[kind]

    error = sorigeul(
        "doctor", copy_corpus(small_demo, tmp_path / "silent", silence_a_quarter)
    ).error()
    assert re.match(r"20 of 80 recordings ", error)
    assert "only silence" in error if kind == "zeros" else "hold silence or steady noise" in error


def test_unreadable_recordings(sorigeul: Command, small_demo: Path, tmp_path: Path) -> None:
    copy = copy_corpus(small_demo, tmp_path / "unreadable", unchanged)
    for path in sorted(copy.glob("*.wav"))[::4]:
        path.write_bytes(path.read_bytes()[:1000])
    error = sorigeul("doctor", copy).error()
    assert re.match(r"20 of 80 recordings cannot be read, such as .*\.wav: cut short", error)
    shutil.rmtree(copy)


@pytest.mark.parametrize("every", [4, 20])
def test_recordings_without_text(
    sorigeul: Command, small_demo: Path, tmp_path: Path, every: int
) -> None:
    train = rows(small_demo)
    for row in train[::every]:
        row["supervisions"][0]["text"] = " "
    copy = copy_corpus(small_demo, tmp_path / "wordless", train=train)
    done = sorigeul("doctor", copy, "--time_limit", "5")
    (line,) = (line for line in done.err.splitlines() if "have speech and no text" in line)
    kind = "error" if every == 4 else "warning"
    assert line.startswith(f"{kind}: {80 // every} of 80 recordings have speech and no text, such")
    assert "80 of them examined" in done.out
    kept = sorigeul("data", "filter", copy, tmp_path / "kept", "--text", r"\S")
    assert f"{80 // every} left out" in kept.out  # as the remedy says


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
