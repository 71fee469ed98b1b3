"""Batches computed side by side, each in a thread of its own.

A batch is a long row of small operations, which gain little from being split among threads: two
batches side by side take hardly longer than one (BENCHMARKS.md, "Batches side by side"). Does not
know what is computed.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from sorigeul.base.threads import thread_count

MOST_BATCHES = 4
"""batches at a time: Python runs one thread at a time between operations, so more would wait for
each other; not measured"""

_thread = threading.local()

Item = TypeVar("Item")
Result = TypeVar("Result")


def batches_at_a_time() -> int:
    """How many batches to compute at a time: one on each core; in a thread of a batch, one."""
    is_of_batch = getattr(_thread, "is_of_batch", False)
    return 1 if is_of_batch else min(thread_count(), MOST_BATCHES)


def threads_of_a_batch() -> int:
    """How many threads the arithmetic of each batch may use."""
    return max(thread_count() // batches_at_a_time(), 1)


def prepare_thread(threads: int) -> None:
    """Prepare the calling thread for computing batches, each with so many `threads_of_a_batch`."""
    _thread.is_of_batch = True
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


class BatchThreads:
    """Threads that compute batches, as a context.

    The results are those of one thread, whatever the number of threads.
    """

    def __init__(self, count: int, in_background: bool = False) -> None:
        """Compute `count` batches at a time.

        If that is 1, whoever submits one computes it, unless this is to be `in_background`.
        """
        self.count = count
        self._has_threads = count > 1 or in_background
        self._threads = thread_count()
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def on(cls, device: object) -> "BatchThreads":
        """For a CPU as many as it is good for, for a GPU one; it is known by its name."""
        return cls(batches_at_a_time() if str(device) == "cpu" else 1)

    def __enter__(self) -> "BatchThreads":
        if self._has_threads:
            own = (threads_of_a_batch(),)
            self._pool = ThreadPoolExecutor(self.count, "batches", prepare_thread, own)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is None:
            return
        self._pool.shutdown(cancel_futures=True)
        if "torch" in sys.modules:  # what its threads have set would be the default of later ones
            sys.modules["torch"].set_num_threads(self._threads)

    def submit(self, work: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Compute ``work(item)``."""
        if self._pool is not None:
            return self._pool.submit(work, item)
        future: Future[Result] = Future()
        try:
            future.set_result(work(item))
        except Exception as error:  # noqa: BLE001  (who asks for the result raises it)
            future.set_exception(error)
        return future

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield ``work(item)`` in the order of ``items``, which are read as they are needed."""
        ahead = self.count if self._pool is not None else 0
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(self.submit(work, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
