"""The process pool: order of the results, failures, and processes that are left over."""

import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from multiprocessing.synchronize import Event

import pytest

from sorigeul.base.errors import UserError
from sorigeul.base.process_pool import CHUNKS_PER_PROCESS, map_in_order, with_progress

HANG_SECONDS = 120.0  # no test waits this long unless something hangs


def square(number: int) -> int:
    return number**2


def square_after(event: Event, number: int) -> int:
    """Compute 0 only once 10, which is in the next chunk, has been computed."""
    if number == 0:
        assert event.wait(HANG_SECONDS), "the second chunk has not been started"
    if number == 10:
        event.set()
    return number**2


def fail_on_some(number: int) -> int:
    """Kill the process at 307, raise at 500."""
    if number == 307:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 500:
        raise UserError("500 is too much")
    return number


def fail_by_the_machine(number: int) -> int:
    """Raise what a full memory and a failing disk raise."""
    if number == 5:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    if number == 25:
        raise MemoryError
    return number


def process_id(_: int) -> int:
    return os.getpid()


def item_name(number: int) -> str:
    return f"number {number}"


@pytest.mark.parametrize("jobs", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 1000])
def test_every_item_comes_once_and_in_order(jobs: int, count: int) -> None:
    results = list(map_in_order(square, range(count), jobs, 10, item_name))
    assert results == [(number, number**2) for number in range(count)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_the_machine_fails_at_names_the_item(jobs: int) -> None:
    with pytest.raises(UserError, match=r"^number 5: Input/output error: check the disk"):
        list(map_in_order(fail_by_the_machine, range(20), jobs, 10, item_name))
    with pytest.raises(UserError, match=r"^number 25: the memory ran out"):
        list(map_in_order(fail_by_the_machine, range(6, 40), jobs, 10, item_name))


def test_results_keep_their_order_if_a_later_chunk_is_done_first() -> None:
    work: Callable[[int], int] = partial(square_after, multiprocessing.Event())
    results = list(map_in_order(work, range(100), 2, 10, item_name))
    assert results == [(number, number**2) for number in range(100)]


def test_many_items_go_to_other_processes_and_few_do_not() -> None:
    pids = {pid for _, pid in map_in_order(process_id, range(1000), 2, 10, item_name)}
    assert len(pids) == 2
    assert os.getpid() not in pids
    for count, jobs in ((19, 2), (1000, 1)):
        pids = {pid for _, pid in map_in_order(process_id, range(count), jobs, 10, item_name)}
        assert pids == {os.getpid()}


def test_there_are_no_more_processes_than_chunks() -> None:
    before = len(children())
    results = map_in_order(square, range(30), 500, 10, item_name)
    next(results)
    assert len(children()) - before <= 3
    results.close()


def test_items_are_read_only_a_few_chunks_ahead() -> None:
    """A corpus is never in memory as a whole."""
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        for number in range(2000):
            read += 1
            yield number

    furthest = 0
    for number, _ in map_in_order(square, items(), 2, 10, item_name):
        furthest = max(furthest, read - number)
    assert furthest <= 2 * CHUNKS_PER_PROCESS * 10


def test_a_process_that_dies_is_an_error_that_names_its_item() -> None:
    results = map_in_order(fail_on_some, range(400), 2, 10, item_name)
    received = []
    with pytest.raises(UserError, match=r"^number 307: the process .* died \(SIGKILL\).* --jobs"):
        received.extend(results)
    assert [result for _, result in received] == list(range(len(received)))
    assert not children()


def test_an_exception_of_the_work_is_raised_here() -> None:
    with pytest.raises(UserError, match=r"^500 is too much$"):
        list(map_in_order(fail_on_some, range(400, 600), 2, 10, item_name))
    assert not children()


def test_an_exception_of_the_items_is_raised_here() -> None:
    def items() -> Iterator[int]:
        yield from range(100)
        raise UserError("the list ends in nonsense")

    with pytest.raises(UserError, match="nonsense"):
        list(map_in_order(square, items(), 2, 10, item_name))
    assert not children()


def test_closing_the_generator_ends_the_processes() -> None:
    results = map_in_order(square, range(10_000), 3, 10, item_name)
    next(results)
    assert len(children()) >= 3
    results.close()
    assert not children()


def test_processes_end_when_their_parent_is_killed() -> None:
    reader, writer = os.pipe()
    parent = os.fork()
    if not parent:
        try:
            results = map_in_order(square, range(10_000), 3, 10, item_name)
            next(results)
            os.write(writer, " ".join(map(str, children())).encode())
            signal.pause()  # until it is killed
        finally:
            os._exit(1)  # a failure must not run the rest of the tests in this copy
    os.close(writer)
    workers = [int(pid) for pid in os.read(reader, 1000).split()]
    os.close(reader)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert len(workers) == 3
    deadline = time.monotonic() + HANG_SECONDS
    while any(map(is_alive, workers)):
        assert time.monotonic() < deadline, "the workers are still alive"
        time.sleep(0.01)


def children() -> list[int]:
    """Ids of the child processes of this process."""
    return [process.pid or 0 for process in multiprocessing.active_children()]


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_progress_bar_counts_the_results_and_ends_with_them(
    jobs: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich treat it as a terminal
    monkeypatch.setenv("COLUMNS", "100")
    before = set(multiprocessing.active_children())
    squares = map_in_order(square, range(40), jobs, 5, item_name)
    shown = with_progress(squares, "squaring", 80, lambda _: 2)
    with closing(shown) as results:
        assert list(results) == [(number, number**2) for number in range(40)]
    assert "80/80" in capsys.readouterr().err.replace(" ", "")
    stopped = with_progress(map_in_order(square, range(40), jobs, 5, item_name), "squaring", 40)
    with closing(stopped) as results:
        assert next(results) == (0, 0)
    assert set(multiprocessing.active_children()) == before
