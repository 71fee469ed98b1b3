"""Tests of the batch queue: whose turn it is, what shares a batch, and leaving."""

import errno
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from helpers.processes import wait_until

from sorigeul.serving.batch_queue import BatchQueue, CancelledError, QueueClient, TermList
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.segments import SpeechSegment


def speech(seconds: float, number: int = 0) -> SpeechSegment:
    samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    return SpeechSegment(samples, number, number + len(samples))


@dataclass
class Model:
    """Notes its batches; each begins only when it is let through, once it is held."""

    batches: list[list[SpeechSegment]] = field(default_factory=list)
    terms: list[TermList] = field(default_factory=list)
    gate: threading.Semaphore | None = None
    waiting: list[tuple[int, float]] = field(default_factory=list)
    failing: bool = False
    lost: int = 0
    disk_is_full: bool = False

    def __call__(self, batch: Sequence[SpeechSegment], terms: TermList) -> list[object]:
        self.batches.append(list(batch))
        self.terms.append(terms)
        if self.gate is not None:
            assert self.gate.acquire(timeout=60)
        if self.failing:
            raise RuntimeError("out of memory")
        return [(segment.start, terms) for segment in batch][self.lost :]

    def batch(self, waits: Sequence[float], audio_seconds: float, seconds: float) -> None:
        self._fail_if_full()
        assert min(waits) >= 0
        assert seconds >= 0
        assert audio_seconds > 0

    def note(self, segments: int, seconds: float) -> None:
        self._fail_if_full()
        self.waiting.append((segments, round(seconds, 3)))

    def _fail_if_full(self) -> None:
        if self.disk_is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Observer:
    def __init__(self, model: Model) -> None:
        self.waiting, self.batch = model.note, model.batch


@pytest.fixture
def model() -> Model:
    return Model(gate=threading.Semaphore(0))


@pytest.fixture
def queue(model: Model) -> BatchQueue:
    """A queue whose model waits for its gate, busy with a first segment of another client."""
    queue = BatchQueue(model, 10.0, Observer(model))  # type: ignore[arg-type]
    queue.client().submit([speech(0.5, -1)])
    assert wait_until(lambda: len(model.batches) == 1)
    return queue


def let_through(model: Model, *futures: object) -> None:
    assert model.gate is not None
    model.gate.release(1000)
    for future in futures:
        future.result(timeout=60)  # type: ignore[attr-defined]


def starts(batch: Sequence[SpeechSegment]) -> list[int]:
    return [segment.start for segment in batch]


def test_results_come_in_the_order_of_the_segments_whatever_shares_their_batches() -> None:
    queue = BatchQueue(Model(), 10.0, Observer(Model()))  # type: ignore[arg-type]
    lengths = np.random.default_rng(0).uniform(0.3, 6, (20, 7))
    futures = [
        queue.client().submit([speech(seconds, 1000 * row + n) for n, seconds in enumerate(line)])
        for row, line in enumerate(lengths)
    ]
    for row, future in enumerate(futures):
        assert future.result(timeout=60) == [(1000 * row + n, ()) for n in range(7)]
    queue.stop()


def test_a_batch_is_filled_with_segments_of_all_while_another_is_computed(
    model: Model, queue: BatchQueue
) -> None:
    futures = [queue.client().submit([speech(1.0, number)]) for number in range(5)]
    let_through(model, *futures)
    assert sorted(starts(model.batches[1])) == [0, 1, 2, 3, 4]


def test_batches_are_computed_side_by_side(model: Model) -> None:
    """The second one does not wait for the first, and each segment is in one of them only."""
    queue = BatchQueue(model, 2.0, Observer(model), threads=2)  # type: ignore[arg-type]
    futures = [queue.client().submit([speech(1.0, number)]) for number in range(20)]
    assert wait_until(lambda: len(model.batches) == 2)
    let_through(model, *futures)
    assert sorted(number for batch in model.batches for number in starts(batch)) == list(range(20))
    assert [future.result() for future in futures] == [[(number, ())] for number in range(20)]
    queue.stop()


def test_a_batch_is_not_larger_than_allowed_with_its_padding(
    model: Model, queue: BatchQueue
) -> None:
    seconds = np.random.default_rng(1).uniform(0.2, 5, 60)
    futures = [queue.client().submit([speech(length)]) for length in seconds]
    let_through(model, *futures)
    assert sum(map(len, model.batches)) == 61
    for batch in model.batches:
        lengths = [len(segment.samples) / SAMPLE_RATE for segment in batch]
        assert max(lengths) * len(lengths) <= 10.0


def test_a_segment_longer_than_a_batch_is_computed_alone(model: Model, queue: BatchQueue) -> None:
    future = queue.client().submit([speech(25.0, 7)])
    let_through(model, future)
    assert starts(model.batches[1]) == [7]


def test_those_of_similar_length_share_a_batch(model: Model, queue: BatchQueue) -> None:
    short = [queue.client().submit([speech(1.0, number)]) for number in (0, 2, 4)]
    long = [queue.client().submit([speech(4.5, number)]) for number in (1, 3)]
    let_through(model, *short, *long)
    assert [sorted(starts(batch)) for batch in model.batches[1:]] == [[0, 2, 4], [1, 3]]


def test_a_long_recording_does_not_keep_others_waiting(model: Model, queue: BatchQueue) -> None:
    long = queue.client().submit([speech(5.0, number) for number in range(100)])
    short = queue.client().submit([speech(5.0, 1000)])
    let_through(model, long, short)
    assert starts(model.batches[1]) == [0, 1000]


