"""Batch queue: segments of speech of all requests, recognised together by one model.

A batch fills while the one before is computed, so nobody waits for a timer. Knows nothing of HTTP.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakSet

from sorigeul.base.thread_pool import prepare_thread, threads_of_a_batch
from sorigeul.recognition.overlaps import RecognizedSegment
from sorigeul.serving.json_log import log_error
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.segments import SpeechSegment

TermList = tuple[tuple[str, float], ...]
"""terms to favour, each with its weight"""

Compute = Callable[[Sequence[SpeechSegment], TermList], list[RecognizedSegment]]
"""recognises a batch of segments, all with the same terms"""

_MEMORY = 0.95  # of the measured speed, for each batch
_FIRST_GUESS = 10.0  # seconds of audio recognised in a second, before any was measured


class CancelledError(Exception):
    """The client has left: what it asked for is not computed."""


class QueueObserver(Protocol):
    """What the queue reports to. A fault of it is logged, and stops nobody."""

    def waiting(self, segments: int, seconds: float) -> None:
        """How many segments wait, and how many seconds of audio they are."""

    def batch(self, waits: Sequence[float], audio_seconds: float, seconds: float) -> None:
        """A batch was computed: how long each segment had waited, and how long it took."""


@dataclass(eq=False)
class _Submission:
    """Segments that were handed in together.

    Whoever waits may have given up meanwhile, in another thread; then there is nothing to tell.
    """

    future: "Future[list[RecognizedSegment]]"
    results: list[RecognizedSegment | None]

    def done(self, position: int, result: RecognizedSegment) -> None:
        self.results[position] = result
        complete = [result for result in self.results if result is not None]
        if len(complete) == len(self.results):
            with suppress(InvalidStateError):
                self.future.set_result(complete)

    def failed(self, error: Exception) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A segment that waits."""

    speech: SpeechSegment
    submission: _Submission
    position: int
    since: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return len(self.speech.samples) / SAMPLE_RATE


class QueueClient:
    """One client of the queue, such as a request. Its segments are taken in their order."""

    def __init__(self, queue: "BatchQueue", terms: TermList) -> None:
        self.terms = terms
        self.closed = False
        self._queue = queue
        self._waiting: deque[_Waiting] = deque()

    def submit(self, segments: Sequence[SpeechSegment]) -> "Future[list[RecognizedSegment]]":
        """Put segments into the queue; the future has what was recognised, in their order.

        In a coroutine: ``await asyncio.wrap_future(client.submit(segments))``. The future raises
        `CancelledError` once the client is closed.
        """
        return self._queue._submit(self, segments)

    def recognize(self, segments: Sequence[SpeechSegment]) -> list[RecognizedSegment]:
        """As `submit`, and wait for the result: for a thread."""
        return self.submit(segments).result()

    def close(self) -> None:
        """Leave: what still waits is dropped. It may be called twice, and by any thread."""
        self._queue._drop(self)


