"""Wyoming, the protocol of Home Assistant, over TCP (extra `wyoming`).

A client may ask for `info`, and send utterances: `transcribe` (or nothing), `audio-start`,
`audio-chunk`, `audio-stop`. The text comes while it is recognised, as `transcript-start` and
`transcript-chunk`, and then whole, as `transcript` and `transcript-stop`.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

import numpy as np
import soxr
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioFormat, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.ping import Ping, Pong

from sorigeul.recognition.live import FinalSegment, LiveEvent
from sorigeul.serving.api_errors import ApiError, bad_request
from sorigeul.serving.batch_queue import CancelledError, TermList
from sorigeul.serving.json_log import log_error, log_event
from sorigeul.serving.live_stream import LiveStream
from sorigeul.serving.models import ServedModel
from sorigeul.serving.service import Service
from sorigeul.serving.transcription_request import MOST_TERM_CHARACTERS, is_korean
from sorigeul.serving.wyoming_events import LONGEST_LINE, read_event
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.text.normalization import normalizer
from sorigeul.text.vocabulary import Vocabulary

_MOST_CONNECTIONS = 64
_IDLE_SECONDS = 600.0  # after which a connection without any event is closed
_WIDTHS = {2: "<i2", 4: "<i4"}  # bytes of a sample: how NumPy calls it
_ATTRIBUTION = Attribution("sorigeul", "")

_threads = ThreadPoolExecutor(_MOST_CONNECTIONS, "wyoming")


@asynccontextmanager
async def wyoming_server(service: Service, listening: socket.socket) -> AsyncIterator[None]:
    """Serve on a bound socket for as long as the context is open."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await _Connection(service, reader, writer).serve(len(connections))
        finally:
            connections.discard(task)

    server = await asyncio.start_server(connected, sock=listening, limit=LONGEST_LINE)
    try:
        yield
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


