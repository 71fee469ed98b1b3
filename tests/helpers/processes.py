"""Commands in processes of their own, alone or as torchrun would start them, to be interrupted.

They are forked, so that nothing has to be imported again: a second each instead of six.
"""

import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from helpers.commands import Done
from sorigeul.cli.entry import main

SECONDS = 200.0  # after which a process is taken to hang


class Forked:
    """A command at work; what it says goes to files in `folder`.

    It may be given little memory beyond what it has, or no room for files beyond a size.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str | Path,
        spare_memory: int = 0,
        largest_file: int = 0,
        **environment: str,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.said = [folder / "out", folder / "err"]
        self.pid = os.fork()
        if self.pid == 0:
            os.setpgid(0, 0)
            if spare_memory:
                _limit(resource.RLIMIT_AS, _memory() + spare_memory)
            if largest_file:
                _limit(resource.RLIMIT_FSIZE, largest_file)
            _become([str(one) for one in arguments], self.said, environment)
        self._status: int | None = None

    def running(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is None

    def wait_until(self, reached: Callable[[], bool]) -> bool:
        """Wait until it has got there; false if it ended before."""
        deadline = time.monotonic() + SECONDS
        while not reached():
            if not self.running():
                return reached()
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"the process hangs; it said: {self.done().err}")
            time.sleep(0.002)
        return True

    def kill(self, number: signal.Signals) -> None:
        if self.running():
            os.kill(self.pid, number)

    def kill_group(self, number: signal.Signals) -> None:
        """Hit the process and all that it has started."""
        if self.running():
            os.killpg(self.pid, number)

    def done(self) -> Done:
        """How it ended, once it has; negative: the signal that killed it."""
        self.wait_until(lambda: not self.running())
        return Done(self._status, *(path.read_text(encoding="utf-8") for path in self.said))


def company(folder: Path, size: int, *arguments: str | Path) -> list[Forked]:
    """Processes that run one command side by side, with what torchrun would tell each."""
    if size == 1:
        return [Forked(folder / "0", *arguments)]
    address, port = meeting_point()
    return [
        Forked(
            folder / str(rank),
            *arguments,
            TORCHELASTIC_RUN_ID="test",
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(size),
            LOCAL_WORLD_SIZE=str(size),
            MASTER_ADDR=address,
            MASTER_PORT=port,
        )
        for rank in range(size)
    ]


def meeting_point() -> tuple[str, str]:
    """Address and port where processes can find each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "127.0.0.1", str(free.getsockname()[1])


def _limit(kind: int, value: int) -> None:
    resource.setrlimit(kind, (value, value))


def _memory() -> int:
    """Bytes of address space that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _become(arguments: list[str], said: list[Path], environment: dict[str, str]) -> None:
    """Run the command in place of the test, and never come back."""
    status = 1
    try:
        for number, path in zip((1, 2), said, strict=True):
            os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
        import sys

        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(environment)
        main(arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        os._exit(status)
