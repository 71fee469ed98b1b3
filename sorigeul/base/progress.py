"""A progress bar on standard error, and silence where that is no terminal."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[float, str], None]
"""called with how much was done since the last call and a note to show beside the bar"""


@contextmanager
def progress_bar(
    description: str, total: float | None, done: float = 0, counted: bool = True
) -> Iterator[Advance]:
    """Show how far `total` items have come (None: unknown), with the time left; gone at the end.

    `done` of them were done before. Those that cannot be `counted`, such as seconds of sound, are
    not told in numbers. Of several processes the first one shows it.
    """
    # Imported here, since rich's progress costs a tenth of a second that `--help` need not pay.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        *([MofNCompleteColumn()] if counted else []),
        TimeLeft(),
        TextColumn("{task.fields[note]}"),
    )
    silent = not console.is_terminal or any(
        os.environ.get(name, "0") != "0" for name in ("RANK", "LOCAL_RANK")
    )
    with Progress(*columns, console=console, transient=True, disable=silent) as bar:
        task = bar.add_task(description, total=total, completed=round(done), note="")

        def advance(more: float, note: str) -> None:
            bar.update(task, advance=more, note=note)

        yield advance