class _Connection:
    """One client."""

    def __init__(
        self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._service, self._reader, self._writer = service, reader, writer
        self._model = next(iter(service.models.values()))
        self._terms: TermList = ()
        self._utterance: _Utterance | None = None

    async def serve(self, connections: int) -> None:
        """Answer events until the client leaves or sends something that cannot be used."""
        try:
            if connections > _MOST_CONNECTIONS:
                raise self._service.admission.busy("there are too many connections")
            while (event := await self._next_event()) is not None:
                await self._handle(event)
        except ApiError as error:
            with suppress(OSError):
                await self._write(Error(error.message, error.code))
        except (CancelledError, OSError):  # the client has left, or the server stops
            pass
        except Exception as error:  # noqa: BLE001  (the log has it, the client an event)
            log_error(error, protocol="wyoming")
            with suppress(OSError):
                await self._write(Error("the server has failed", "internal_error"))
        finally:
            self._end_utterance()
            self._writer.close()

    async def _next_event(self) -> Event | None:
        try:
            return await asyncio.wait_for(read_event(self._reader), _IDLE_SECONDS)
        except asyncio.TimeoutError:
            return None

    async def _handle(self, event: Event) -> None:
        """Answer an event; what is not for a recogniser is ignored, as the protocol says."""
        if Describe.is_type(event.type):
            await self._write(_info(self._service.models.values()))
        elif Ping.is_type(event.type):
            text = event.data.get("text")
            await self._write(Pong(text if isinstance(text, str) else None))
        elif Transcribe.is_type(event.type):
            self._configure(event)
        elif AudioStart.is_type(event.type):
            self._end_utterance()
            self._utterance = _Utterance(self._service, self._model, self._terms, event)
        elif AudioChunk.is_type(event.type):
            await self._hear(self._started().feed, event)
        elif AudioStop.is_type(event.type):
            await self._hear(self._started().finish)
            await self._reply()

    def _configure(self, event: Event) -> None:
        """Take over what a client asks for; the end of its turn is up to itself."""
        data = event.data
        if isinstance(name := data.get("name"), str) and name:
            self._model = self._service.model(name)
        language = data.get("language")
        if language is not None and not (isinstance(language, str) and is_korean(language)):
            raise bad_request("language must be ko", "language")
        names = [*_texts(data, "transcript_names"), *_texts(data, "transcript_terms")]
        self._terms = _terms(names, self._model.recognizer.pretrained.vocabulary)

    async def _hear(self, step: Any, *arguments: Any) -> None:
        """Let the utterance go on, in a thread, and send the text that is final by then."""
        loop = asyncio.get_running_loop()
        utterance = self._started()
        for text in await loop.run_in_executor(_threads, step, *arguments):
            if not utterance.texts:
                await self._write(TranscriptStart(language="ko"))
            await self._write(TranscriptChunk(f" {text}" if utterance.texts else text))
            utterance.texts.append(text)

    async def _reply(self) -> None:
        utterance = self._started()
        if not utterance.texts:
            await self._write(TranscriptStart(language="ko"))
        await self._write(Transcript(" ".join(utterance.texts), language="ko"))
        await self._write(TranscriptStop())
        self._service.metrics.audio.labels(self._model.name).inc(utterance.seconds)
        log_event("wyoming", audio_seconds=round(utterance.seconds, 3))
        self._end_utterance()

    def _started(self) -> "_Utterance":
        if self._utterance is None:
            raise bad_request("audio-start must come before the audio", None, "bad_event")
        return self._utterance

    def _end_utterance(self) -> None:
        if self._utterance is not None:
            self._utterance.close()
        self._utterance = None

    async def _write(self, answer: Eventable) -> None:
        await async_write_event(answer.event(), self._writer)


class _Utterance:
    """One utterance: a stream that holds a place of the server."""

    def __init__(self, service: Service, model: ServedModel, terms: TermList, start: Event) -> None:
        """Begin it. Raises ApiError for a format that is not supported, and without a place."""
        self.texts: list[str] = []
        """what was recognised so far"""
        self._format = _format(start)
        self._max_seconds = service.options.max_seconds
        self._resampler = soxr.ResampleStream(
            self._format.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ"
        )
        self._held = ExitStack()
        self._held.enter_context(service.admission.place())
        self._stream = LiveStream(model, model.recognizer.limits, terms)
        self._held.callback(self._stream.close)

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self._stream.seconds

    def feed(self, chunk: Event) -> list[str]:
        """The next chunk -> the texts that are final by now. Waits for the queue."""
        if _format(chunk) != self._format:
            raise bad_request("the format of the audio changes", None, "bad_event")
        if self.seconds > self._max_seconds:
            raise ApiError(413, f"an utterance may have {self._max_seconds:g} s", "audio_too_long")
        frame = self._format.width * self._format.channels
        if len(chunk.payload or b"") % frame:
            raise bad_request("an audio-chunk ends within a sample", None, "bad_event")
        samples = np.frombuffer(chunk.payload or b"", _WIDTHS[self._format.width])
        mono = samples.reshape(-1, self._format.channels).mean(axis=1)
        scale = 2.0 ** (8 * self._format.width - 1)
        return _final(self._stream.feed(self._resampled((mono / scale).astype(np.float32))))

    def finish(self) -> list[str]:
        """The last texts. Waits for the queue."""
        last = self._resampled(np.empty(0, np.float32), last=True)
        return [*_final(self._stream.feed(last)), *_final(self._stream.finish())]

    def close(self) -> None:
        """Give the place back, and drop what waits."""
        self._held.close()

    def _resampled(self, samples: Samples, last: bool = False) -> Samples:
        return np.asarray(self._resampler.resample_chunk(samples, last=last), np.float32)


def _final(events: Iterable[LiveEvent]) -> list[str]:
    segments = [event.segment for event in events if isinstance(event, FinalSegment)]
    return [segment.text for segment in segments if segment.text]


def _format(event: Event) -> AudioFormat:
    """The format that an event declares. Raises ApiError if it is not supported."""
    rate, width, channels = (
        value if isinstance(value := event.data.get(name), int) else 0
        for name in ("rate", "width", "channels")
    )
    if not (4_000 <= rate <= 192_000 and width in _WIDTHS and 1 <= channels <= 8):
        raise bad_request(
            "audio must have a rate from 4000 to 192000, a width of 2 or 4 and 1 to 8 channels",
            None,
            "unsupported_audio",
        )
    return AudioFormat(rate, width, channels)


def _texts(data: dict[str, Any], name: str) -> list[str]:
    values = data.get(name) or []
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def _terms(names: Sequence[str], vocabulary: Vocabulary) -> TermList:
    """The terms to favour: the first that the model can write, as long as there is room.

    Home Assistant sends the names of all devices, in any script. They are hints.
    """
    plain = normalizer("plain")
    terms: dict[str, float] = {}
    room = MOST_TERM_CHARACTERS
    for name in names:
        term = plain(name)
        if term and len(term) <= room and not vocabulary.unknown(term) and term not in terms:
            terms[term] = 1.0
            room -= len(term)
    return tuple(sorted(terms.items()))


def _info(models: Iterable[ServedModel]) -> Info:
    own_version = version("sorigeul")
    return Info(
        asr=[
            AsrProgram(
                name="sorigeul",
                attribution=_ATTRIBUTION,
                installed=True,
                description="Korean speech recognition with Listen, Attend and Spell",
                version=own_version,
                models=[
                    AsrModel(
                        name=model.name,
                        attribution=_ATTRIBUTION,
                        installed=True,
                        description=f"the model {model.name}",
                        version=own_version,
                        languages=["ko"],
                    )
                    for model in models
                ],
                supports_transcript_streaming=True,
                requires_external_vad=True,
                prefers_auto_gain_enabled=False,
                prefers_noise_reduction_enabled=False,
            )
        ]
    )
