"""A progress bar on standard error; silent if that is not a terminal."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sorigeul.base.printable import printable

Advance = Callable[[float, str], None]
"""called with the amount done since the last call and a note to show beside the bar"""


@contextmanager
def progress_bar(
    description: str, total: float | None, done: float = 0, counted: bool = True
) -> Iterator[Advance]:
    """Show a progress bar over `total` items (None: unknown), with the time left, during a block.

    `done` items were finished before. Amounts that are not `counted`, such as seconds of audio, are
    shown as a bar without numbers. In distributed training only the first process shows the bar.
    """
    # Imported here: it takes a tenth of a second, which `--help` does not need.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *([MofNCompleteColumn()] if counted else []),
        TimeLeft(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    silent = not console.is_terminal or any(
        os.environ.get(name, "0") != "0" for name in ("RANK", "LOCAL_RANK")
    )
    with Progress(*columns, console=console, transient=True, disable=silent) as bar:
        task = bar.add_task(printable(description), total=total, completed=round(done), note="")

        def advance(amount: float, note: str) -> None:
            bar.update(task, advance=amount, note=printable(note))

        yield advance
