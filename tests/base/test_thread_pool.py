"""Batches side by side in threads: their order, how far ahead they are read, and errors."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sorigeul.base.thread_pool import BatchThreads, batches_at_a_time, threads_of_a_batch


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    with BatchThreads(count) as threads:
        assert list(threads.map(lambda item: 2 * item, range(50))) == list(range(0, 100, 2))


def test_batches_are_computed_at_the_same_time() -> None:
    """None of these ends before the others have begun."""
    together = threading.Barrier(3, timeout=60)
    with BatchThreads(3) as threads:
        list(threads.map(lambda _: together.wait(), range(3)))


@pytest.mark.parametrize("count", [1, 3])
def test_items_are_read_one_batch_ahead_only(count: int) -> None:
    """A corpus does not have to fit into memory."""
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        for item in range(1000):
            read += 1
            yield item

    with BatchThreads(count) as threads:
        for number, _ in enumerate(threads.map(lambda item: item, items()), 1):
            assert read <= number + (count if count > 1 else 0)
    assert read == 1000


@pytest.mark.parametrize("count", [1, 3])
def test_an_error_comes_in_the_place_of_the_result(count: int) -> None:
    seen: list[float] = []
    with BatchThreads(count) as threads:
        results = threads.map(lambda item: 1 / (item - 4), range(50))
        with pytest.raises(ZeroDivisionError):
            seen.extend(results)  # keeps those before the error
    assert len(seen) == 4


def test_one_at_a_time_is_computed_by_whoever_submits_it() -> None:
    with BatchThreads(1) as threads:
        future = threads.submit(lambda _: threading.current_thread(), None)
    assert future.result() is threading.current_thread()


@pytest.mark.usefixtures("three_threads")
def test_one_in_the_background_is_computed_by_a_thread_of_its_own() -> None:
    with BatchThreads(1, in_background=True) as threads:
        future = threads.submit(lambda _: (threading.current_thread(), torch.get_num_threads()), 0)
    thread, own = future.result()
    assert thread is not threading.current_thread()
    assert own == threads_of_a_batch()
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 3


@pytest.mark.usefixtures("three_threads")
def test_there_are_as_many_as_cores_and_each_has_its_share_of_them() -> None:
    def within(_: None) -> tuple[int, int, int]:
        return batches_at_a_time(), threads_of_a_batch(), torch.get_num_threads()

    assert batches_at_a_time() == 3
    with BatchThreads(batches_at_a_time()) as threads:
        assert threads.submit(within, None).result() == (1, 1, 1)  # no batches within batches
    assert torch.get_num_threads() == 3
    with ThreadPoolExecutor(1) as later:  # a thread of the user's
        assert later.submit(torch.get_num_threads).result() == 3


def test_on_a_gpu_there_is_one(three_threads: None) -> None:
    counts = [BatchThreads.on(device).count for device in ("cpu", torch.device("cpu"), "cuda:0")]
    assert counts == [3, 3, 1]


def test_there_are_not_more_than_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    assert batches_at_a_time() == 4
    assert threads_of_a_batch() == 4
