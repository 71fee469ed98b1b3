"""Commands given as users give them, in this process or in one of their own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sorigeul.cli.entry import main


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it wrote."""

    status: int | str | None
    out: str
    err: str

    def error(self) -> str:
        """The message of the only error; warnings may stand before it."""
        assert "Traceback" not in self.err
        *warnings, last = self.err.splitlines()
        assert all(line.startswith("warning: ") for line in warnings), self.err
        assert last.startswith("error: ")
        return last.removeprefix("error: ")


class Command:
    """Runs a command in this process, with the arguments and the exit status of `sorigeul`."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str | Path) -> Done:
        self.capsys.readouterr()
        status: int | str | None = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code or 0
        out, err = self.capsys.readouterr()
        return Done(status, out, err)


def in_a_process(*arguments: str | Path, stdin: bytes | None = None, **environment: str) -> Done:
    """Run a command in a process of its own, which is ended if it hangs."""
    done = subprocess.run(
        [sys.executable, "-m", "sorigeul", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=200,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())
