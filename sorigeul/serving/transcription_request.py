"""What a client asks for with `POST /v1/audio/transcriptions`, checked.

The fields are those of OpenAI's API. Every one is either obeyed or refused, never ignored.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from sorigeul.serving.api_errors import bad_request, quoted
from sorigeul.serving.batch_queue import TermList
from sorigeul.serving.models import ServedModel
from sorigeul.serving.service import Service
from sorigeul.serving.upload_form import UploadForm
from sorigeul.serving.voice_detection import PADDINGS, PAUSES, THRESHOLDS, VoiceDetection
from sorigeul.text.normalization import normalizer
from sorigeul.text.vocabulary import Vocabulary

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
RESPONSE_FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)
_KOREAN = {"ko", "kor", "korean", "ko-kr", "한국어"}
MOST_TERM_CHARACTERS = 1000
"""of all terms that a client asks for, and of a prompt"""
_PROMPT_WEIGHT = 0.3  # of a word of the prompt, where a keyword has 1


@dataclass(frozen=True)
class TranscriptionRequest:
    """A recording, and how its text is wanted."""

    recording: bytes
    model: ServedModel
    response_format: ResponseFormat = "json"
    stream: bool = False
    word_times: bool = False
    """whether verbose_json has words"""
    segment_times: bool = True
    """whether verbose_json has segments"""
    logprobs: bool = False
    terms: TermList = ()
    detection: VoiceDetection | None = None
    """when speech begins and ends; None: as the model has it"""
    peaks: bool = False
    """our own: the outline of the waveform in the last event"""
    attention: bool = False
    """our own: the attention of each segment in its event"""

    @classmethod
    def from_form(cls, form: UploadForm, service: Service) -> "TranscriptionRequest":
        """Read the fields of a form. Raises ApiError for what is wrong or not supported."""
        recording = form.file("file")
        model = requested_model(form, service)
        _check_language(form)
        _refuse_diarization(form)
        response_format = form.choice("response_format", RESPONSE_FORMATS, "json")
        form.number("temperature", 0, 1)  # nothing is drawn by chance here
        stream, peaks, attention = (form.flag(name) for name in ("stream", "peaks", "attention"))
        if stream and response_format != "json":
            raise bad_request(
                f"stream goes with response_format json, not with {response_format}", "stream"
            )
        for name, asked in (("peaks", peaks), ("attention", attention)):
            if asked and not stream:
                raise bad_request(f"{name} goes with stream", name)
        granularities = _choices(form, "timestamp_granularities", ("word", "segment"))
        if granularities and response_format != "verbose_json":
            raise bad_request(
                "timestamp_granularities go with response_format verbose_json",
                "timestamp_granularities",
            )
        include = _choices(form, "include", ("logprobs",))
        if include and response_format != "json":
            raise bad_request("include goes with response_format json", "include")
        terms = requested_terms(
            form.list("keywords"), form.text("prompt"), model.recognizer.pretrained.vocabulary
        )
        detection = _detection(form, VoiceDetection.of(model.recognizer.limits))
        form.refuse_others()
        return cls(
            recording=recording,
            model=model,
            response_format=cast(ResponseFormat, response_format),
            stream=stream,
            word_times="word" in granularities,
            segment_times=not granularities or "segment" in granularities,
            logprobs=bool(include),
            terms=terms,
            detection=detection,
            peaks=peaks,
            attention=attention,
        )


def requested_model(form: UploadForm, service: Service) -> ServedModel:
    """The model that a form names. Raises ApiError if there is none."""
    name = form.text("model")
    if not name:
        names = ", ".join(service.models)
        raise bad_request(f"model is missing; there are: {names}", "model", "missing")
    return service.model(name)


def is_korean(language: str) -> bool:
    """Whether a client means Korean."""
    return language.strip().lower() in _KOREAN


def requested_terms(keywords: Sequence[str], prompt: str, vocabulary: Vocabulary) -> TermList:
    """The terms to favour: keywords, and with less weight the words of a prompt.

    The model hears no context, so that is all that a prompt can do; its words of one syllable, and
    those that the model cannot write, do nothing. Raises ApiError for a keyword that the model
    cannot write, and for too much text.
    """
    plain = normalizer("plain")
    weights: dict[str, float] = {}
    for keyword in keywords:
        term = plain(keyword)
        if not term or vocabulary.unknown(term):
            raise bad_request(
                f"keywords has {quoted(keyword)}, which the model has no characters for", "keywords"
            )
        weights[term] = 1.0
    words = [plain(word) for word in re.findall(r"\w\w+", prompt)]
    for word in words:
        if len(word) > 1 and not vocabulary.unknown(word):
            weights.setdefault(word, _PROMPT_WEIGHT)
    for name, length in (("keywords", sum(map(len, keywords))), ("prompt", len(prompt))):
        if length > MOST_TERM_CHARACTERS:
            raise bad_request(
                f"{name} has {length} characters, but may have {MOST_TERM_CHARACTERS}", name
            )
    return tuple(sorted(weights.items()))


def _choices(form: UploadForm, name: str, choices: Sequence[str]) -> set[str]:
    values = set(form.list(name))
    for value in sorted(values):
        if value not in choices:
            raise bad_request(
                f"{name} has {quoted(value)}, but may have only {' and '.join(choices)}", name
            )
    return values


def _check_language(form: UploadForm) -> None:
    for name, values in (
        ("language", [form.text("language")]),
        ("languages", form.list("languages")),
    ):
        for value in values:
            if value and not is_korean(value):
                raise bad_request(
                    f"{name} is {quoted(value)}, but the models here know Korean (ko) only",
                    name,
                    "unsupported_language",
                )


def _refuse_diarization(form: UploadForm) -> None:
    if form.text("response_format") == "diarized_json":
        raise bad_request(
            "response_format diarized_json is not supported: speakers are not told apart",
            "response_format",
            "unsupported_value",
        )
    for name in ("known_speaker_names", "known_speaker_references"):
        if form.list(name):
            raise bad_request(
                f"{name} is not supported: speakers are not told apart",
                name,
                "unsupported_parameter",
            )


def _detection(form: UploadForm, default: VoiceDetection) -> VoiceDetection | None:
    """What a client's chunking strategy says, in either form; None if it says nothing."""
    strategy = form.text("chunking_strategy")
    if strategy not in ("", "auto"):
        raise bad_request(
            f"chunking_strategy is {quoted(strategy)}, but must be auto, or be given field by "
            "field: chunking_strategy[type]=server_vad, chunking_strategy[threshold]=0.5",
            "chunking_strategy",
        )
    kind = form.choice("chunking_strategy[type]", ("server_vad",), "")
    threshold, padding, pause = (
        form.number(f"chunking_strategy[{name}]", *bounds)
        for name, bounds in (
            ("threshold", THRESHOLDS),
            ("prefix_padding_ms", PADDINGS),
            ("silence_duration_ms", PAUSES),
        )
    )
    if strategy and kind:
        raise bad_request("chunking_strategy is given in two forms", "chunking_strategy")
    if (threshold, padding, pause) == (None, None, None):
        return None
    if not kind:
        raise bad_request("chunking_strategy[type] must be server_vad", "chunking_strategy")
    return VoiceDetection(
        default.threshold if threshold is None else threshold,
        default.prefix_padding_ms if padding is None else round(padding),
        default.silence_duration_ms if pause is None else round(pause),
    )
