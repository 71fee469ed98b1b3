"""The server: binds its address, and runs one process or several that share it."""

import logging
import math
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event

from sorigeul.base.errors import UserError
from sorigeul.base.printable import printable
from sorigeul.base.stopping import StopRequests
from sorigeul.base.threads import thread_count, use_threads
from sorigeul.serving.authentication import ApiKeys
from sorigeul.serving.metrics import forget_process, share_between_processes
from sorigeul.serving.options import ServingOptions
from sorigeul.serving.process import Listening, ServingPlan, run_process

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 5.0  # after which a process that should have ended is killed
_RETRY_SECONDS = 10.0  # after which another process is started for one that could not begin


def serve(plan: ServingPlan) -> None:
    """Serve models until SIGINT or SIGTERM, and print the address once the server answers.

    Raises UserError if something in the plan is wrong.
    """
    options = plan.options
    has_keys = bool(ApiKeys.load(options.api_key))
    if not has_keys and not options.is_local:
        log.warning(
            "everybody who can reach %s may use this server: --api_key FILE asks for a key",
            options.host,
        )
    if has_keys and options.wyoming:
        log.warning(
            "Wyoming has no keys: everybody who can reach port %d is answered", options.wyoming
        )
    listening = Listening(
        _bind(options, options.port), _bind(options, options.wyoming) if options.wyoming else None
    )
    if options.workers == 1:
        run_process(plan, listening, lambda: _announce(listening.http))
    else:
        _run_processes(plan, listening)


def _bind(options: ServingOptions, port: int) -> socket.socket:
    """Bind an address. Raises UserError if that is not possible."""
    try:
        address = socket.getaddrinfo(options.host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(*address[:3])
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address[4])
        bound.listen(1)  # so that nobody else can listen there; uvicorn sets the real length
    except (OSError, UnicodeError) as error:  # UnicodeError: of a name that no host can have
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise UserError(
            f"{options.host}:{port} cannot be listened on ({reason}): choose another port or host"
        ) from None
    return bound


def _announce(listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    print(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}", flush=True)


def _run_processes(plan: ServingPlan, listening: Listening) -> None:
    """Run several processes. One that dies is replaced.

    Raises UserError if one ends before all of them answer, and KeyboardInterrupt if they were asked
    to stop before.
    """
    use_threads(math.ceil(thread_count() / plan.options.workers))  # each its share of the cores
    with ExitStack() as stack:
        stack.enter_context(share_between_processes())
        stop = stack.enter_context(StopRequests())
        workers: list[_Worker] = []
        stack.callback(_stop, workers, plan.options)
        announced = False
        while not stop.requested:
            if not announced and all(worker.ready.is_set() for worker in workers):
                # One alone says what is wrong with the plan; the others begin when nothing is.
                missing = plan.options.workers - len(workers) if workers else 1
                # Those that have begun are stopped even if the next one cannot begin.
                workers.extend(_Worker(plan, listening) for _ in range(missing))
                if not missing:
                    announced = True
                    _announce(listening.http)
            time.sleep(_POLL_SECONDS)
            for number, worker in enumerate(workers):
                if worker.process.is_alive() or stop.requested:
                    continue
                if not announced:
                    raise _could_not_begin(worker, plan.options)
                if worker.replace_at is None:
                    worker.note_end()
                elif time.monotonic() >= worker.replace_at:
                    workers[number] = _replacement(worker, plan, listening)
        if not announced:
            raise KeyboardInterrupt


class _Worker:
    """One of several processes."""

    replace_at: float | None = None
    """when another one takes its place, by the monotonic clock; None: it has not ended"""

    def __init__(self, plan: ServingPlan, listening: Listening) -> None:
        context = multiprocessing.get_context("spawn")  # threads do not survive a fork
        self.ready: Event = context.Event()
        self.process: SpawnProcess = context.Process(
            target=_run_worker, args=(plan, listening, self.ready)
        )
        # A terminal sends Ctrl-C to all processes. For a new one it waits until that listens, and
        # for this one until the new one has begun: it must not be lost.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def note_end(self) -> None:
        """Remove what is left of the process, which has ended, and say when it is replaced."""
        if self.process.pid is not None:
            forget_process(self.process.pid)
        if self.ready.is_set():
            log.warning("a server process has died: starting another one")
            self.replace_at = time.monotonic()
        else:
            self.retry("a server process has ended before it was ready")

    def retry(self, reason: str) -> None:
        """Leave it to the others for a while: whatever is wrong may be mended by then."""
        log.warning("%s: trying again in %g s", reason, _RETRY_SECONDS)
        self.replace_at = time.monotonic() + _RETRY_SECONDS


def _replacement(worker: _Worker, plan: ServingPlan, listening: Listening) -> _Worker:
    """A worker in the place of one that has ended; the same one if the system has no room."""
    try:
        return _Worker(plan, listening)
    except OSError as error:
        worker.retry(f"no server process can be started ({error.strerror or error})")
        return worker


def _could_not_begin(worker: _Worker, options: ServingOptions) -> UserError | SystemExit:
    """The error of a server of which a process has ended before all of them answered."""
    status = worker.process.exitcode or 0
    if status == 2:
        return SystemExit(status)  # it has said why
    how = f"with status {status}" if status >= 0 else f"by signal {-status}"
    return UserError(
        f"a server process has ended {how} before all {options.workers} answered: if no reason "
        "stands above, the memory is too small for so many; give fewer --workers"
    )


def _run_worker(plan: ServingPlan, listening: Listening, ready: Event) -> None:
    threading.Thread(target=_stop_with_parent, daemon=True).start()

    def begin() -> None:
        ready.set()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    try:
        run_process(plan, listening, begin)
    except UserError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)


def _stop_with_parent() -> None:
    """Ask this process to stop once its parent has ended: nobody else would.

    If it was asked before, it ends at once.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(workers: list[_Worker], options: ServingOptions) -> None:
    """Ask all processes to stop, and wait until they have."""
    for worker in workers:
        worker.process.terminate()
    deadline = time.monotonic() + options.drain_seconds + _GRACE_SECONDS
    for worker in workers:
        worker.process.join(max(deadline - time.monotonic(), 0))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
