"""A map over worker processes with results in input order, and a progress bar of it.

Does not know what the work is.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from sorigeul.base.errors import UserError
from sorigeul.base.progress import progress_bar
from sorigeul.base.stopping import HANGUP

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNKS_PER_PROCESS = 8
"""chunks in flight for each process, so that one slow item does not stall the others at once"""


def map_in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    jobs: int,
    chunk_size: int,
    item_name: Callable[[Item], str],
) -> Generator[tuple[Item, Result], None, None]:
    """Yield ``(item, work(item))`` in the order of ``items``, computed by ``jobs`` processes.

    Items are sent ``chunk_size`` at a time and read at most `CHUNKS_PER_PROCESS` chunks ahead for
    each process. There are no more processes than chunks; with one job, or fewer items than two
    chunks, the work is done in this process. An exception of ``work`` is raised here, but an
    OSError or MemoryError as a UserError that gives the ``item_name`` of the item it was working
    on; so is the death of a process. The processes end with the generator, and also when this
    process is killed.
    """
    items = iter(items)
    first = list(islice(items, jobs * chunk_size))
    if jobs == 1 or len(first) < 2 * chunk_size:
        for item in chain(first, items):
            try:
                result = work(item)
            except (OSError, MemoryError) as error:
                raise _named(error, item_name(item)) from error
            yield item, result
        return
    jobs = min(jobs, -(-len(first) // chunk_size))
    source = chain(first, items)
    chunks = iter(lambda: _Chunk[Item, Result](list(islice(source, chunk_size))), _Chunk([]))
    pending: deque[_Chunk[Item, Result]] = deque()
    workers = [_Worker(work) for _ in range(jobs)]
    try:
        while True:
            for worker in workers:
                if worker.chunk is None and len(pending) < jobs * CHUNKS_PER_PROCESS:
                    if (chunk := next(chunks, None)) is None:
                        break
                    pending.append(chunk)
                    worker.send(chunk)
            if pending and pending[0].results is not None:
                yield from zip(pending[0].items, pending[0].results, strict=True)
                pending.popleft()
                continue
            busy = {worker.pipe: worker for worker in workers if worker.chunk is not None}
            if not busy:
                return
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                busy[pipe].receive(item_name)
    finally:
        for worker in workers:
            worker.end()


def with_progress(
    results: Generator[tuple[Item, Result], None, None],
    description: str,
    total: float | None,
    amount: Callable[[Item], int] = lambda _: 1,
) -> Generator[tuple[Item, Result], None, None]:
    """Yield the results of `map_in_order`, and show how many of `total` there have been.

    ``amount`` is what an item counts. Close it as `map_in_order`, which ends with it.
    """
    with closing(results):
        # The processes are forked before the progress bar starts a thread.
        first = list(islice(results, 1))
        with progress_bar(description, total) as advance:
            for item, result in chain(first, results):
                yield item, result
                advance(amount(item), "")


@dataclass
class _Chunk(Generic[Item, Result]):
    items: list[Item]
    results: list[Result] | None = None
    """None until the process has sent them"""


class _Worker(Generic[Item, Result]):
    """A worker process and the parent's end of the pipe to it."""

    def __init__(self, work: Callable[[Item], Result]) -> None:
        self.chunk: _Chunk[Item, Result] | None = None
        self.pipe, worker_end = multiprocessing.Pipe()
        self._index = multiprocessing.RawValue("l")
        self._process = multiprocessing.Process(
            target=_run_worker, args=(work, worker_end, self.pipe, self._index), daemon=True
        )
        self._process.start()
        worker_end.close()

    def send(self, chunk: _Chunk[Item, Result]) -> None:
        """Give the process its next chunk."""
        self.chunk, self._index.value = chunk, 0
        with suppress(BrokenPipeError):  # the process is dead, which `receive` reports
            self.pipe.send(chunk.items)

    def receive(self, item_name: Callable[[Item], str]) -> None:
        """Store the results of the chunk.

        Raises what ``work`` raised, or UserError if the process is dead.
        """
        assert self.chunk is not None
        try:
            answer: list[Result] | Exception = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            name = item_name(self.chunk.items[self._index.value])
            raise UserError(
                f"{name}: the process working on it died ({_cause(self._process.exitcode)}): if "
                "memory ran out give fewer --jobs, else move this recording away; then give the "
                "same command again"
            ) from None
        if isinstance(answer, OSError | MemoryError):
            raise _named(answer, item_name(self.chunk.items[self._index.value])) from answer
        if isinstance(answer, Exception):
            raise answer
        self.chunk.results, self.chunk = answer, None

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _named(error: OSError | MemoryError, item: str) -> UserError:
    """What went wrong with an item of the work, and not by the item's own fault."""
    if isinstance(error, MemoryError):
        return UserError(f"{item}: the memory ran out: give fewer --jobs, or move it away")
    place = f"{error.filename}: " if error.filename and str(error.filename) not in item else ""
    return UserError(f"{item}: {place}{error.strerror or error}: check the disk and permissions")


def _cause(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit status {exitcode}"
    return signal.Signals(-exitcode).name


def _run_worker(
    work: Callable[[Any], Any], pipe: Connection, parent_end: Connection, index: Any
) -> None:
    """Receive chunks of items and send their results, until the parent closes the pipe.

    ``index`` is shared memory: the position in the chunk of the item that is being worked on.
    """
    # A forked process inherits the parent's end. Left open here, it would keep the pipe open, and
    # this process would wait forever after the parent is gone.
    parent_end.close()
    # Ctrl-C and the end of a terminal reach all processes; the parent decides.
    for number in filter(None, (signal.SIGINT, HANGUP)):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        try:
            items = pipe.recv()
        except (EOFError, OSError):
            return
        results = []
        failure = None
        try:
            for index.value, item in enumerate(items):
                results.append(work(item))
        except Exception as error:  # noqa: BLE001  (raised again in the parent)
            failure = error
        try:
            pipe.send(failure or results)
        except OSError:  # the parent is gone
            return
