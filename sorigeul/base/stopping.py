"""Signals as a request to stop, which long work checks between its steps."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from sorigeul.base.streams import abandon_terminal

HANGUP = getattr(signal, "SIGHUP", None)
"""the terminal was closed; None where there is no such signal (Windows)"""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([HANGUP] if HANGUP else []))
"""a terminal, torchrun and Slurm send them to all processes of a command"""

# One request may arrive twice, for example from the terminal and from a launcher that forwards it.
# A second signal within this time counts as the same request.
_ECHO_SECONDS = 1.0


def handle_stop_signals(
    handler: Callable[[int, FrameType | None], None], signals: Iterable[int] = STOP_SIGNALS
) -> Callable[[], None]:
    """Let signals call a handler; returns what restores the handlers from before."""
    previous = {
        number: signal.signal(number, handler)
        for number in signals
        if not is_ignored_hangup(number)
    }

    def restore() -> None:
        for number, before in previous.items():
            signal.signal(number, before)

    return restore


class StopRequests:
    """Context in which `STOP_SIGNALS` only set ``requested``; a second request ends at once.

    The handlers from before are restored at the end of the context, and before the second signal is
    sent to this process again. Signals within `_ECHO_SECONDS` of the first count as one request.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "StopRequests":
        self._restore_handlers = handle_stop_signals(self._request)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore_handlers()

    def _request(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if number == HANGUP:
            abandon_terminal()
        if not self.requested:
            self.requested, self._first_time = True, now
        elif now - self._first_time > _ECHO_SECONDS:
            self._restore_handlers()
            os.kill(os.getpid(), number)


@contextmanager
def stop_signals_wait() -> Iterator[None]:
    """Context in which `STOP_SIGNALS` that this process handles wait until its end.

    For calls into C that call back: what a handler raises in there is printed, and lost. Handlers
    run in the main thread, so in any other one nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    previous = {}
    try:
        for number in STOP_SIGNALS:
            if callable(before := signal.getsignal(number)):
                previous[number] = before
                signal.signal(number, lambda number, _: arrived.append(number))
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
        for number in arrived:
            signal.raise_signal(number)


def is_ignored_hangup(number: int) -> bool:
    """Whether a signal is one that `nohup` made this process ignore, and so it shall remain."""
    return number == HANGUP and signal.getsignal(number) == signal.SIG_IGN


@contextmanager
def interrupted_by_stop_signals() -> Iterator[None]:
    """Context in which SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if number == HANGUP:
            abandon_terminal()
        signal.default_int_handler(number, frame)

    restore = handle_stop_signals(interrupt, STOP_SIGNALS[1:])
    try:
        yield
    finally:
        restore()
