"""Any recording to text, by a model that has learnt four tones; long ones cut at their pauses."""

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr
import torch
from helpers import tones

from sorigeul import LASConfig, ListenAttendSpell, Recognizer
from sorigeul.base.errors import UserError
from sorigeul.evaluation import scores
from sorigeul.recognition.recognizer import group_by_seconds
from sorigeul.recognition.transcription import Transcription
from sorigeul.search import inference
from sorigeul.search.greedy import greedy_search
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, load
from sorigeul.sound.segments import SegmentedRecording, speech_segments

Wave = npt.NDArray[np.float32]
SENTENCES = ("안녕하세요 반갑습니다", "오늘은 날씨가 참 좋네요", "내일 오후에 다시 전화해 주세요")


@pytest.fixture(scope="module")
def listener(run: Path) -> Recognizer:
    return Recognizer.from_pretrained(run, "cpu")


@pytest.fixture(scope="module")
def speech() -> Wave:
    """Nine sentences by eSpeak NG with a second of hiss between them: more than 20 s."""
    pytest.importorskip("espeakng_loader")
    from sorigeul.synthesis.espeak import Synthesizer

    with Synthesizer() as synthesizer:
        said = [
            synthesizer.speak(text, voice, 200, 50, 50)
            for voice in ("adam", "linda", "max")
            for text in SENTENCES
        ]
    parts = [np.concatenate((np.zeros(SAMPLE_RATE, np.float32), part)) for part in said]
    samples = np.concatenate([*parts, np.zeros(SAMPLE_RATE, np.float32)])
    samples += 0.0005 * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    assert len(samples) > 22 * SAMPLE_RATE
    return samples


