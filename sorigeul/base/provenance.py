"""What a run came of, for whoever wants to repeat it: command, code, machine, time.

Facts for a reader; nothing reads them back to decide anything. Names no user, host or home folder.
"""

import json
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.machine import memory_gib, processor

RECORD = "run.json"
_PACKAGE = Path(__file__).resolve().parents[1]


def command_line(arguments: Sequence[str]) -> str:
    """The words of a command as one would type them, the home folder as ~."""
    return " ".join(map(_typed, arguments))


def _typed(word: str) -> str:
    if word.startswith("-") and "=" in word:
        option, _, value = word.partition("=")
        return f"{shlex.quote(option)}={_typed(value)}"
    home = os.path.expanduser("~").rstrip("/") + "/"
    if len(home) > 1 and word.startswith(home):
        return "~/" + shlex.quote(word.removeprefix(home))
    return shlex.quote(word)


def commit() -> str | None:
    """The commit of the package's source, "+changes" where it was edited since; else none."""

    def git(*arguments: str) -> str:
        command = ("git", "-C", str(_PACKAGE), *arguments)
        done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # else another project's checkout
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def run_facts(command: str | None, device: torch.device) -> dict[str, Any]:
    """What runs here: `command` by this code on this machine."""
    return {
        "command": command,
        "version": version("sorigeul"),
        "commit": commit(),
        "machine": processor(device),
        "memory_gib": memory_gib(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def begin_record(run: Path, now: Mapping[str, Any], started: str, processes: int) -> None:
    """Write the record of a run that begins or goes on.

    Where it goes on by another command, code or machine than before, the record keeps both.
    """
    before = read_record(run) or {"training_seconds": 0.0, "finished": False, "earlier": []}
    then = {name: before[name] for name in now if name in before}
    if then and then != now:
        before["earlier"].append(then)
    told = {**now, "processes": processes, "started": started}
    _write_record(run, {**told, **before, **told})  # in this order, whatever the old one's was


def end_record(run: Path, seconds: float, finished: bool) -> None:
    """Add to the record, if there is one, how long the run has trained and whether to its end."""
    record = read_record(run)
    if record is not None:
        _write_record(run, {**record, "training_seconds": round(seconds, 1), "finished": finished})


def read_record(run: Path) -> dict[str, Any] | None:
    """The record of a run, none where it has none; UserError if it cannot be read."""
    path = run / RECORD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise UserError(f"{path} is damaged: remove it, the run does not need it")
    return record


def lines(run: Path) -> list[str]:
    """The record of a run, if it has one, a line each fact."""
    record = dict(read_record(run) or {})
    earlier = [("before", each["command"]) for each in record.pop("earlier", [])]
    told = [*record.items(), *earlier]
    return [f"{name}: {fact}" for name, fact in told if fact is not None]


def _write_record(run: Path, record: Mapping[str, Any]) -> None:
    write_text(run / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