class BatchQueue:
    """The queue of one model, with the threads that compute batches side by side."""

    def __init__(
        self,
        compute: Compute,
        batch_seconds: float,
        observer: QueueObserver,
        name: str = "model",
        threads: int = 1,
    ) -> None:
        """Start the threads. A batch has at most `batch_seconds` of audio, padding included."""
        self._compute, self._batch_seconds = compute, batch_seconds
        self._observer = observer
        self._changed = threading.Condition()
        self._turns: deque[QueueClient] = deque()  # those with waiting segments, the next one first
        self._clients: WeakSet[QueueClient] = WeakSet()
        self._segments, self._seconds = 0, 0.0  # that wait
        self._stopping = False
        self._unreported = False  # whether the last report has failed
        self._audio = self._busy = 0.0  # seconds, of late
        self.threads = threads
        own = threads_of_a_batch()
        for _ in range(threads):
            threading.Thread(
                target=self._run, args=(own,), name=f"batches of {name}", daemon=True
            ).start()

    def client(self, terms: TermList = ()) -> QueueClient:
        """A new client, whose segments are recognised with `terms`."""
        client = QueueClient(self, terms)
        with self._changed:
            client.closed = self._stopping
            self._clients.add(client)
        return client

    @property
    def waiting_seconds(self) -> float:
        """Seconds of audio that wait."""
        return self._seconds

    @property
    def speed(self) -> float:
        """Seconds of audio that all threads recognise in a second, as measured of late."""
        return self.threads * self._audio / self._busy if self._busy else _FIRST_GUESS

    def stop(self) -> None:
        """Close all clients. Each thread ends after the batch that it computes."""
        with self._changed:
            self._stopping = True
            clients = list(self._clients)
            self._changed.notify_all()
        for client in clients:
            client.close()

    def _submit(
        self, client: QueueClient, segments: Sequence[SpeechSegment]
    ) -> "Future[list[RecognizedSegment]]":
        submission = _Submission(Future(), [None] * len(segments))
        with self._changed:
            if client.closed or self._stopping:
                submission.failed(CancelledError())
            elif not segments:
                submission.future.set_result([])
            else:
                if not client._waiting:
                    self._turns.append(client)
                added = [
                    _Waiting(speech, submission, position)
                    for position, speech in enumerate(segments)
                ]
                client._waiting.extend(added)
                self._count(added, +1)
                self._changed.notify()
        return submission.future

    def _drop(self, client: QueueClient) -> None:
        with self._changed:
            client.closed = True
            dropped = {waiting.submission for waiting in client._waiting}
            if client._waiting:
                self._turns.remove(client)
                self._count(client._waiting, -1)
                client._waiting.clear()
        for submission in dropped:
            submission.failed(CancelledError())

    def _run(self, threads: int) -> None:
        prepare_thread(threads)
        while True:
            with self._changed:
                while not self._turns and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                terms = self._turns[0].terms
                batch = self._next_batch()
                self._count(batch, -1)
            self._work(batch, terms)

    def _work(self, batch: Sequence[_Waiting], terms: TermList) -> None:
        begin = time.monotonic()
        try:
            results = self._compute([waiting.speech for waiting in batch], terms)
            seconds = time.monotonic() - begin
            for waiting, result in zip(batch, results, strict=True):
                waiting.submission.done(waiting.position, result)
        except Exception as error:  # noqa: BLE001  (who waits for it raises it)
            for waiting in batch:
                waiting.submission.failed(error)
            return
        audio_seconds = sum(waiting.seconds for waiting in batch)
        with self._changed:
            self._audio = _MEMORY * self._audio + audio_seconds
            self._busy = _MEMORY * self._busy + seconds
        waits = [begin - waiting.since for waiting in batch]
        self._report(lambda: self._observer.batch(waits, audio_seconds, seconds))

    def _next_batch(self) -> list[_Waiting]:
        """Take the segments of the next batch from the queue.

        The client whose turn it is gives its next segment, then every other with the same terms
        one, those of similar length first; then all of them another, as long as there is room.
        Whoever has given something goes to the end of the row.
        """
        first = self._turns[0]
        batch = [first._waiting.popleft()]
        gave = {first}
        longest = batch[0].seconds
        for client in self._givers(first, longest):
            longest = max(longest, client._waiting[0].seconds)
            if longest * (len(batch) + 1) > self._batch_seconds:
                break
            batch.append(client._waiting.popleft())
            gave.add(client)
        stay = [client for client in self._turns if client not in gave]
        again = [client for client in self._turns if client in gave and client._waiting]
        self._turns = deque(stay + again)
        return batch

    def _givers(self, first: QueueClient, seconds: float) -> Iterator[QueueClient]:
        """Who may give the next segments of a batch that began with one of so many seconds."""
        givers = [client for client in self._turns if client.terms == first.terms]
        row = givers[1:]
        while row or first._waiting:
            yield from sorted(row, key=lambda client: abs(client._waiting[0].seconds - seconds))
            row = [client for client in givers if client._waiting]

    def _count(self, changed: Iterable[_Waiting], sign: int) -> None:
        """Note that segments have come (+1) or gone (-1)."""
        for waiting in changed:
            self._segments += sign
            self._seconds += sign * waiting.seconds
        if not self._segments:
            self._seconds = 0.0  # rounding leaves a little
        segments, seconds = self._segments, self._seconds
        self._report(lambda: self._observer.waiting(segments, seconds))

    def _report(self, report: Callable[[], None]) -> None:
        """Tell the observer. A fault there, such as a full disk, must not stop the queue.

        It is logged once, until a report succeeds again.
        """
        try:
            report()
            self._unreported = False
        except Exception as error:  # noqa: BLE001  (whatever it is, recordings matter more)
            if not self._unreported:
                self._unreported = True
                with suppress(Exception):  # standard error may be on the same disk
                    log_error(error)