def encoded(samples: Wave, rate: int, kind: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()


def stereo(samples: Wave) -> Wave:
    """At 44.1 kHz, louder on the left."""
    resampled = soxr.resample(samples, SAMPLE_RATE, 44_100)
    return np.stack((resampled, 0.6 * resampled), axis=1)


# What is given


def test_names_are_at_the_top_of_the_package_and_cost_nothing_until_used() -> None:
    code = (
        "import sys, sorigeul; assert 'torch' not in sys.modules; "
        "print(sorted(sorigeul.__all__)); sorigeul.Recogniser"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "['LASConfig', 'ListenAttendSpell', 'Recognizer']\n"
    assert "module 'sorigeul' has no attribute 'Recogniser'" in done.stderr
    assert isinstance(LASConfig.seed(), LASConfig)
    assert Recognizer is Recognizer


def test_the_model_is_ready(listener: Recognizer) -> None:
    assert isinstance(listener.pretrained.model, ListenAttendSpell)
    assert not listener.pretrained.model.training
    assert listener.pretrained.normalizer == "plain/1"


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no finished model"):
        Recognizer.from_pretrained(tmp_path)


# Short recordings


def test_what_was_learnt_is_recognised(listener: Recognizer, corpus: Path) -> None:
    said = tones.texts(48)[8:]
    paths = [corpus.parent / "audio" / f"u{number:02}.wav" for number in range(8, 48)]
    heard = [listener.transcribe(path) for path in paths]
    assert scores.score(said, [one.text for one in heard], "plain/1").crr > 80
    assert np.mean([one.segments[0].confidence for one in heard]) > 0.5
    for one, text in zip(heard, said, strict=True):
        assert one.duration == pytest.approx(len(text) * tones.SECONDS)
        assert one.language == "ko"
        assert len(one.account) == 1  # nothing but decoded


def test_a_beam_hears_no_worse(listener: Recognizer, run: Path, corpus: Path) -> None:
    alone = Recognizer.from_pretrained(run, "cpu", beam=1)
    said = tones.texts(48)[8:]
    paths = [corpus.parent / "audio" / f"u{number:02}.wav" for number in range(8, 48)]
    greedy, searched = (
        scores.score(said, [each.transcribe(path).text for path in paths], "plain/1").crr
        for each in (alone, listener)
    )
    assert searched >= greedy
    with pytest.raises(UserError, match="beam is -1, but must be 0 or more"):
        Recognizer.from_pretrained(run, "cpu", beam=-1)


def test_a_short_recording_is_one_segment(listener: Recognizer, corpus: Path) -> None:
    found = listener.transcribe(corpus.parent / "audio" / "u14.wav")
    (segment,) = found.segments
    assert (segment.start, segment.end) == (0, found.duration)
    assert segment.text == found.text == "".join(segment.characters)
    assert found.text
    assert segment.finished
    assert 0 < segment.confidence <= 1
    frames = -(-int(found.duration * 100 + 1) // 8)
    assert segment.alignment.shape[0] == len(segment.characters)
    assert abs(segment.alignment.shape[1] - frames) <= 1
    rows = segment.alignment.sum(1)
    assert torch.allclose(rows, torch.ones_like(rows), atol=1e-4)


def test_a_recording_may_come_in_any_form(
    listener: Recognizer, corpus: Path, tmp_path: Path
) -> None:
    path = corpus.parent / "audio" / "u14.wav"
    samples, _ = soundfile.read(path, dtype="int16")
    soundfile.write(tmp_path / "u14.flac", samples, SAMPLE_RATE)
    (tmp_path / "u14.pcm").write_bytes(samples.astype("<i2").tobytes())
    expected = listener.transcribe(path)
    assert expected.text
    for source in (str(path), path.read_bytes(), tmp_path / "u14.flac", tmp_path / "u14.pcm"):
        assert_same(listener.transcribe(source), expected)
    with path.open("rb") as file:
        assert_same(listener.transcribe(file), expected)


def assert_same(found: Transcription, expected: Transcription, tolerance: float = 1e-6) -> None:
    assert found.text == expected.text
    assert found.duration == pytest.approx(expected.duration)
    for one, other in zip(found.segments, expected.segments, strict=True):
        assert (one.start, one.end) == (other.start, other.end)
        assert (one.text, one.characters, one.finished) == (
            other.text,
            other.characters,
            other.finished,
        )
        assert one.confidence == pytest.approx(other.confidence, abs=tolerance)
        assert torch.allclose(one.alignment, other.alignment, atol=tolerance)


@pytest.mark.parametrize("kind", ["FLAC", "MP3"])
def test_another_rate_two_channels_and_a_lossy_format_change_next_to_nothing(
    listener: Recognizer, kind: str, tmp_path: Path
) -> None:
    plain, other, confidences = [], [], []
    for number, text in enumerate(tones.texts(10, seed=3)):
        samples = tones.synthesize(text, number)
        found = listener.transcribe(encoded(samples, SAMPLE_RATE, "WAV"))
        path = tmp_path / f"{number}.{kind.lower()}"
        path.write_bytes(encoded(stereo(samples), 44_100, kind))
        again = listener.transcribe(path)
        assert again.duration == pytest.approx(found.duration, abs=0.1)  # MP3 fills its frames
        assert "resampled from 44100 Hz to 16000 Hz" in again.account
        assert "mixed 2 channels down to one" in again.account
        assert listener.transcribe(path.read_bytes()).text == again.text
        plain.append(found.text)
        other.append(again.text)
        confidences.append((found.segments[0].confidence, again.segments[0].confidence))
    assert all(plain)
    assert scores.score(plain, other, "plain/1").cer <= 10
    assert np.abs(np.subtract(*zip(*confidences, strict=True))).mean() < 0.1


@pytest.mark.parametrize("samples", [1, 40, 159, 160, 1600])
def test_a_recording_of_a_moment_is_no_problem(listener: Recognizer, samples: int) -> None:
    moment = np.linspace(-0.5, 0.5, max(samples, 2), dtype=np.float32)
    found = listener.transcribe(encoded(moment, SAMPLE_RATE, "WAV"))
    assert len(found.segments) == 1
    assert torch.isfinite(found.segments[0].alignment).all()


def test_what_cannot_be_heard_is_told(listener: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none\.wav: cannot be opened"):
        listener.transcribe(tmp_path / "none.wav")
    with pytest.raises(AudioError, match=r"upload: not a recording"):
        listener.transcribe(b"hello" * 100, "upload")
    silence = encoded(np.zeros(1600, np.float32), SAMPLE_RATE, "WAV")
    with pytest.raises(AudioError, match="silence"):
        listener.transcribe(silence)


def test_text_without_an_end_is_marked_and_has_an_end_all_the_same(run: Path) -> None:
    listener = Recognizer.from_pretrained(run, "cpu", beam=1)
    with torch.no_grad():
        listener.pretrained.model.speller.out.bias[listener.pretrained.vocabulary.eos_id] = -1e4
    found = listener.transcribe(encoded(tones.synthesize("가나다라"), SAMPLE_RATE, "WAV"))
    assert not found.segments[0].finished
    assert 4 < len(found.segments[0].characters) < 40


def test_attention_is_in_the_order_of_time_even_where_the_model_hears_backwards(run: Path) -> None:
    pretrained = Recognizer.from_pretrained(run, "cpu").pretrained
    features = replace(pretrained.features, input_reverse=True)
    backwards = Recognizer(replace(pretrained, features=features))
    samples = torch.from_numpy(tones.synthesize("가나다라"))
    listener_output = pretrained.model.listen(
        *backwards.log_mel(samples[None], torch.tensor([len(samples)]))
    )
    (expected,) = greedy_search(pretrained.model, listener_output)
    (segment,) = backwards.transcribe(encoded(samples.numpy(), SAMPLE_RATE, "WAV")).segments
    assert len(segment.characters) > 0
    assert torch.allclose(segment.alignment.flip(1), expected.alignment, atol=1e-2)
    assert not torch.allclose(segment.alignment, expected.alignment, atol=1e-2)


# Long ones


def test_up_to_twenty_seconds_are_one_piece() -> None:
    assert speech_segments(torch.zeros(20 * SAMPLE_RATE)) == [(0, 20 * SAMPLE_RATE)]


def test_long_speech_is_cut_at_its_pauses(listener: Recognizer, speech: Wave) -> None:
    found = listener.transcribe(encoded(speech, SAMPLE_RATE, "WAV"))
    assert 3 <= len(found.segments) <= 12
    assert found.duration == pytest.approx(len(speech) / SAMPLE_RATE)
    times = [time for one in found.segments for time in (one.start, one.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < 1.5
    assert found.duration - 1.5 < times[-1] <= found.duration
    assert all(0.2 < one.end - one.start <= 16 for one in found.segments)
    assert found.text == " ".join(one.text for one in found.segments if one.text)
    # What lies between is hiss.
    for one, after in zip(found.segments, found.segments[1:], strict=False):
        middle = round((one.end + after.start) / 2 * SAMPLE_RATE)
        assert np.abs(speech[middle - 800 : middle + 800]).max() < 0.01


@pytest.mark.parametrize("seconds", [0.1, 4.0, 1000.0])
def test_recordings_side_by_side_are_what_each_is_alone(
    run: Path, corpus: Path, speech: Wave, seconds: float
) -> None:
    """Short ones and a long one, in batches of one segment, of some, and all at once."""
    listener = Recognizer.from_pretrained(run, "cpu")
    paths = [corpus.parent / "audio" / f"u{number:02}.wav" for number in range(12)]
    recordings = [load(path) for path in paths]
    recordings.insert(5, load(encoded(speech, SAMPLE_RATE, "WAV")))
    listener.batch_seconds = 0.1
    alone = [
        listener.transcribe_all([SegmentedRecording.from_recording(one)])[0] for one in recordings
    ]
    listener.batch_seconds = seconds
    together = listener.transcribe_all(
        [SegmentedRecording.from_recording(one) for one in recordings]
    )
    for one, other in zip(together, alone, strict=True):
        assert_same(one, other, tolerance=1e-3)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-3)
    assert len(together[5].segments) > 2
    assert listener.transcribe_all([]) == []


def test_the_confidence_of_a_recording_is_that_of_its_characters(
    listener: Recognizer, speech: Wave
) -> None:
    found = listener.transcribe(encoded(speech, SAMPLE_RATE, "WAV"))
    each = [one.confidence for one in found.segments for _ in one.characters]
    assert found.confidence == pytest.approx(np.exp(np.log(each).mean()))
    assert min(each) < found.confidence < max(each)
    assert found.finished == all(one.finished for one in found.segments)
    first, *others = found.segments
    assert not replace(found, segments=[replace(first, finished=False), *others]).finished
    assert replace(found, segments=[]).confidence == 0


@pytest.mark.parametrize(
    ("seconds", "limit", "expected"),
    [
        ([], 10, []),
        ([3, 3, 3, 3], 9, [3, 1]),
        ([5, 4, 3, 3], 10, [2, 2]),
        ([1, 1, 1, 4], 8, [3, 1]),  # four times as long as the longest
        ([20, 1, 1], 8, [1, 2]),
        ([1, 20, 1], 8, [1, 1, 1]),
    ],
)
def test_side_by_side_counts_the_padding(
    seconds: list[float], limit: float, expected: list[int]
) -> None:
    found = [list(range(len(seconds)))[some] for some in group_by_seconds(seconds, limit)]
    assert [len(some) for some in found] == expected
    assert [place for some in found for place in some] == list(range(len(seconds)))


def test_a_long_recording_may_come_in_another_format(listener: Recognizer, speech: Wave) -> None:
    plain = listener.transcribe(encoded(speech, SAMPLE_RATE, "WAV"))
    other = listener.transcribe(encoded(stereo(speech), 44_100, "FLAC"))
    assert len(other.segments) == len(plain.segments)
    for one, again in zip(plain.segments, other.segments, strict=True):
        assert (again.start, again.end) == pytest.approx((one.start, one.end), abs=0.1)


def test_a_long_recording_without_speech_has_no_text(listener: Recognizer) -> None:
    hiss = 0.001 * np.random.default_rng(0).standard_normal(21 * SAMPLE_RATE).astype(np.float32)
    found = listener.transcribe(encoded(hiss, SAMPLE_RATE, "WAV"))
    assert (found.text, found.segments) == ("", [])
    assert found.duration == 21


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_other_precisions_are_close(run: Path, audio: Path, precision: inference.Precision) -> None:
    """As sure of its text within a tenth; the text of a model this small may differ."""
    file = sorted(audio.glob("*.wav"))[0]
    exact = Recognizer.from_pretrained(run).transcribe(file)
    close = Recognizer.from_pretrained(run, precision=precision).transcribe(file)
    assert abs(close.confidence - exact.confidence) < 0.1
    assert close.confidence != exact.confidence
    assert len(close.text) == pytest.approx(len(exact.text), abs=3)
