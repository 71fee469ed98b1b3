"""Work shared among processes, its results in order. Knows nothing of what the work is."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from sorigeul.base.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
_AHEAD = 8  # chunks a process, so that one slow item does not hold up the others at once


def cores() -> int:
    """Return how many cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # containers and Slurm allow fewer than all
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    jobs: int,
    chunk: int,
    name: Callable[[Item], str],
) -> Generator[tuple[Item, Result], None, None]:
    """Yield each item with ``work(item)``, worked out by ``jobs`` processes, ``chunk`` at a time.

    Two chunks or less are not worth the processes. What ``work`` raises is raised here, and a
    process that dies is a UserError with the ``name`` of the item it was at. The processes end with
    the generator, and with this process, however it ends.
    """
    items = iter(items)
    first = list(islice(items, 2 * chunk))
    if jobs == 1 or len(first) < 2 * chunk:
        for item in chain(first, items):
            yield item, work(item)
        return
    source = chain(first, items)
    chunks = iter(lambda: _Chunk[Item, Result](list(islice(source, chunk))), _Chunk([]))
    begun: deque[_Chunk[Item, Result]] = deque()
    workers = [_Worker(work) for _ in range(jobs)]
    try:
        while True:
            for worker in workers:
                if worker.chunk is None and len(begun) < jobs * _AHEAD:
                    if (following := next(chunks, None)) is None:
                        break
                    begun.append(following)
                    worker.begin(following)
            if begun and begun[0].results is not None:
                yield from zip(begun[0].items, begun[0].results, strict=True)
                begun.popleft()
                continue
            busy = {worker.pipe: worker for worker in workers if worker.chunk is not None}
            if not busy:
                return
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                busy[pipe].finish(name)
    finally:
        for worker in workers:
            worker.end()


@dataclass
class _Chunk(Generic[Item, Result]):
    items: list[Item]
    results: list[Result] | None = None
    """Once they are there."""


class _Worker(Generic[Item, Result]):
    """A process, and this side of the pipe to it."""

    def __init__(self, work: Callable[[Item], Result]) -> None:
        self.chunk: _Chunk[Item, Result] | None = None
        self.pipe, theirs = multiprocessing.Pipe()
        self._at = multiprocessing.RawValue("l")
        self._process = multiprocessing.Process(
            target=_serve, args=(work, theirs, self.pipe, self._at), daemon=True
        )
        self._process.start()
        theirs.close()

    def begin(self, chunk: _Chunk[Item, Result]) -> None:
        self.chunk, self._at.value = chunk, 0
        with suppress(BrokenPipeError):  # it is dead, which `finish` is about to notice
            self.pipe.send(chunk.items)

    def finish(self, name: Callable[[Item], str]) -> None:
        """Take what the process has sent; UserError if it is dead."""
        assert self.chunk is not None
        try:
            answer: list[Result] | Exception = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            at = name(self.chunk.items[self._at.value])
            raise UserError(
                f"{at}: the process that was at it died ({_cause(self._process.exitcode)}): if "
                "memory ran out give fewer --jobs, else move this recording away; then give the "
                "same command again"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        self.chunk.results, self.chunk = answer, None

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _cause(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit status {exitcode}"
    return signal.Signals(-exitcode).name


def _serve(work: Callable[[Any], Any], pipe: Connection, others: Connection, at: Any) -> None:
    """Answer chunks of items with their results until the other side is closed."""
    others.close()  # else this side would keep the other one open
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        try:
            items = pipe.recv()
        except (EOFError, OSError):
            return
        results = []
        failure = None
        try:
            for at.value, item in enumerate(items):
                results.append(work(item))
        except Exception as error:  # noqa: BLE001  (raised again on the other side)
            failure = error
        try:
            pipe.send(failure or results)
        except OSError:  # nobody is there to hear it
            return
