"""The settings of a live session, as `session.update` of OpenAI's Realtime protocol changes them.

Every field is either obeyed or refused, never ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sorigeul.serving.api_errors import ApiError, bad_request, quoted
from sorigeul.serving.batch_queue import TermList
from sorigeul.serving.models import ServedModel
from sorigeul.serving.realtime_audio import AUDIO_FORMATS
from sorigeul.serving.service import Service
from sorigeul.serving.transcription_request import is_korean, requested_terms
from sorigeul.serving.voice_detection import PADDINGS, PAUSES, THRESHOLDS, VoiceDetection
from sorigeul.sound.segments import SegmentLimits


@dataclass(frozen=True)
class SessionSettings:
    """How the audio of a session comes, and what is made of it."""

    model: ServedModel
    detection: VoiceDetection | None
    """None: only the client says where speech ends"""
    format: str = "audio/pcm"
    """a format of `AUDIO_FORMATS`"""
    language: str = "ko"
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    provisional: bool = False
    """our own: whether the client wants text that may still change"""
    terms: TermList = field(default=())
    """what keywords and prompt mean for the search"""

    @classmethod
    def of_model(cls, model: ServedModel) -> "SessionSettings":
        """What holds until the client changes it: what `transcribe` does."""
        return cls(model, VoiceDetection.of(model.recognizer.limits))

    @property
    def limits(self) -> SegmentLimits:
        """How the audio is cut into segments."""
        limits = self.model.recognizer.limits
        return limits if self.detection is None else self.detection.limits(limits)

    def as_json(self) -> dict[str, Any]:
        """As the events `session.created` and `session.updated` tell it."""
        audio_format: dict[str, Any] = {"type": self.format}
        if self.format == "audio/pcm":
            audio_format["rate"] = AUDIO_FORMATS[self.format]
        detection = self.detection
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "audio": {
                "input": {
                    "format": audio_format,
                    "transcription": {
                        "model": self.model.name,
                        "language": self.language,
                        "prompt": self.prompt,
                        "keywords": list(self.keywords),
                    },
                    "noise_reduction": None,
                    "turn_detection": detection and {"type": "server_vad", **vars(detection)},
                }
            },
            "include": None,
            "provisional": self.provisional,
        }

    def updated(self, session: Any, service: Service) -> "SessionSettings":
        """These settings with the changes of a `session.update`.

        Raises ApiError for what is wrong or not supported.
        """
        fields = _Fields("session", session)
        kind = fields.take("type", str, "transcription")
        if kind != "transcription":
            raise _unsupported("session.type", f"sessions of type {quoted(kind)} are not supported")
        settings = self
        provisional = bool(fields.take("provisional", bool, self.provisional))
        if fields.take("include", list, []):
            raise _unsupported("session.include", "include is not supported: leave it out")
        audio = _Fields("session.audio", fields.take("audio", dict, {}))
        sound = _Fields("session.audio.input", audio.take("input", dict, {}))
        if sound.take("noise_reduction", dict, None):
            raise _unsupported(sound.path("noise_reduction"), "noise reduction is not supported")
        if "format" in sound:
            settings = replace(settings, format=_format(sound.take("format", dict, {})))
        if "transcription" in sound:
            settings = settings._transcription(sound.take("transcription", dict, None), service)
        if "turn_detection" in sound:
            settings = settings._detection(sound.take("turn_detection", dict, None))
        for each in (fields, audio, sound):
            each.refuse_others()
        return replace(settings, provisional=provisional)

    def _transcription(self, given: Any, service: Service) -> "SessionSettings":
        path = "session.audio.input.transcription"
        if given is None:
            raise _unsupported(path, "a session without transcription is not supported")
        fields = _Fields(path, given)
        model = service.model(fields.take("model", str, self.model.name))
        language = fields.take("language", str, None) or "ko"
        languages = _texts(fields, "languages", ["ko"])
        for each in (language, *languages):
            if not is_korean(each):
                raise _unsupported(
                    f"{path}.language", f"language is {quoted(each)}, but must be ko"
                )
        prompt = fields.take("prompt", str, self.prompt) or ""
        keywords = tuple(_texts(fields, "keywords", self.keywords))
        fields.refuse_others()
        terms = requested_terms(keywords, prompt, model.recognizer.pretrained.vocabulary)
        return replace(
            self, model=model, language="ko", prompt=prompt, keywords=keywords, terms=terms
        )

    def _detection(self, given: Any) -> "SessionSettings":
        if given is None:
            return replace(self, detection=None)
        path = "session.audio.input.turn_detection"
        fields = _Fields(path, given)
        kind = fields.take("type", str, "server_vad")
        if kind != "server_vad":
            raise _unsupported(
                f"{path}.type", f"turn detection of type {quoted(kind)} is not supported"
            )
        for name in ("create_response", "interrupt_response", "idle_timeout_ms"):
            if fields.take(name, object, None):
                raise _unsupported(f"{path}.{name}", f"{name}: this server gives no responses")
        before = self.detection or VoiceDetection.of(self.model.recognizer.limits)
        detection = VoiceDetection(
            threshold=_number(fields, "threshold", before.threshold, *THRESHOLDS),
            prefix_padding_ms=round(
                _number(fields, "prefix_padding_ms", before.prefix_padding_ms, *PADDINGS)
            ),
            silence_duration_ms=round(
                _number(fields, "silence_duration_ms", before.silence_duration_ms, *PAUSES)
            ),
        )
        fields.refuse_others()
        return replace(self, detection=detection)


class _Fields:
    """The fields of a JSON object. Every one that was taken is accounted for."""

    def __init__(self, path: str, given: Any) -> None:
        if not isinstance(given, dict):
            raise bad_request(f"{path} must be an object", path)
        self._path, self._given = path, given
        self._known: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def path(self, name: str) -> str:
        return f"{self._path}.{name}"

    def take(self, name: str, kind: type, default: Any) -> Any:
        """A field; null, or `default` if it is not given, need not be of the kind."""
        self._known.add(name)
        value = self._given.get(name, default)
        if name in self and value is not None and not isinstance(value, kind):
            kinds = {str: "text", bool: "true or false", dict: "an object", list: "a list"}
            raise bad_request(f"{name} must be {kinds.get(kind, 'a number')}", self.path(name))
        return value

    def refuse_others(self) -> None:
        for name in self._given:
            if name not in self._known:
                raise _unsupported(self.path(name), f"no such setting: {self.path(name)[:100]}")


def _texts(fields: _Fields, name: str, default: Sequence[str]) -> Sequence[str]:
    values = fields.take(name, list, list(default)) or []
    if not all(isinstance(value, str) for value in values):
        raise bad_request(f"{name} must be a list of texts", fields.path(name))
    return list(values)


def _number(fields: _Fields, name: str, default: float, least: float, most: float) -> float:
    value = fields.take(name, object, default)
    if value is None:
        return default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        raise bad_request(f"{name} must be a number from {least:g} to {most:g}", fields.path(name))
    return float(value)


def _format(given: Mapping[str, Any]) -> str:
    path = "session.audio.input.format"
    fields = _Fields(path, given)
    kind = fields.take("type", str, "audio/pcm")
    rate = fields.take("rate", int, None)
    fields.refuse_others()
    if kind not in AUDIO_FORMATS:
        raise _unsupported(
            f"{path}.type", f"{quoted(kind)} is not among {', '.join(AUDIO_FORMATS)}"
        )
    if rate not in (None, AUDIO_FORMATS[kind]):
        raise _unsupported(f"{path}.rate", f"{kind} must have {AUDIO_FORMATS[kind]} Hz, not {rate}")
    return str(kind)


def _unsupported(path: str, message: str) -> ApiError:
    return bad_request(message, path, "unsupported_value")
