"""Recordings of any format and length, recognised by a model that has learnt four tones."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from helpers import tones
from helpers.transcripts import Wave, assert_same, encoded

from sorigeul import LASConfig, ListenAttendSpell, Recognizer
from sorigeul.base.errors import UserError
from sorigeul.evaluation import scores
from sorigeul.recognition.search_setup import SearchSetup
from sorigeul.recognition.transcription import Transcription
from sorigeul.search.greedy import greedy_search
from sorigeul.search.options import Precision, SearchOptions, SearchRequest
from sorigeul.sound.audio import (
    SAMPLE_RATE,
    AudioError,
    load,
)
from sorigeul.sound.segments import SegmentedRecording

GREEDY = SearchSetup(SearchOptions(beam=1))


def stereo(samples: Wave) -> Wave:
    """The samples as two channels at 44.1 kHz, the left one louder: (N, 2)."""
    resampled = soxr.resample(samples, SAMPLE_RATE, 44_100)
    return np.stack((resampled, 0.6 * resampled), axis=1)


# Names and models


def test_the_names_of_the_package_load_no_torch_before_a_run_is_loaded() -> None:
    code = (
        "import sys, sorigeul; sorigeul.LASConfig; sorigeul.Recognizer; "
        # An export needs no PyTorch, and what only corpora need would take another second.
        "assert not {'torch', 'lhotse', 'matplotlib'} & sys.modules.keys(); "
        "print(sorted(sorigeul.__all__)); sorigeul.Recogniser"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.stdout == "['LASConfig', 'ListenAttendSpell', 'Recognizer']\n"
    assert "module 'sorigeul' has no attribute 'Recogniser'" in done.stderr
    assert isinstance(LASConfig.seed(), LASConfig)
    assert Recognizer is Recognizer


def test_the_model_is_ready_for_inference(run: Path) -> None:
    recognizer = Recognizer.from_pretrained(run, engine="torch")
    assert isinstance(recognizer.pretrained.model, ListenAttendSpell)
    assert not recognizer.pretrained.model.training
    assert recognizer.pretrained.normalizer == "plain/2"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no finished model"):
        Recognizer.from_pretrained(tmp_path)


# Short recordings


@pytest.fixture(scope="module")
def training_recordings(corpus: Path) -> list[Path]:
    return [corpus.parent / "audio" / f"u{number:02}.wav" for number in range(8, 48)]


@pytest.fixture(scope="module")
def by_beam(recognizer: Recognizer, training_recordings: list[Path]) -> list[Transcription]:
    """The transcriptions of `training_recordings`."""
    return [recognizer.transcribe(path) for path in training_recordings]


def test_recordings_of_the_training_are_recognised(by_beam: list[Transcription]) -> None:
    references, transcriptions = tones.texts(48)[8:], by_beam
    hypotheses = [transcription.text for transcription in transcriptions]
    assert scores.score(references, hypotheses, "plain/1").crr > 80
    confidences = [transcription.segments[0].confidence for transcription in transcriptions]
    assert np.mean(confidences) > 0.5
    for transcription, reference in zip(transcriptions, references, strict=True):
        assert transcription.duration == pytest.approx(len(reference) * tones.SECONDS)
        assert transcription.language == "ko"
        assert len(transcription.account) == 1  # decoded and nothing else


def test_a_beam_recognises_no_worse_than_greedy_search(
    by_beam: list[Transcription], run: Path, training_recordings: list[Path]
) -> None:
    def recognition_rate(transcriptions: list[Transcription]) -> float:
        hypotheses = [transcription.text for transcription in transcriptions]
        return scores.score(tones.texts(48)[8:], hypotheses, "plain/1").crr

    greedy = Recognizer.from_pretrained(run, "cpu", beam=1)
    by_greedy = [greedy.transcribe(path) for path in training_recordings]
    assert recognition_rate(by_beam) >= recognition_rate(by_greedy)


def test_a_second_model_ranks_the_best_texts_anew(run: Path, corpus: Path) -> None:
    """The model's own judgement changes nothing; n-best texts stay as many, and in order."""
    audio = corpus.parent / "audio" / "u05.wav"
    by_itself = SearchRequest(beam=4, length_bonus=0.0)
    plain = Recognizer.from_pretrained(run, request=by_itself, nbest=3)
    again = Recognizer.from_pretrained(run, request=replace(by_itself, rescore=str(run)), nbest=3)
    (expected,), (found,) = (one.transcribe(audio).segments for one in (plain, again))
    assert found.text == expected.text
    assert [one.text for one in found.alternatives] == [one.text for one in expected.alternatives]
    scores = [one.score for one in found.alternatives]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx([1.5 * one.score for one in expected.alternatives], abs=1e-3)
    single = Recognizer.from_pretrained(run, request=replace(by_itself, rescore=str(run)))
    (segment,) = single.transcribe(audio).segments
    assert (segment.text, segment.alternatives) == (expected.text, [])


