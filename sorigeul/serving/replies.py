"""Replies of `POST /v1/audio/transcriptions` in the shapes of OpenAI's API.

What is ours in them (`confidence`, `doubtful`, `finished`, `spoken` and the events' `segment`) is
added under names that OpenAI does not use.
"""

import base64
import json
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from sorigeul.recognition.transcription import Segment, Transcription
from sorigeul.recognition.writers import segment_fields, spoken_fields, word_fields, write
from sorigeul.serving.api_errors import ApiError
from sorigeul.serving.transcription_request import TranscriptionRequest
from sorigeul.text.vocabulary import Vocabulary

_LEAST_LOG = -20.0  # of a probability of zero

TEXT_TYPES = {
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}
"""the content type of each format that is not JSON"""


def text_reply(format: str, transcription: Transcription) -> str:
    """The body of a reply in a format of `TEXT_TYPES`."""
    if format == "text":
        return f"{transcription.text}\n"
    return write(format, transcription)


def json_reply(transcription: Transcription, logprobs: bool) -> dict[str, Any]:
    """The reply of the format json."""
    reply: dict[str, Any] = {"text": transcription.text, **spoken_fields(transcription)}
    if logprobs:
        reply["logprobs"] = joined_logprobs(transcription.segments)
    reply["usage"] = _duration_usage(transcription)
    reply["confidence"] = round(transcription.confidence, 4)
    return reply


def verbose_reply(transcription: Transcription, request: TranscriptionRequest) -> dict[str, Any]:
    """The reply of the format verbose_json."""
    vocabulary = request.model.recognizer.pretrained.vocabulary
    reply: dict[str, Any] = {
        "task": "transcribe",
        "language": "korean",
        "duration": round(transcription.duration, 3),
        "text": transcription.text,
        **spoken_fields(transcription),
        "confidence": round(transcription.confidence, 4),
    }
    if request.segment_times:
        reply["segments"] = [
            _verbose_segment(number, segment, vocabulary)
            for number, segment in enumerate(transcription.segments)
        ]
    if request.word_times:
        reply["words"] = [
            word_fields(word) for segment in transcription.segments for word in segment.words
        ]
    reply["usage"] = _duration_usage(transcription)
    return reply


def delta_event(number: int, segment: Segment, first: bool, request: TranscriptionRequest) -> str:
    """The event of a segment with its text; a space is before it unless it is the `first`."""
    event: dict[str, Any] = {
        "type": "transcript.text.delta",
        "delta": segment.text if first else f" {segment.text}",
        "segment_id": f"seg_{number}",
    }
    if request.logprobs:
        event["logprobs"] = _logprobs(segment, leading_space=not first)
    event["segment"] = {"id": number, **segment_fields(segment)}
    if request.attention:
        event["segment"]["attention"] = attention_fields(segment)
    return _event(event)


def done_event(
    transcription: Transcription, request: TranscriptionRequest, peaks: list[float]
) -> str:
    """The last event: the whole text."""
    event: dict[str, Any] = {
        "type": "transcript.text.done",
        "text": transcription.text,
        **spoken_fields(transcription),
    }
    if request.logprobs:
        event["logprobs"] = joined_logprobs(transcription.segments)
    event["usage"] = _token_usage(transcription)
    event["duration"] = round(transcription.duration, 3)
    if request.peaks:
        event["peaks"] = peaks
    return _event(event)


def error_event(error: ApiError) -> str:
    """An error after the reply has begun."""
    return _event(error.body())


def attention_fields(segment: Segment) -> dict[str, Any]:
    """The attention (U, S) of a segment in eight bits: base64 of its rows, 255 the largest."""
    weights = segment.alignment
    scale = 255 / max(float(weights.max()), 1e-9) if weights.size else 0.0
    eight_bits = np.rint(weights * scale).clip(0, 255).astype(np.uint8)
    return {
        "characters": segment.characters,
        "frames": weights.shape[1],
        "weights": base64.b64encode(eight_bits.tobytes()).decode(),
    }


def joined_logprobs(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """The log-probability of each character of the text; together the tokens are the text."""
    spoken = [segment for segment in segments if segment.text]
    return [
        token
        for number, segment in enumerate(spoken)
        for token in _logprobs(segment, leading_space=number > 0)
    ]


def _logprobs(segment: Segment, leading_space: bool) -> list[dict[str, Any]]:
    """A character is as sure as its word is, on average; a space as its segment.

    So those of a word in written form are as sure as what it stands for.
    """
    words = segment.text.split(" ")
    confidences = [word.confidence for word in segment.words]
    if len(confidences) != len(words):  # a unit of the vocabulary that is written otherwise
        confidences = [segment.confidence] * len(words)
    tokens = []
    for number, (word, confidence) in enumerate(zip(words, confidences, strict=True)):
        if number or leading_space:
            tokens.append(_token(" ", segment.confidence))
        tokens += [_token(character, confidence) for character in word]
    return tokens


def _token(character: str, probability: float) -> dict[str, Any]:
    return {
        "token": character,
        "bytes": list(character.encode()),
        "logprob": _log(probability),
    }


def _log(probability: float) -> float:
    return round(max(math.log(probability), _LEAST_LOG), 4) if probability > 0 else _LEAST_LOG


def _verbose_segment(number: int, segment: Segment, vocabulary: Vocabulary) -> dict[str, Any]:
    text = segment.text.encode()
    return {
        "id": number,
        "seek": round(100 * segment.start),  # frames of 10 ms, as Whisper counts
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        **spoken_fields(segment),
        "tokens": vocabulary.encode(_heard(segment)),
        "temperature": 0.0,
        "avg_logprob": _log(segment.confidence),
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 4) if text else 0.0,
        "no_speech_prob": 0.0 if segment.text else 1.0,  # only speech is recognised
        "confidence": round(segment.confidence, 4),
        "doubtful": segment.doubtful,
        "finished": segment.finished,
    }


def _heard(transcribed: Segment | Transcription) -> str:
    """What the model wrote, whatever form the text has by now."""
    return transcribed.text if transcribed.spoken is None else transcribed.spoken


def _duration_usage(transcription: Transcription) -> dict[str, Any]:
    return {"type": "duration", "seconds": round(transcription.duration, 3)}


def _token_usage(transcription: Transcription) -> dict[str, Any]:
    """Listener frames in, characters out."""
    frames = sum(segment.alignment.shape[1] for segment in transcription.segments)
    characters = len(_heard(transcription))
    return {
        "type": "tokens",
        "input_tokens": frames,
        "output_tokens": characters,
        "total_tokens": frames + characters,
    }


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
