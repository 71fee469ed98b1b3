"""Work shared among processes: its order, its failures, and what is left of the processes."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from sorigeul.base.errors import UserError
from sorigeul.base.process_pool import cores, in_order


def square(number: int) -> int:
    if number % 97 == 0:
        time.sleep(0.005)  # so that others overtake it
    return number**2


def fall(number: int) -> int:
    """Dies of 307, refuses 500."""
    if number == 307:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 500:
        raise UserError("500 is too much")
    return number


def patient(number: int) -> int:
    """Takes its time for the first one, which all others wait for."""
    if number == 0:
        time.sleep(0.3)
    return number


def where(_: int) -> int:
    return os.getpid()


def called(number: int) -> str:
    return f"number {number}"


@pytest.mark.parametrize("jobs", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 1000])
def test_every_item_once_and_in_order(jobs: int, count: int) -> None:
    found = list(in_order(square, range(count), jobs, 10, called))
    assert found == [(number, number**2) for number in range(count)]


def test_many_items_go_to_other_processes_and_few_do_not() -> None:
    at_work = {pid for _, pid in in_order(where, range(1000), 2, 10, called)}
    assert len(at_work) == 2
    assert os.getpid() not in at_work
    assert {pid for _, pid in in_order(where, range(19), 2, 10, called)} == {os.getpid()}
    assert {pid for _, pid in in_order(where, range(1000), 1, 10, called)} == {os.getpid()}


def test_items_are_drawn_as_they_are_needed() -> None:
    """A corpus is never in memory as a whole."""
    drawn = []

    def items() -> Iterator[int]:
        for number in range(100_000):
            drawn.append(number)
            yield number

    found = in_order(patient, items(), 2, 10, called)
    next(found)
    assert len(drawn) < 500
    found.close()


def test_a_process_that_dies_is_an_error_that_names_what_it_was_at() -> None:
    found = in_order(fall, range(400), 2, 10, called)
    done = []
    with pytest.raises(UserError, match=r"^number 307: the process .* died \(SIGKILL\).* --jobs"):
        done.extend(found)
    assert [result for _, result in done] == list(range(len(done)))
    assert gone()


def test_what_an_item_raises_arrives_here() -> None:
    with pytest.raises(UserError, match=r"^500 is too much$"):
        list(in_order(fall, range(400, 600), 2, 10, called))
    assert gone()


def test_what_the_items_raise_arrives_here() -> None:
    def items() -> Iterator[int]:
        yield from range(100)
        raise UserError("the list ends in nonsense")

    with pytest.raises(UserError, match="nonsense"):
        list(in_order(square, items(), 2, 10, called))
    assert gone()


def test_closing_ends_the_processes() -> None:
    found = in_order(square, range(10_000), 3, 10, called)
    next(found)
    assert len(children()) >= 3
    found.close()
    assert gone()


def test_processes_end_with_the_one_that_began_them() -> None:
    """Even if it is killed on the spot."""
    reader, writer = os.pipe()
    if not (parent := os.fork()):
        found = in_order(square, range(10_000), 3, 10, called)
        next(found)
        os.write(writer, " ".join(map(str, children())).encode())
        time.sleep(60)
    workers = [int(pid) for pid in os.read(reader, 1000).split()]
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert len(workers) == 3
    deadline = time.monotonic() + 10
    while any(map(alive, workers)):
        assert time.monotonic() < deadline, "they live on"
        time.sleep(0.01)


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


def children() -> list[int]:
    """Of this process."""
    return [process.pid or 0 for process in multiprocessing.active_children()]


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def gone() -> bool:
    return not children()
