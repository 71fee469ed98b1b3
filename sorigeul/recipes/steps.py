"""Follows a recipe: one step after the other, each a command in a process of its own.

`recipe.json` in the folder tells which steps are done, and with which commands.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.locks import locked_folder
from sorigeul.base.printable import LAYOUT, printable
from sorigeul.base.stopping import handle_stop_signals
from sorigeul.base.tables import markdown_table
from sorigeul.recipes.recipe import Recipe

_RECORD = "recipe.json"
_USED = "recipe.yaml"
_RESULTS = "results.md"


def follow(recipe: Recipe, corpora: Sequence[Path], texts: Sequence[Path], out: Path) -> None:
    """Run the steps that are not done yet, write `results.md`, and print the figures.

    Raises UserError if something that is given is missing, if `out` holds something else, or if a
    step fails by a user's mistake; ChildProcessError if it fails otherwise.
    """
    for place in (*corpora, *texts):
        if not place.exists():
            raise UserError(f"{place}: no such file or folder")
    commands = recipe.commands(corpora, texts, out)
    # The same however a path is spelt, and from whatever folder.
    meant = recipe.commands(_absolute(corpora), _absolute(texts), *_absolute([out]))
    record = out / _RECORD
    if out.exists() and not record.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} holds something else: choose a new folder")
    with locked_folder(out):
        done = _done_steps(record, commands, meant)
        write_text(out / _USED, recipe.text)
        for number, (step, command) in enumerate(commands.items(), 1):
            heading = f"== {number} of {len(commands)}: {step} =="
            if step in done and done[step]["ended"]:
                print(printable(f"{heading} done before"), flush=True)
                continue
            print(printable(f"{heading}\n$ sorigeul {shlex.join(command)}", LAYOUT), flush=True)
            seconds = done.get(step, {}).get("seconds", 0.0)
            entry = {"command": command, "absolute": meant[step]}
            done[step] = {**entry, "seconds": seconds, "ended": False}
            _write_record(record, done)  # before it begins, so that a killed one goes on as well
            started, status = time.monotonic(), 1
            try:
                status = _run_command(command)
            finally:
                seconds += time.monotonic() - started
                done[step] = {**entry, "seconds": seconds, "ended": status == 0}
                _write_record(record, done)
            if status != 0:
                raise _failure(step, status)
        table = _figures(recipe, out)
        write_text(out / _RESULTS, _report(recipe, done, table))
    print(printable(f"\n{table}\n{out / _RESULTS} has the commands, too", LAYOUT))


def _absolute(paths: Sequence[Path]) -> list[Path]:
    # Path.resolve raises for a link to itself.
    return [Path(os.path.realpath(path)) for path in paths]


def _write_record(record: Path, done: Mapping[str, Any]) -> None:
    write_text(record, json.dumps(done, ensure_ascii=False, indent=1) + "\n")


def _done_steps(
    record: Path, commands: Mapping[str, list[str]], meant: Mapping[str, list[str]]
) -> dict[str, Any]:
    """What earlier calls have done of the same commands, up to the first that is another now.

    It says which one that is. `meant` are the commands with absolute paths.
    """
    if not record.exists():
        return {}
    try:
        content = json.loads(record.read_bytes())
        before: dict[str, Any] = {
            str(step): {
                "command": list(map(str, entry["command"])),
                # Earlier versions kept only what was typed.
                "absolute": list(map(str, entry.get("absolute", entry["command"]))),
                "seconds": float(entry["seconds"]),
                "ended": bool(entry["ended"]),
            }
            for step, entry in content.items()
        }
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{record} is damaged: remove it, and all steps are gone over") from error
    done: dict[str, Any] = {}
    for step, command in commands.items():
        was = before.get(step)
        if was is None or was["absolute"] not in (meant[step], command):
            if set(before) - set(done):
                text = f"step {step} is another now, so it and all after it run"
                if was:
                    text += f"; its command was\n$ sorigeul {shlex.join(was['absolute'])}"
                print(printable(text, LAYOUT), flush=True)
            break
        done[step] = was
        if not was["ended"]:
            break
    return done


def _run_command(command: Sequence[str]) -> int:
    """Run a command of ours; returns its exit status.

    In a session of its own, so that a signal reaches it once: from here, not from the terminal too.
    Raises KeyboardInterrupt, after the command has ended, if there was one.
    """
    received: list[int] = []
    processes: list[subprocess.Popen[bytes]] = []

    def forward(number: int, _: FrameType | None) -> None:
        received.append(number)
        for process in processes:
            process.send_signal(number)

    # First the handlers: a process begins without those of its parent, but it ignores what that
    # ignores, such as the SIGINT of a job in the background.
    restore_handlers = handle_stop_signals(forward)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "sorigeul", *command], start_new_session=True
        )
        processes.append(process)
        for number in tuple(received):  # while it began
            process.send_signal(number)
        status = process.wait()
    finally:
        restore_handlers()
    if received:  # a training that is stopped ends well, but is not done
        raise KeyboardInterrupt
    return status


def _failure(step: str, status: int) -> Exception:
    """The error of a step that has failed, and has said why."""
    message = (
        f"step {step} ended with status {status}, for the reason above: see to it, and the same "
        "command goes on from there"
    )
    return UserError(message) if status == 2 else ChildProcessError(message)


def _figures(recipe: Recipe, out: Path) -> str:
    """A table with a line for each file of figures."""
    rows = [["", "CRR", "CER", "WER", "utterances"]]
    for name, path in recipe.figure_files(out).items():
        try:
            figures = json.loads(path.read_bytes())
            rates = [_with_interval(figures, rate) for rate in ("crr", "cer", "wer")]
            rows.append([name, *rates, f"{figures['utterances']:,}"])
        except (
            OSError,
            ValueError,
            RecursionError,
            TypeError,
            LookupError,
            AttributeError,
        ) as error:
            raise UserError(
                f"{path}: no figures of {name} ({error}): one of the steps must write them there, "
                "as 'evaluate --json' does"
            ) from error
    return markdown_table(rows)


def _with_interval(figures: Mapping[str, Any], rate: str) -> str:
    interval = figures.get("intervals", {}).get(rate)
    between = f" ({interval[0]:.1f} to {interval[1]:.1f})" if interval else ""
    return f"{figures[rate]:.2f}{between}"


def _report(recipe: Recipe, done: Mapping[str, Any], figures: str) -> str:
    """`results.md`: the figures, and what led to them."""
    steps = [
        f"| {step} | {entry['seconds'] / 60:.1f} | `sorigeul {shlex.join(entry['command'])}` |"
        for step, entry in done.items()
    ]
    return "\n".join(
        [
            f"# {recipe.name}",
            "",
            recipe.about,
            "",
            "Rates in %, with 95 % intervals.",
            "",
            figures,
            "| step | minutes | command |",
            "| --- | ---: | --- |",
            *steps,
            "",
        ]
    )
