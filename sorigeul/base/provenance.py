"""How a run was made, in `run.json`: command, code version, machine and training time.

The record is for a reader who wants to repeat the run; no decision depends on it. It does not
contain the name of the user, the host or the home folder.
"""

import json
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.records import build, read_object

if TYPE_CHECKING:
    import torch

RECORD = "run.json"
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class TrainingCorpus:
    """A corpus that a run is trained on."""

    name: str
    """of its folder"""
    corpora: tuple[str, ...]
    """what it was prepared from, by the names of `sorigeul prepare`; none if that is not known"""
    utterances: int
    """of train, as the other numbers"""
    hours: float
    speakers: int | None
    """None if that is not known"""

    def to_json(self) -> dict[str, Any]:
        """As it is read back from JSON, so that two records can be compared."""
        return {**asdict(self), "corpora": list(self.corpora)}

    def __str__(self) -> str:
        facts = [self.name, f"{self.utterances:,} utterances", f"{self.hours:g} hours"]
        return ", ".join([*facts, f"{self.speakers:,} speakers"] if self.speakers else facts)


def command_line(arguments: Sequence[str]) -> str:
    """Return the command as one would type it in a shell, with the home folder as ``~``."""
    return " ".join(map(_shell_word, arguments))


def _shell_word(word: str) -> str:
    if word.startswith("-") and "=" in word:
        option, _, value = word.partition("=")
        return f"{shlex.quote(option)}={_shell_word(value)}"
    home = os.path.expanduser("~").rstrip("/") + "/"
    if len(home) > 1 and word.startswith(home):
        return "~/" + shlex.quote(word.removeprefix(home))
    return shlex.quote(word)


def commit() -> str | None:
    """Return the git commit of the package's source, with "+changes" if it was edited since.

    None if the package is not in a git checkout of its own.
    """

    def git(*arguments: str) -> str:
        command = ("git", "-C", str(_PACKAGE), *arguments)
        completed = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
        return completed.stdout.strip()

    try:
        # Fails if the package is not tracked: then the checkout is another project's.
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def run_facts(command: str | None, device: "torch.device") -> dict[str, Any]:
    """Return the command, the versions of the code, and the machine, for the record of a run."""
    import torch

    from sorigeul.base.machine import memory_gib, processor

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


def begin_record(run: Path, facts: Mapping[str, Any], started: str, processes: int) -> None:
    """Write the record of a run that starts or resumes.

    If the run resumes with another command, code or machine, the previous facts are kept under
    ``earlier``.
    """
    record = read_record(run) or {"training_seconds": 0.0, "finished": False, "earlier": []}
    previous = {name: record[name] for name in facts if name in record}
    if previous != {name: facts[name] for name in previous}:
        record["earlier"].append(previous)
    current = {**facts, "processes": processes, "started": started}
    # Twice, so that its keys come first whatever the order in the old record, and its values win.
    _write_record(run, {**current, **record, **current})


def end_record(run: Path, seconds: float, finished: bool) -> None:
    """Add the training time and whether the run is finished to the record, if there is one."""
    record = read_record(run)
    if record is not None:
        _write_record(run, {**record, "training_seconds": round(seconds, 1), "finished": finished})


def read_record(run: Path) -> dict[str, Any] | None:
    """Return the record of a run, None if it has none; UserError if it cannot be read."""
    path = run / RECORD
    if not path.is_file():
        return None
    try:
        return checked_record(read_object(path))
    except ValueError as error:
        raise UserError(
            f"{path} is damaged ({error}): remove it, the run does not need it"
        ) from error


def checked_record(content: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the entry ``earlier``, which it may lack; ValueError if it is damaged."""
    record = {**content, "earlier": content.get("earlier", [])}
    earlier = record["earlier"]
    if not isinstance(earlier, list) or not all(isinstance(facts, dict) for facts in earlier):
        raise ValueError("earlier is not a list of objects")
    training_corpora(record)
    return record


def training_corpora(record: Mapping[str, Any]) -> tuple[TrainingCorpus, ...]:
    """What a run was trained on, by its record; nothing if it is older than that entry.

    Raises ValueError if the entry is damaged.
    """
    corpora = record.get("corpora", [])
    if not isinstance(corpora, list):
        raise ValueError("corpora is not a list")
    return tuple(build(TrainingCorpus, corpus) for corpus in corpora)


def lines(run: Path) -> list[str]:
    """Return the record of a run as lines ``name: fact``; no lines if there is no record."""
    record = dict(read_record(run) or {})
    corpora = [("corpus", str(corpus)) for corpus in training_corpora(record)]
    record.pop("corpora", None)
    earlier = [("before", facts.get("command")) for facts in record.pop("earlier", [])]
    named_facts = [*record.items(), *corpora, *earlier]
    return [f"{name}: {fact}" for name, fact in named_facts if fact is not None]


def _write_record(run: Path, record: Mapping[str, Any]) -> None:
    write_text(run / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
