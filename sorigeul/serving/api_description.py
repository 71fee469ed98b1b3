"""What OpenAPI says about the routes: the form of a transcription, its replies, and errors.

FastAPI cannot derive it, since forms are read by hand.
"""

from typing import Any

from sorigeul.serving.transcription_request import RESPONSE_FORMATS

_STRING = {"type": "string"}
_NUMBER = {"type": "number"}
_TRUE_OR_FALSE = {"type": "string", "enum": ["true", "false"]}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _list(description: str, **items: Any) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string", **items},
        "description": description,
    }


_FIELDS = {
    "file": {
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": "The recording: any audio or video format. Its name is not used.",
    },
    "model": _text("The name of a model, as GET /v1/models lists them."),
    "language": _text("Korean, if given.", enum=["ko", "kor", "korean"]),
    "languages[]": _list("As language.", enum=["ko", "kor", "korean"]),
    "prompt": _text(
        "Its words of two syllables and more are favoured a little; the model hears no context.",
        maxLength=1000,
    ),
    "keywords[]": _list("Names and jargon to favour."),
    "response_format": _text("How the text is wanted.", enum=list(RESPONSE_FORMATS)),
    "temperature": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "Accepted for compatibility: nothing is drawn by chance.",
    },
    "timestamp_granularities[]": _list("What verbose_json has times of.", enum=["word", "segment"]),
    "include[]": _list("With json: the log-probability of each character.", enum=["logprobs"]),
    "stream": {
        **_TRUE_OR_FALSE,
        "description": "With json: server-sent events, a segment each, as they are recognised.",
    },
    "chunking_strategy": _text("How a recording is cut.", enum=["auto"]),
    "chunking_strategy[type]": _text("The other form of it.", enum=["server_vad"]),
    "chunking_strategy[threshold]": {
        "type": "number",
        "minimum": 0.2,
        "maximum": 0.95,
        "description": "With type server_vad: probability from which a sound is speech.",
    },
    "chunking_strategy[prefix_padding_ms]": {
        "type": "number",
        "minimum": 0,
        "maximum": 1000,
        "description": "With type server_vad: what is kept before speech.",
    },
    "chunking_strategy[silence_duration_ms]": {
        "type": "number",
        "minimum": 100,
        "maximum": 5000,
        "description": "With type server_vad: a longer pause ends a segment.",
    },
    "peaks": {
        **_TRUE_OR_FALSE,
        "description": "With stream: the outline of the waveform in the last event. Not OpenAI's.",
    },
    "attention": {
        **_TRUE_OR_FALSE,
        "description": "With stream: the attention in the events. Not OpenAI's.",
    },
}

TRANSCRIPTION_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "model"],
                    "properties": _FIELDS,
                    "additionalProperties": False,
                }
            }
        },
    }
}
"""the body of `POST /v1/audio/transcriptions`"""

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": _STRING,
                "type": _STRING,
                "param": {"type": ["string", "null"]},
                "code": _STRING,
            },
        }
    },
}

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": {"application/json": {"schema": _ERROR}}}
    for status, description in (
        ("4XX", "The request cannot be answered as asked; with 429, not now: see Retry-After"),
        ("5XX", "A fault of the server, or it is shutting down"),
    )
}
"""the errors of every route"""

TRANSCRIPTION_REPLIES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The text",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["text", "usage", "confidence"],
                    "properties": {
                        "text": _STRING,
                        "spoken": _STRING,
                        "confidence": _NUMBER,
                        "usage": {"type": "object"},
                        "duration": _NUMBER,
                        "language": _STRING,
                        "segments": {"type": "array", "items": {"type": "object"}},
                        "words": {"type": "array", "items": {"type": "object"}},
                        "logprobs": {"type": "array", "items": {"type": "object"}},
                    },
                }
            },
            "text/plain": {"schema": _STRING},
            "application/x-subrip": {"schema": _STRING},
            "text/vtt": {"schema": _STRING},
            "text/event-stream": {"schema": _STRING},
        },
    },
    **ERRORS,
}
"""the replies of `POST /v1/audio/transcriptions`"""
