"""Tests of `POST /v1/audio/transcriptions` with OpenAI's client and a real server process."""

import base64
import io
import json
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import numpy as np
import openai
import pytest
from helpers.processes import wait_until
from helpers.recordings import recordings, sound_file
from helpers.servers import Server

from sorigeul import Recognizer
from sorigeul.recognition.transcription import Transcription
from sorigeul.recognition.writers import write
from sorigeul.sound.audio import Samples


@pytest.fixture(scope="session")
def client(server: Server) -> openai.OpenAI:
    return server.client()


@pytest.fixture(scope="session")
def expected(recognizer: Recognizer, wav: bytes) -> Transcription:
    return recognizer.transcribe(wav)


def transcribe(client: openai.OpenAI, recording: bytes, **fields: Any) -> Any:
    settings = {"model": "tiny"} | fields
    return client.audio.transcriptions.create(file=("비밀.wav", recording), **settings)


def refusal(client: openai.OpenAI, recording: bytes, **fields: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        transcribe(client, recording, **fields)
    assert caught.value.request_id
    return caught.value


def events(client: openai.OpenAI, recording: bytes, **fields: Any) -> list[Any]:
    return list(transcribe(client, recording, stream=True, **fields))


def test_json_is_the_default(client: openai.OpenAI, wav: bytes, expected: Transcription) -> None:
    reply = transcribe(client, wav)
    assert reply.text == expected.text
    assert len(expected.text) > 8
    assert reply.usage.type == "duration"
    assert reply.usage.seconds == pytest.approx(expected.duration)
    assert reply.logprobs is None
    assert reply.confidence == pytest.approx(expected.confidence, abs=1e-3)


@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a", "webm", "flac without length"])
def test_the_text_is_that_of_transcribe_whatever_the_format(
    client: openai.OpenAI, recognizer: Recognizer, sentence: Samples, kind: str
) -> None:
    recording = recordings(sentence)[kind]
    reply = transcribe(client, recording, response_format="verbose_json")
    heard = recognizer.transcribe(recording)
    assert reply.text == heard.text
    assert reply.text
    assert reply.duration == pytest.approx(heard.duration, abs=1e-3)


def test_a_bare_buffer_without_a_name_is_heard_too(
    client: openai.OpenAI, wav: bytes, expected: Transcription
) -> None:
    reply = client.audio.transcriptions.create(file=io.BytesIO(wav), model="tiny")
    assert reply.text == expected.text


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles_are_those_of_the_writers(
    client: openai.OpenAI, wav: bytes, expected: Transcription, format: str
) -> None:
    assert transcribe(client, wav, response_format=format) == write(format, expected)


def test_text_is_one_line(client: openai.OpenAI, wav: bytes, expected: Transcription) -> None:
    assert transcribe(client, wav, response_format="text") == f"{expected.text}\n"


def test_verbose_json_has_all_that_the_client_knows_of_a_segment(
    client: openai.OpenAI, wav: bytes, expected: Transcription
) -> None:
    reply = transcribe(client, wav, response_format="verbose_json")
    assert reply.language == "korean"
    assert reply.words is None
    assert len(reply.segments) == len(expected.segments) > 1
    for number, (found, segment) in enumerate(zip(reply.segments, expected.segments, strict=True)):
        type(found).model_validate(found.model_dump())
        assert found.id == number
        assert found.text == segment.text
        assert found.start == pytest.approx(segment.start, abs=1e-3)
        assert found.end == pytest.approx(segment.end, abs=1e-3)
        assert len(found.tokens) == len(segment.text)
        assert math.exp(found.avg_logprob) == pytest.approx(segment.confidence, abs=1e-3)
        assert found.confidence == pytest.approx(segment.confidence, abs=1e-3)
        assert found.doubtful == segment.doubtful
        assert found.finished == segment.finished


@pytest.mark.parametrize(
    ("granularities", "has_segments", "has_words"),
    [(["word"], False, True), (["segment"], True, False), (["word", "segment"], True, True)],
)
def test_times_of_words_and_segments_come_where_they_are_asked_for(
    client: openai.OpenAI,
    wav: bytes,
    expected: Transcription,
    granularities: list[str],
    has_segments: bool,
    has_words: bool,
) -> None:
    reply = transcribe(
        client, wav, response_format="verbose_json", timestamp_granularities=granularities
    )
    assert (reply.segments is not None) == has_segments
    assert (reply.words is not None) == has_words
    if has_words:
        words = [word for segment in expected.segments for word in segment.words]
        assert [word.word for word in reply.words] == [word.word for word in words]
        for found, word in zip(reply.words, words, strict=True):
            assert found.start == pytest.approx(word.start, abs=1e-3)
            assert found.end == pytest.approx(word.end, abs=1e-3)


def test_granularities_are_read_without_brackets_too(server: Server, wav: bytes) -> None:
    fields = {
        "model": "tiny",
        "response_format": "verbose_json",
        "timestamp_granularities": ["word", "segment"],
    }
    reply = server.post(data=fields, files={"file": wav}).json()
    assert reply["words"]
    assert reply["segments"]


def test_log_probabilities_spell_the_text(
    client: openai.OpenAI, wav: bytes, expected: Transcription
) -> None:
    reply = transcribe(client, wav, include=["logprobs"])
    assert "".join(token.token for token in reply.logprobs) == expected.text
    spelled = [int(byte) for token in reply.logprobs for byte in token.bytes]
    assert bytes(spelled) == expected.text.encode()
    assert all(token.logprob <= 0 for token in reply.logprobs)


def test_a_stream_brings_the_text_segment_by_segment(
    client: openai.OpenAI, wav: bytes, expected: Transcription
) -> None:
    *deltas, done = events(client, wav, include=["logprobs"])
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert done.type == "transcript.text.done"
    assert done.text == "".join(event.delta for event in deltas) == expected.text
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens
    for event in deltas:
        assert "".join(token.token for token in event.logprobs) == event.delta
    assert [event.segment["text"] for event in deltas] == [
        segment.text for segment in expected.segments if segment.text
    ]
    for event in deltas:
        words = event.segment["words"]
        assert " ".join(word["word"] for word in words) == event.segment["text"]
        assert event.segment["start"] <= words[0]["start"]
        assert words[-1]["end"] <= event.segment["end"]


def test_the_first_text_of_a_long_recording_comes_before_the_last_is_computed(
    server: Server, client: openai.OpenAI, long_wav: bytes
) -> None:
    with transcribe(client, long_wav, stream=True) as stream:
        assert next(iter(stream)).delta
        assert server.metric("sorigeul_requests_active") > 0


def test_a_stream_has_the_waveform_and_the_attention_if_asked(
    client: openai.OpenAI, wav: bytes, expected: Transcription, sentence: Samples
) -> None:
    extra = {"peaks": "true", "attention": "true"}
    *deltas, done = events(client, wav, extra_body=extra)
    assert done.duration == pytest.approx(len(sentence) / 16_000, abs=1e-3)
    peaks = np.array(done.peaks)
    assert len(peaks) == math.ceil(len(sentence) / 800)
    quarter = np.abs(sentence[: 800 * 4]).reshape(4, 800).max(axis=1)
    assert peaks[:4] == pytest.approx(quarter, abs=2e-3)
    segments = [segment for segment in expected.segments if segment.text]
    for event, segment in zip(deltas, segments, strict=True):
        attention = event.segment["attention"]
        assert attention["characters"] == segment.characters
        weights = np.frombuffer(base64.b64decode(attention["weights"]), np.uint8)
        weights = weights.reshape(-1, attention["frames"]).astype(float)
        alignment = segment.alignment / segment.alignment.max()
        assert weights / 255 == pytest.approx(alignment, abs=3e-3)


def test_the_waveform_of_a_long_recording_is_no_longer_than_a_screen_needs(
    client: openai.OpenAI, long_wav: bytes
) -> None:
    done = events(client, long_wav, extra_body={"peaks": "true"})[-1]
    assert 2000 < len(done.peaks) <= 4000
    assert max(done.peaks) <= 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"response_format": "xml"}, "response_format"),
        ({"known_speaker_names": ["철수"]}, "known_speaker_names"),
        ({"known_speaker_references": ["data:audio/wav;base64,"]}, "known_speaker_references"),
        ({"language": "en"}, "language"),
        ({"languages": ["ko", "en"]}, "languages"),
        ({"temperature": 1.5}, "temperature"),
        ({"extra_body": {"temperature": "warm"}}, "temperature"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        (
            {"timestamp_granularities": ["syllable"], "response_format": "verbose_json"},
            "timestamp_granularities",
        ),
        ({"include": ["logprobs"], "response_format": "text"}, "include"),
        ({"include": ["everything"]}, "include"),
        ({"stream": True, "response_format": "text"}, "stream"),
        ({"stream": True, "response_format": "srt"}, "stream"),
        ({"stream": True, "response_format": "vtt"}, "stream"),
        ({"stream": True, "response_format": "verbose_json"}, "stream"),
        ({"extra_body": {"stream": "yes"}}, "stream"),
        ({"extra_body": {"peaks": "true"}}, "peaks"),
        ({"extra_body": {"attention": "true"}}, "attention"),
        ({"extra_body": {"beam": 8}}, "beam"),
        ({"keywords": ["Σ"]}, "keywords"),
        ({"prompt": "가" * 1001}, "prompt"),
        (
            {"chunking_strategy": {"type": "server_vad", "threshold": 1.7}},
            "chunking_strategy[threshold]",
        ),
        (
            {"chunking_strategy": {"type": "server_vad", "silence_duration_ms": 1}},
            "chunking_strategy[silence_duration_ms]",
        ),
        (
            {"extra_body": {"chunking_strategy": '{"type": "server_vad"}'}},
            "chunking_strategy",
        ),
        ({"model": ""}, "model"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    client: openai.OpenAI, wav: bytes, fields: dict[str, Any], param: str
) -> None:
    error = refusal(client, wav, **fields)
    assert isinstance(error, openai.BadRequestError)
    assert error.param == param
    assert error.type == "invalid_request_error"
    assert param.partition("[")[0] in error.message


@pytest.mark.parametrize(
    "fields",
    [
        {"language": "ko"},
        {"language": "korean"},
        {"languages": ["ko", "kor"]},
        {"temperature": 0.7},
        {"prompt": "가나 이야기"},
        {"chunking_strategy": "auto"},
        {"chunking_strategy": {"type": "server_vad"}},
    ],
)
def test_what_changes_nothing_is_accepted(
    client: openai.OpenAI, wav: bytes, expected: Transcription, fields: dict[str, Any]
) -> None:
    assert transcribe(client, wav, **fields).text == expected.text


def test_a_pause_that_ends_a_segment_can_be_chosen(
    client: openai.OpenAI, sentence: Samples
) -> None:
    recording = sound_file(sentence[:57_600])  # less than the longest segment
    strategy = {"type": "server_vad", "silence_duration_ms": 3000}
    cut = transcribe(client, recording, response_format="verbose_json")
    whole = transcribe(
        client, recording, response_format="verbose_json", chunking_strategy=strategy
    )
    assert len(cut.segments) == 2
    assert len(whole.segments) == 1


def test_what_is_kept_around_speech_can_be_chosen(client: openai.OpenAI, wav: bytes) -> None:
    starts = []
    for padding in (0, 500):
        strategy = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": padding}
        heard = transcribe(client, wav, response_format="verbose_json", chunking_strategy=strategy)
        starts.append(heard.segments[1].start)
    assert starts[0] - starts[1] == pytest.approx(0.5, abs=0.01)


def test_keywords_are_favoured(client: openai.OpenAI, recognizer: Recognizer, wav: bytes) -> None:
    from sorigeul.search.terms import Terms

    keywords = ["라다나가다다"]  # what is said ends otherwise
    terms = Terms.from_terms([(word, 1.0) for word in keywords], recognizer.pretrained.vocabulary)
    favoured = recognizer.with_terms(terms).transcribe(wav).text
    assert favoured != recognizer.transcribe(wav).text
    assert transcribe(client, wav, keywords=keywords).text == favoured


@pytest.mark.parametrize("recording", [b"", b"not a recording", b"RIFF\0\0\0\0WAVE", bytes(5000)])
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_no_recording_is_refused(
    client: openai.OpenAI, recording: bytes, stream: bool
) -> None:
    error = refusal(client, recording, stream=stream)
    assert isinstance(error, openai.BadRequestError)
    assert error.code == "invalid_audio"
    assert error.param == "file"
    assert "비밀" not in str(error.body)
    assert "/" not in error.message


def test_damage_in_the_middle_is_an_error_after_the_text_before_it(
    client: openai.OpenAI, recognizer: Recognizer, sentence: Samples
) -> None:
    flac = sound_file(np.tile(sentence, 8), "FLAC")
    stream = iter(transcribe(client, flac[: len(flac) // 2], stream=True))
    assert next(stream).delta
    with pytest.raises(openai.APIError, match="cut short or damaged"):
        list(stream)
    error = refusal(client, flac[: len(flac) // 2])
    assert error.code == "invalid_audio"


def test_silence_has_no_text(client: openai.OpenAI) -> None:
    noise = 0.001 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    recording = recordings(noise)["wav"]
    assert transcribe(client, recording).text == ""
    assert [event.type for event in events(client, recording)] == ["transcript.text.done"]
    assert transcribe(client, recording, response_format="vtt") == "WEBVTT\n\n"


def test_models_are_chosen_by_name(client: openai.OpenAI, wav: bytes) -> None:
    assert [model.id for model in client.models.list()] == ["tiny", "second"]
    assert client.models.retrieve("second").owned_by == "sorigeul"
    assert transcribe(client, wav, model="second").text == transcribe(client, wav).text
    for name in ("whisper-1", "gpt-4o-transcribe", "../tiny", "tiny/"):
        error = refusal(client, wav, model=name)
        assert isinstance(error, openai.NotFoundError)
        assert error.code == "model_not_found"
        assert "tiny, second" in error.message
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("whisper-1")


def test_translation_is_refused(client: openai.OpenAI, wav: bytes) -> None:
    with pytest.raises(openai.BadRequestError, match="transl") as caught:
        client.audio.translations.create(file=wav, model="tiny")
    assert caught.value.code == "unsupported_operation"


@pytest.mark.parametrize(
    ("request_options", "code"),
    [
        ({"content": b"{}", "headers": {"content-type": "application/json"}}, "invalid_form"),
        ({"data": {"model": "tiny"}}, "invalid_form"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "invalid_form"),
        ({"files": {"model": (None, "tiny")}}, "missing"),
        ({"files": {"file": (None, "text"), "model": (None, "tiny")}}, "missing"),
        ({"files": [("file", b"1"), ("file", b"2"), ("model", (None, "tiny"))]}, "invalid_form"),
        ({"files": [("file", b"1"), *[("model", (None, "tiny"))] * 2]}, "invalid_value"),
        ({"files": [("file", b"1"), *[("x", (None, "y"))] * 400]}, "invalid_form"),
        ({"files": [("file", b"1"), ("prompt", (None, "가" * 90_000))]}, "invalid_form"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(
    server: Server, request_options: dict[str, Any], code: str
) -> None:
    reply = server.post(**request_options)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["code"] == code
    assert error["message"]


def test_texts_do_not_depend_on_the_company(
    client: openai.OpenAI, recognizer: Recognizer, sentence: Samples
) -> None:
    random = np.random.default_rng(3)
    starts, lengths = random.integers(0, 60_000, 16), random.integers(25_000, 50_000, 16)
    waves = [
        sound_file(sentence[start : start + length])
        for start, length in zip(starts, lengths, strict=True)
    ]
    with ThreadPoolExecutor(16) as pool:
        texts = list(pool.map(lambda wave: transcribe(client, wave).text, waves))
    assert texts == [recognizer.transcribe(wave).text for wave in waves]
    assert len(set(texts)) > 3


@pytest.mark.parametrize("stream", ["true", "false"])
def test_the_work_of_a_client_that_leaves_is_stopped(
    server: Server, long_wav: bytes, stream: str
) -> None:
    """It is gone from the queue, and its place is free."""
    abandoned = server.metric("sorigeul_requests_abandoned_total")
    batches = server.metric("sorigeul_batch_segments_count")
    assert wait_until(lambda: server.metric("sorigeul_requests_active") == 0)
    with httpx.Client(timeout=httpx.Timeout(200, read=0.2)) as impatient:
        fields = {"model": "tiny", "stream": stream}
        with pytest.raises(httpx.ReadTimeout):
            impatient.post(
                f"{server.url}/v1/audio/transcriptions", data=fields, files={"file": long_wav}
            )
    assert wait_until(lambda: server.metric("sorigeul_requests_abandoned_total") > abandoned)
    assert wait_until(lambda: server.metric("sorigeul_requests_active") == 0)
    assert server.metric("sorigeul_queue_segments") == 0
    computed = server.metric("sorigeul_batch_segments_count") - batches
    assert computed < 20


def test_the_log_has_lines_of_json_without_content(
    server: Server, client: openai.OpenAI, wav: bytes, expected: Transcription
) -> None:
    with_name = client.audio.transcriptions.with_raw_response.create(
        file=("비밀.wav", wav), model="tiny"
    )
    request_id = with_name.headers["x-request-id"]

    def lines() -> list[dict[str, Any]]:
        log = server.process.outputs[1].read_text(encoding="utf-8")
        return [json.loads(line) for line in log.splitlines() if line.startswith("{")]

    def logged() -> list[dict[str, Any]]:
        return [line for line in lines() if line.get("request_id") == request_id]

    assert wait_until(lambda: bool(logged()))  # it is written after the reply
    (line,) = logged()
    log = server.process.outputs[1].read_text(encoding="utf-8")
    assert line["method"] == "POST"
    assert line["path"] == "/v1/audio/transcriptions"
    assert line["status"] == 200
    assert line["audio_seconds"] == pytest.approx(expected.duration, abs=1e-3)
    assert "비밀" not in log
    assert expected.text not in log
    assert not [line for line in lines() if line["event"] == "error"]
