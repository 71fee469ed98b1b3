"""Listening to a running sound: a microphone, or a recording that stands in for it.

The sound is heard to its end or until somebody stops it, and may be kept beside its transcript.
"""

import logging
import os
import wave
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.thread_pool import BatchThreads
from sorigeul.recognition.live import FinalSegment, LiveEvent, LiveTranscription
from sorigeul.recognition.overlaps import RecognizedSegment
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.transcription import Segment, Transcription
from sorigeul.recognition.writers import write
from sorigeul.recognition.written_text import written_event
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.microphone import LiveSound
from sorigeul.sound.segments import SpeechSegment

log = logging.getLogger(__name__)

_HEADER_BYTES = 44  # of a wav


@dataclass(frozen=True)
class Heard:
    """What was heard."""

    transcription: Transcription
    fault: UserError | None
    """why that may not be all: the recording turned out to be damaged, or could not be kept"""


def listen(
    live: LiveTranscription,
    sound: LiveSound,
    show: Callable[[LiveEvent], None],
    stop_requested: Callable[[], bool],
    kept: "KeptRecording | None" = None,
    written: bool = False,
) -> Heard:
    """Hear a sound to its end, or until a stop is requested; show what happens, and keep it.

    `written` is whether numbers, units and letters are written in digits and signs.
    """
    segments: list[Segment] = []

    def follow(events: Iterator[LiveEvent]) -> None:
        for event in map(written_event, events) if written else events:
            show(event)
            if isinstance(event, FinalSegment):
                segments.append(event.segment)

    fault: UserError | None = None
    try:
        for samples in sound.blocks:
            if kept is not None:
                kept.record(samples)
            follow(live.feed(samples))
            if stop_requested():
                break
    except UserError as error:  # what was heard before it is not lost
        fault = error
    follow(live.finish())
    if fault is None and kept is not None:
        fault = kept.fault
    steps = (*sound.account(), *live.account(), *(() if fault is None else (str(fault),)))
    transcription = Transcription.from_segments(segments, live.seconds, steps)
    if kept is not None:
        kept.write(transcription)
    return Heard(transcription, fault)


class SharedRecognizer:
    """A recogniser in a thread of its own: the sound is heard while it looks at a sentence."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._thread = BatchThreads(1, in_background=True)

    def __enter__(self) -> "SharedRecognizer":
        self._thread.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.__exit__()

    def recognize(self, segments: Sequence[SpeechSegment]) -> list[RecognizedSegment]:
        """Recognise segments, and wait for it."""
        return self._thread.submit(self._recognizer.recognize, segments).result()

    def look(self, speech: SpeechSegment) -> Future[list[RecognizedSegment]]:
        """Begin to recognise a segment."""
        return self._thread.submit(self._recognizer.recognize, [speech])


class KeptRecording:
    """A recording that is kept with its transcript. At any time the file is whole.

    If the disk gets full, the file ends there, and `fault` says so.
    """

    def __init__(self, folder: Path) -> None:
        """Begin the recording. It never replaces another one."""
        folder.mkdir(parents=True, exist_ok=True)
        self._name = folder / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
        self._file = self._path("wav").open("xb")
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115  (closed at the end)
        self._wave.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        self.fault: UserError | None = None

    def __enter__(self) -> "KeptRecording":
        return self

    def __exit__(self, *_: object) -> None:
        with nullcontext() if self.fault is None else suppress(ValueError):  # closed already
            self._wave.close()
            self._file.close()

    def record(self, samples: Samples) -> None:
        """Add samples (n,) at 16 kHz as 16 bits. The header is made to agree each time."""
        if self.fault is not None:
            return
        steps = (samples * 32768).round().clip(-32768, 32767)
        frames = self._wave.tell()
        try:
            self._wave.writeframes(steps.astype("<i2").tobytes())
        except OSError as error:
            path = self._path("wav")
            self._file.raw.close()  # what could not be written is not tried again
            os.truncate(path, frames and _HEADER_BYTES + 2 * frames)
            self.fault = UserError(
                f"{path}: cannot be written ({error.strerror}), so it ends after "
                f"{frames / SAMPLE_RATE:.1f} s; the text goes on: make room"
            )
            log.warning("%s", self.fault)

    def write(self, transcription: Transcription) -> None:
        """Write the transcript beside it."""
        for format in ("txt", "json"):
            write_text(self._path(format), write(format, transcription))

    def __str__(self) -> str:
        return str(self._path("wav, .txt and .json"))

    def _path(self, suffix: str) -> Path:
        return self._name.parent / f"{self._name.name}.{suffix}"