def test_clients_take_turns(model: Model, queue: BatchQueue) -> None:
    """Nobody waits for more than one batch of each of the others."""
    clients = 6
    futures = [
        queue.client().submit([speech(10.0, 100 * client + number) for number in range(5)])
        for client in range(clients)
    ]
    let_through(model, *futures)
    order = [start // 100 for batch in model.batches[1:] for start in starts(batch)]
    assert order == [*range(clients)] * 5


def test_a_lone_client_fills_its_batches(model: Model, queue: BatchQueue) -> None:
    future = queue.client().submit([speech(2.0, number) for number in range(10)])
    let_through(model, future)
    assert [starts(batch) for batch in model.batches[1:]] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_segments_with_other_terms_are_not_mixed(model: Model, queue: BatchQueue) -> None:
    lists: list[TermList] = [(), (("가", 1.0),), (("나", 1.0),)]
    futures = [queue.client(lists[number % 3]).submit([speech(1.0, number)]) for number in range(9)]
    let_through(model, *futures)
    for batch, terms in zip(model.batches[1:], model.terms[1:], strict=True):
        assert {lists[start % 3] for start in starts(batch)} == {terms}
    assert len(model.batches) == 4


def test_what_a_client_waits_for_is_dropped_when_it_leaves(model: Model, queue: BatchQueue) -> None:
    leaving, staying = queue.client(), queue.client()
    dropped = leaving.submit([speech(5.0, number) for number in range(10)])
    kept = staying.submit([speech(5.0, 1000)])
    leaving.close()
    leaving.close()
    let_through(model, kept)
    with pytest.raises(CancelledError):
        dropped.result(timeout=60)
    assert [starts(batch) for batch in model.batches] == [[-1], [1000]]
    assert model.waiting[-1] == (0, 0.0)


def test_who_has_left_is_told_so(queue: BatchQueue, model: Model) -> None:
    client = queue.client()
    client.close()
    with pytest.raises(CancelledError):
        client.recognize([speech(1.0)])
    let_through(model)


def test_leaving_while_a_batch_is_computed_loses_nothing_of_the_others(
    model: Model, queue: BatchQueue
) -> None:
    leaving, staying = queue.client(), queue.client()
    first, second = leaving.submit([speech(1.0, 1)]), staying.submit([speech(1.0, 2)])
    assert model.gate is not None
    model.gate.release()
    assert wait_until(lambda: len(model.batches) == 2)
    leaving.close()
    let_through(model, second)
    assert second.result() == [(2, ())]
    assert first.done()


def test_a_fault_reaches_those_who_wait_and_nobody_else(model: Model, queue: BatchQueue) -> None:
    model.failing = True
    futures = [queue.client().submit([speech(1.0)]) for _ in range(3)]
    assert model.gate is not None
    model.gate.release(2)
    for future in futures:
        with pytest.raises(RuntimeError, match="out of memory"):
            future.result(timeout=60)
    model.failing = False
    model.gate.release()
    assert queue.client().recognize([speech(1.0, 5)]) == [(5, ())]


def test_a_wrong_number_of_results_is_a_fault_too(model: Model, queue: BatchQueue) -> None:
    model.lost = 1
    future = queue.client().submit([speech(1.0, number) for number in range(3)])
    assert model.gate is not None
    model.gate.release(2)
    with pytest.raises(ValueError, match="shorter"):
        future.result(timeout=60)
    model.lost = 0
    model.gate.release()
    assert queue.client().recognize([speech(1.0, 5)]) == [(5, ())]


def test_who_is_told_in_vain_stops_nobody(
    model: Model, queue: BatchQueue, capfd: pytest.CaptureFixture[str]
) -> None:
    """As if the files of Prometheus lay on a full disk: all is recognised, and one line says so."""
    model.disk_is_full = True
    for number in range(3):
        future = queue.client().submit([speech(1.0, number)])
        assert model.gate is not None
        model.gate.release(2 if number == 0 else 1)
        assert future.result(timeout=60) == [(number, ())]
    assert capfd.readouterr().err.count("No space left on device") == 1
    model.disk_is_full = False
    model.gate.release()
    assert queue.client().recognize([speech(1.0, 5)]) == [(5, ())]
    assert model.waiting[-1] == (0, 0.0)


def test_nothing_waits_where_nothing_waits(model: Model, queue: BatchQueue) -> None:
    client = queue.client()
    answer = client.submit([speech(seconds, 0) for seconds in (0.1, 0.2, 0.3)])
    client.close()
    let_through(model, queue.client().submit([speech(0.7, 1)]))
    with pytest.raises(CancelledError):
        answer.result(timeout=60)
    assert queue.waiting_seconds == 0


def test_who_gives_up_waiting_does_not_disturb_the_model(model: Model, queue: BatchQueue) -> None:
    given_up = queue.client().submit([speech(1.0, 1)])
    assert given_up.cancel()
    let_through(model)
    assert queue.client().recognize([speech(1.0, 5)]) == [(5, ())]


def test_it_says_how_much_waits(model: Model, queue: BatchQueue) -> None:
    futures = [queue.client().submit([speech(1.5), speech(0.5)]) for _ in range(3)]
    assert model.waiting[-1] == (6, 6.0)
    assert queue.waiting_seconds == pytest.approx(6.0)
    let_through(model, *futures)
    assert model.waiting[-1] == (0, 0.0)


def test_nothing_is_computed_after_it_was_stopped(model: Model, queue: BatchQueue) -> None:
    client, idle = queue.client(), queue.client()
    future = client.submit([speech(1.0)])
    queue.stop()
    with pytest.raises(CancelledError):
        future.result(timeout=60)
    assert client.closed
    assert idle.closed
    assert queue.client().closed
    let_through(model)


def test_no_segments_are_nothing_to_wait_for(queue: BatchQueue, model: Model) -> None:
    client: QueueClient = queue.client()
    assert client.recognize([]) == []
    let_through(model)