def test_a_negative_beam_is_refused(run: Path) -> None:
    with pytest.raises(UserError, match="beam is -1, but must be at least 0 and at most 1,000"):
        Recognizer.from_pretrained(run, "cpu", beam=-1)


def test_a_beam_beside_a_request_is_refused(run: Path) -> None:
    with pytest.raises(ValueError, match="give beam in the request"):
        Recognizer.from_pretrained(run, "cpu", beam=4, request=SearchRequest())


def test_a_short_recording_is_one_segment(recognizer: Recognizer, corpus: Path) -> None:
    transcription = recognizer.transcribe(corpus.parent / "audio" / "u14.wav")
    (segment,) = transcription.segments
    assert (segment.start, segment.end) == (0, transcription.duration)
    assert segment.text == transcription.text == "".join(segment.characters)
    assert transcription.text
    assert segment.finished
    assert 0 < segment.confidence <= 1
    frames = -(-int(transcription.duration * 100 + 1) // 8)
    assert segment.alignment.shape[0] == len(segment.characters)
    assert abs(segment.alignment.shape[1] - frames) <= 1
    rows = segment.alignment.sum(1)
    assert np.allclose(rows, 1, atol=1e-4)


def test_a_recording_is_a_path_bytes_or_an_open_file(
    recognizer: Recognizer, corpus: Path, tmp_path: Path
) -> None:
    path = corpus.parent / "audio" / "u14.wav"
    samples, _ = soundfile.read(path, dtype="int16")
    soundfile.write(tmp_path / "u14.flac", samples, SAMPLE_RATE)
    (tmp_path / "u14.pcm").write_bytes(samples.astype("<i2").tobytes())
    expected = recognizer.transcribe(path)
    assert expected.text
    for source in (str(path), path.read_bytes(), tmp_path / "u14.flac", tmp_path / "u14.pcm"):
        assert_same(recognizer.transcribe(source), expected)
    with path.open("rb") as file:
        assert_same(recognizer.transcribe(file), expected)


@pytest.mark.parametrize("kind", ["FLAC", "MP3"])
def test_the_sampling_rate_channels_and_a_lossy_format_make_little_difference(
    recognizer: Recognizer, kind: str, tmp_path: Path
) -> None:
    plain_texts, converted_texts, confidences = [], [], []
    for number, text in enumerate(tones.texts(10, seed=3)):
        samples = tones.synthesize(text, number)
        plain = recognizer.transcribe(encoded(samples, SAMPLE_RATE, "WAV"))
        path = tmp_path / f"{number}.{kind.lower()}"
        path.write_bytes(encoded(stereo(samples), 44_100, kind))
        converted = recognizer.transcribe(path)
        assert converted.duration == pytest.approx(plain.duration, abs=0.1)  # MP3 fills its frames
        assert "resampled from 44100 Hz to 16000 Hz" in converted.account
        assert "mixed 2 channels down to one" in converted.account
        assert recognizer.transcribe(path.read_bytes()).text == converted.text
        plain_texts.append(plain.text)
        converted_texts.append(converted.text)
        confidences.append((plain.segments[0].confidence, converted.segments[0].confidence))
    assert all(plain_texts)
    assert scores.score(plain_texts, converted_texts, "plain/1").cer <= 15
    assert np.abs(np.subtract(*zip(*confidences, strict=True))).mean() < 0.1


@pytest.mark.parametrize("samples", [1, 40, 159, 160, 1600])
def test_a_recording_of_a_few_samples_has_no_text(recognizer: Recognizer, samples: int) -> None:
    wave = np.linspace(-0.5, 0.5, max(samples, 2), dtype=np.float32)
    transcription = recognizer.transcribe(encoded(wave, SAMPLE_RATE, "WAV"))
    assert (transcription.text, transcription.segments) == ("", [])
    assert "no speech found" in transcription.account


def test_a_recording_that_cannot_be_read_is_refused(recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none\.wav: cannot be opened"):
        recognizer.transcribe(tmp_path / "none.wav")
    with pytest.raises(AudioError, match=r"upload: not a recording"):
        recognizer.transcribe(b"hello" * 100, "upload")
    silence = encoded(np.zeros(1600, np.float32), SAMPLE_RATE, "WAV")
    with pytest.raises(AudioError, match="silence"):
        recognizer.transcribe(silence)


def test_a_text_whose_sentence_never_ends_is_cut_off_and_marked(run: Path) -> None:
    recognizer = Recognizer.from_pretrained(run, "cpu", beam=1, engine="torch")
    with torch.no_grad():
        recognizer.pretrained.model.speller.out.bias[recognizer.pretrained.vocabulary.eos_id] = -1e4
    (segment,) = recognizer.transcribe(
        encoded(tones.synthesize("가나다라"), SAMPLE_RATE, "WAV")
    ).segments
    assert not segment.finished
    assert 4 < len(segment.characters) < 40


def test_the_alignment_is_in_the_order_of_time_even_with_reversed_input(run: Path) -> None:
    pretrained = Recognizer.from_pretrained(run, "cpu", engine="torch").pretrained
    features = replace(pretrained.features, input_reverse=True)
    with_reversed_input = Recognizer(replace(pretrained, features=features), setup=GREEDY)
    samples = tones.synthesize("가나다라")
    (speech,) = SegmentedRecording.from_samples(samples).segments
    waveforms = torch.from_numpy(speech.samples)[None]
    listener_output = pretrained.model.listen(
        *with_reversed_input.log_mel(waveforms, torch.tensor([len(speech.samples)]))
    )
    (expected,) = greedy_search(pretrained.model, listener_output)
    (segment,) = with_reversed_input.transcribe(encoded(samples, SAMPLE_RATE, "WAV")).segments
    assert len(segment.characters) > 0
    assert segment.alignment.shape == expected.alignment.shape
    assert np.allclose(segment.alignment[:, ::-1], expected.alignment, atol=1e-2)
    assert not np.allclose(segment.alignment, expected.alignment, atol=1e-2)


# Long recordings


def test_long_speech_is_cut_at_its_pauses(recognizer: Recognizer, speech: Wave) -> None:
    transcription = recognizer.transcribe(encoded(speech, SAMPLE_RATE, "WAV"))
    segments = transcription.segments
    assert 3 <= len(segments) <= 12
    assert transcription.duration == pytest.approx(len(speech) / SAMPLE_RATE)
    times = [time for segment in segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < 1.5
    assert transcription.duration - 1.5 < times[-1] <= transcription.duration
    assert all(0.2 < segment.end - segment.start <= 16 for segment in segments)
    assert transcription.text == " ".join(segment.text for segment in segments if segment.text)
    for segment, following in pairwise(segments):  # only faint noise lies between them
        middle = round((segment.end + following.start) / 2 * SAMPLE_RATE)
        assert np.abs(speech[middle - 800 : middle + 800]).max() < 0.01


def test_recordings_in_batches_have_the_same_results_as_alone(
    run: Path, corpus: Path, speech: Wave
) -> None:
    """Short recordings and a long one, in batches of one segment, of several, and of all."""
    recognizer = Recognizer.from_pretrained(run, "cpu")
    paths = [corpus.parent / "audio" / f"u{number:02}.wav" for number in range(12)]
    sources = [load(path) for path in paths]
    sources.insert(5, load(encoded(speech, SAMPLE_RATE, "WAV")))
    recordings = [SegmentedRecording.from_samples(source.samples) for source in sources]
    recognizer.batch_seconds = 0.1
    alone = [recognizer.transcribe_all([recording])[0] for recording in recordings]
    for batch_seconds in (0.1, 4.0, 1000.0):
        recognizer.batch_seconds = batch_seconds
        together = recognizer.transcribe_all(recordings)
        for transcription, expected in zip(together, alone, strict=True):
            assert_same(transcription, expected, tolerance=1e-3)
            assert transcription.confidence == pytest.approx(expected.confidence, abs=1e-3)
        assert len(together[5].segments) > 2
    assert recognizer.transcribe_all([]) == []


def test_the_confidence_of_a_long_recording_is_that_of_its_characters(
    recognizer: Recognizer, speech: Wave
) -> None:
    transcription = recognizer.transcribe(encoded(speech, SAMPLE_RATE, "WAV"))
    confidences = [
        segment.confidence for segment in transcription.segments for _ in segment.characters
    ]
    assert transcription.confidence == pytest.approx(np.exp(np.log(confidences).mean()))
    assert min(confidences) < transcription.confidence < max(confidences)
    assert transcription.finished == all(segment.finished for segment in transcription.segments)


def test_a_long_recording_in_another_format_has_the_same_segments(
    recognizer: Recognizer, speech: Wave
) -> None:
    plain = recognizer.transcribe(encoded(speech, SAMPLE_RATE, "WAV"))
    converted = recognizer.transcribe(encoded(stereo(speech), 44_100, "FLAC"))
    assert len(converted.segments) == len(plain.segments)
    for segment, expected in zip(converted.segments, plain.segments, strict=True):
        times = (segment.start, segment.end)
        assert times == pytest.approx((expected.start, expected.end), abs=0.1)


def test_a_long_recording_without_speech_has_no_text(recognizer: Recognizer) -> None:
    noise = 0.001 * np.random.default_rng(0).standard_normal(21 * SAMPLE_RATE).astype(np.float32)
    transcription = recognizer.transcribe(encoded(noise, SAMPLE_RATE, "WAV"))
    assert (transcription.text, transcription.segments) == ("", [])
    assert transcription.duration == 21


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_lower_precisions_give_close_results(run: Path, audio: Path, precision: Precision) -> None:
    """The confidence is the same within a tenth. The text of a model this small may differ."""
    file = sorted(audio.glob("*.wav"))[0]
    exact = Recognizer.from_pretrained(run).transcribe(file)
    close = Recognizer.from_pretrained(run, precision=precision).transcribe(file)
    assert abs(close.confidence - exact.confidence) < 0.1
    assert close.confidence != exact.confidence
    assert len(close.text) == pytest.approx(len(exact.text), abs=3)
