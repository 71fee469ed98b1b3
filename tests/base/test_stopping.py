"""Requests to stop: the first signal is noted, a later one ends the process at once."""

import signal
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from sorigeul.base import stopping
from sorigeul.base.stopping import StopRequests, interrupted_by_stop_signals, stop_signals_wait


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as in a terminal; the background jobs of a shell ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_and_wait() -> None:
    """Interrupt the process; a signal to all of it may reach the main thread a moment later."""
    signal.raise_signal(signal.SIGINT)
    for _ in range(600):
        time.sleep(0.1)


@pytest.mark.usefixtures("interruptible")
def test_the_first_request_is_noted_and_a_later_one_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(seconds=0.0)
    clock.monotonic = lambda: clock.seconds
    monkeypatch.setattr(stopping, "time", clock)
    with StopRequests() as stop:
        assert not stop.requested
        # In this thread, since a signal to the process might reach it later than the next line.
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        # The same request, which reached the process by way of its process group as well.
        clock.seconds = 0.5
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        clock.seconds = 60.0
        with pytest.raises(KeyboardInterrupt):
            interrupt_and_wait()


def test_a_request_is_an_interruption_only_as_long_as_there_is_work() -> None:
    """A process that is forked later ends when it is told to."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt), interrupted_by_stop_signals():
        signal.raise_signal(signal.SIGTERM)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGHUP)) == before


def test_a_signal_that_comes_while_signals_wait_is_handled_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    done = []

    def work() -> None:
        with stop_signals_wait():
            signal.raise_signal(signal.SIGINT)
            done.append("the work")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with StopRequests() as stop:
        with stop_signals_wait():
            signal.raise_signal(signal.SIGTERM)
            assert not stop.requested
        assert stop.requested


def test_a_signal_that_is_ignored_stays_so_while_signals_wait() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_signals_wait():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, previous)


def test_the_handlers_from_before_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequests():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
