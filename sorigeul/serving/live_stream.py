"""A running stream that is recognised through the batch queue of a model."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from sorigeul.recognition.live import LiveEvent, LiveTranscription
from sorigeul.recognition.overlaps import RecognizedSegment
from sorigeul.recognition.written_text import written_event
from sorigeul.serving.batch_queue import CancelledError, TermList
from sorigeul.serving.models import ServedModel
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.segments import SegmentLimits, SpeechSegment

_LONGEST_WAIT = 0.3  # seconds in the queue; provisional text would be stale, and delay others


class LiveStream:
    """One stream. Its methods but `close` are for one thread, which waits for the queue.

    Provisional text is asked for only while the queue is short.
    """

    def __init__(
        self,
        model: ServedModel,
        limits: SegmentLimits,
        terms: TermList = (),
        provisional: bool = False,
    ) -> None:
        self._queue, self._terms, self._written = model.queue, terms, model.written
        self._finals, self._looks = model.queue.client(terms), model.queue.client(terms)
        self.closed = False
        self._transcription = LiveTranscription(
            self._recognize,
            model.recognizer.pretrained.vocabulary,
            limits,
            self._look if provisional else None,
        )

    @property
    def seconds(self) -> float:
        """Length of what was heard so far."""
        return self._transcription.seconds

    def feed(self, samples: Samples) -> Iterator[LiveEvent]:
        """The next samples (n,) at 16 kHz -> what happened; see `LiveTranscription`.

        Raises `CancelledError` once the stream is closed.
        """
        for start in range(0, max(len(samples), 1), SAMPLE_RATE):
            if self.closed:
                raise CancelledError
            yield from self._told(self._transcription.feed(samples[start : start + SAMPLE_RATE]))

    def finish(self) -> Iterator[LiveEvent]:
        """What the end of the stream settles. Raises `CancelledError` once it is closed."""
        yield from self._told(self._transcription.finish())

    def close(self) -> None:
        """Leave the queue: what waits is dropped. It may be called twice, and by any thread."""
        self.closed = True
        self._finals.close()
        self._looks.close()

    def _told(self, events: Iterator[LiveEvent]) -> Iterator[LiveEvent]:
        """The events as clients are told: a text is final, or it is replaced as a whole."""
        return map(written_event, events) if self._written else events

    def _recognize(self, segments: Sequence[SpeechSegment]) -> list[RecognizedSegment]:
        self._looks.close()  # the segment that it looks at has ended
        return self._finals.recognize(segments)

    def _look(self, speech: SpeechSegment) -> "Future[list[RecognizedSegment]] | None":
        if self.closed or self._queue.waiting_seconds > _LONGEST_WAIT * self._queue.speed:
            return None
        self._looks = self._queue.client(self._terms)
        return self._looks.submit([speech])
