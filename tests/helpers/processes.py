"""Commands in processes of their own, one or several side by side, for tests to interrupt.

They are forked, so that nothing has to be imported again: a second for each instead of six. A test
says by steps or events when a process is interrupted, never by time: see `Pause`.
"""

import functools
import itertools
import os
import pty
import resource
import runpy
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.distributed import TCPStore

from helpers.commands import Done
from sorigeul.cli.entry import main

HANG_SECONDS = 200.0  # after which a process is taken to hang, however slow the machine


def wait_until(condition: Callable[[], bool]) -> bool:
    """Wait until the condition holds; false if it still does not after `HANG_SECONDS`."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@dataclass(frozen=True)
class Pause:
    """Where a command stops itself until a signal continues it: before a call of a function."""

    call: int
    """number of the call, counted from 1 over all of the functions"""
    functions: Sequence[tuple[Any, str]]
    """class or module, and the name of a function in it"""

    def install(self) -> None:
        """Replace the functions in this process; processes that it forks do not stop."""
        calls, process = itertools.count(1), os.getpid()

        def with_pause(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def pause_and_call(*arguments: Any, **named: Any) -> Any:
                if os.getpid() == process and next(calls) == self.call:
                    os.kill(process, signal.SIGSTOP)
                return function(*arguments, **named)

            return pause_and_call

        for owner, name in self.functions:
            setattr(owner, name, with_pause(getattr(owner, name)))


class Forked:
    """A running command, whose output goes to files in `folder`.

    It is a command of sorigeul, or, if a `module` is given, what `python -m` makes of that. Its
    memory may be limited to `spare_memory` bytes more than it has at first, its files to
    `largest_file` bytes. It stops itself at `pause`, if one is given.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str | Path,
        module: str = "",
        spare_memory: int = 0,
        largest_file: int = 0,
        pause: Pause | None = None,
        **environment: str,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.outputs = [folder / "out", folder / "err"]
        self.pid = os.fork()
        if self.pid == 0:
            os.setpgid(0, 0)
            if spare_memory:
                _limit(resource.RLIMIT_AS, _address_space() + spare_memory)
            if largest_file:
                _limit(resource.RLIMIT_FSIZE, largest_file)
            if pause is not None:
                pause.install()
            for descriptor, path in zip((1, 2), self.outputs, strict=True):
                os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), descriptor)
            _run_and_exit([str(argument) for argument in arguments], environment, module)
        self._status: int | None = None

    def running(self) -> bool:
        """Whether it has not ended yet; a paused process is running."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is None

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        """Wait until the condition holds; false if the process ends before that."""
        deadline = time.monotonic() + HANG_SECONDS
        while not condition():
            if not self.running():
                return condition()
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"the process hangs; its errors: {self.done().err}")
            time.sleep(0.002)
        return True

    def wait_until_paused(self) -> bool:
        """Wait until it is at its pause; false if it ends without having got there."""
        return self.wait_until(lambda: process_state(self.pid) == "T")

    def kill(self, number: signal.Signals) -> None:
        """Send a signal; a paused process continues and receives it."""
        if self.running():
            os.kill(self.pid, number)
            os.kill(self.pid, signal.SIGCONT)

    def kill_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and all processes that it has started."""
        if self.running():
            os.killpg(self.pid, number)
            os.killpg(self.pid, signal.SIGCONT)

    def done(self) -> Done:
        """Wait for its end, and return it; a negative status is the signal that killed it."""
        self.wait_until(lambda: not self.running())
        return Done(self._status, *(path.read_text(encoding="utf-8") for path in self.outputs))


def forked_on_a_terminal(*arguments: str | Path, **environment: str) -> tuple[int, int]:
    """Run a command in the foreground of a terminal of its own.

    Returns its process, and the other end of the terminal as a file descriptor.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        _run_and_exit([str(argument) for argument in arguments], environment)
    return pid, terminal


class Rendezvous:
    """A place where processes find each other, for as long as this object exists.

    As torchrun does, the test holds the store itself: a port that is only looked up could be taken
    by somebody else before the processes use it.
    """

    def __init__(self) -> None:
        self._store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(self._store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
        }

    def torchrun_environment(self, rank: int, size: int) -> dict[str, str]:
        """What torchrun sets for one of `size` processes on one machine."""
        return {
            **self.environment,
            "TORCHELASTIC_RUN_ID": "test",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size),
            "LOCAL_WORLD_SIZE": str(size),
        }


class Ranks(list[Forked]):
    """Processes that run one command side by side, as torchrun starts them; one alone without it.

    Only the first process has the pause.
    """

    def __init__(
        self, folder: Path, size: int, *arguments: str | Path, pause: Pause | None = None
    ) -> None:
        self._rendezvous = Rendezvous() if size > 1 else None
        for rank in range(size):
            environment = (
                self._rendezvous.torchrun_environment(rank, size) if self._rendezvous else {}
            )
            self.append(
                Forked(
                    folder / str(rank),
                    *arguments,
                    pause=None if rank else pause,
                    **environment,
                )
            )

    def expect_success(self) -> None:
        for process in self:
            assert process.done().status == 0, process.done().err


def process_state(pid: int) -> str:
    """The state of a process as Linux abbreviates it (T: stopped, Z: zombie); "" if it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def has_ended(pid: int) -> bool:
    return process_state(pid) in ("", "Z")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _limit(kind: int, value: int) -> None:
    resource.setrlimit(kind, (value, value))


def _address_space() -> int:
    """Bytes of address space that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _run_and_exit(arguments: list[str], environment: dict[str, str], module: str = "") -> None:
    """Run the command and exit, so that the forked process never returns to the test."""
    status = 1
    try:
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(environment)
        if module:
            sys.argv[1:] = arguments
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        else:
            main(arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        os._exit(status)
