"""One uploaded recording, transcribed in a thread of its own through the batch queue.

A long recording goes into the queue piece by piece. When the client leaves, what still waits is
dropped and the thread ends.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sorigeul.recognition.streaming import TranscriptionStream
from sorigeul.recognition.transcription import Segment, Transcription
from sorigeul.recognition.written_text import written_segment, written_transcription
from sorigeul.serving.api_errors import ApiError
from sorigeul.serving.batch_queue import CancelledError, QueueClient, TermList
from sorigeul.serving.models import ServedModel
from sorigeul.serving.voice_detection import VoiceDetection
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, AudioStream, Samples, open_stream

_NAME = "the recording"  # in messages: a client's file names are not used
_PEAK_SAMPLES = SAMPLE_RATE // 20
_MOST_PEAKS = 4000


@dataclass(frozen=True)
class HearingOptions:
    """How a recording is heard."""

    max_seconds: float
    """longest recording in seconds"""
    terms: TermList = ()
    detection: VoiceDetection | None = None
    """when speech begins and ends; None: as the model has it"""


class UploadTranscription:
    """A recording that is transcribed while its segments are taken."""

    def __init__(self, recording: bytes, model: ServedModel, options: HearingOptions) -> None:
        self._recording, self._model, self._options = recording, model, options
        self._client = model.queue.client(options.terms)
        self._audio: _LimitedAudio | None = None
        self._transcription: Transcription | None = None
        self._events: asyncio.Queue[Segment | Exception | None] = asyncio.Queue()

    async def segments(self) -> AsyncIterator[Segment]:
        """The segments, as they are recognised; to be iterated over once.

        Raises ApiError if the recording cannot be used, perhaps after some segments, and
        `CancelledError` after `cancel`.
        """
        loop = asyncio.get_running_loop()

        def send(event: Segment | Exception | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._events.put_nowait, event)

        thread = threading.Thread(target=self._work, args=(send,), name="recording", daemon=True)
        thread.start()
        try:
            while (event := await self._events.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Give up: the thread ends soon. It may be called twice."""
        self._client.close()
        self._events.put_nowait(CancelledError())

    @property
    def transcription(self) -> Transcription:
        """The whole, once the iteration has ended."""
        assert self._transcription is not None
        return self._transcription

    @property
    def peaks(self) -> list[float]:
        """The outline of the waveform: its absolute peaks in stretches of equal length, 0 to 1."""
        assert self._audio is not None
        return self._audio.peaks()

    def _work(self, send: Callable[[Segment | Exception | None], None]) -> None:
        """Decode and wait for what is recognised, in a thread."""
        recognizer, is_written = self._model.recognizer, self._model.written
        try:
            limits = recognizer.limits
            if self._options.detection is not None:
                limits = self._options.detection.limits(limits)
            with open_stream(self._recording, _NAME) as audio:
                self._audio = _LimitedAudio(audio, self._options.max_seconds, self._client)
                stream = TranscriptionStream(
                    self._audio,
                    self._client.submit,
                    recognizer.pretrained.vocabulary,
                    limits,
                    recognizer.batch_seconds,
                    self._model.queue.threads,
                )
                for segment in stream:
                    send(written_segment(segment) if is_written else segment)
                heard = stream.transcription()
                self._transcription = written_transcription(heard) if is_written else heard
            send(None)
        except (ApiError, CancelledError) as error:
            send(error)
        except AudioError as error:
            send(ApiError(400, str(error), "invalid_audio", "file"))
        except Exception as error:  # noqa: BLE001  (who takes the segments raises it)
            send(error)


class _LimitedAudio:
    """A recording that may not be too long, and is not decoded further once its client has left."""

    def __init__(self, audio: AudioStream, max_seconds: float, client: QueueClient) -> None:
        self.channels = audio.channels
        self._audio, self._max_seconds, self._client = audio, max_seconds, client
        self._peaks: list[Samples] = []
        self._rest = np.empty(0, np.float32)

    @property
    def account(self) -> tuple[str, ...]:
        return self._audio.account

    def __iter__(self) -> Iterator[Samples]:
        count = 0
        for block in self._audio:
            if self._client.closed:
                raise CancelledError
            count += block.shape[1]
            if count > self._max_seconds * SAMPLE_RATE:
                raise ApiError(
                    400,
                    f"the recording is longer than {self._max_seconds:g} s: cut it into parts",
                    "audio_too_long",
                    "file",
                )
            self._note_peaks(block[0])
            yield block

    def peaks(self) -> list[float]:
        """The largest absolute value of each stretch, at most `_MOST_PEAKS` of them."""
        last = [np.abs(self._rest).max(keepdims=True)] if len(self._rest) else []
        values = np.concatenate([*self._peaks, *last])
        size = -(-len(values) // _MOST_PEAKS)
        padded = np.pad(values, (0, -len(values) % size)) if len(values) else values
        rows = padded.reshape(-1, max(size, 1))
        return [round(float(value), 3) for value in np.minimum(rows.max(axis=1), 1.0)]

    def _note_peaks(self, samples: Samples) -> None:
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // _PEAK_SAMPLES * _PEAK_SAMPLES
        if whole:
            self._peaks.append(np.abs(samples[:whole]).reshape(-1, _PEAK_SAMPLES).max(axis=1))
        self._rest = samples[whole:]
