"""A progress bar on standard error, and silence where that is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, str], None]
"""called with the number of items done since the last call and a note to show beside the bar"""


@contextmanager
def progress_bar(description: str, total: float | None) -> Iterator[Advance]:
    """Show how far `total` items have come (None: unknown), with the time left; gone at the end."""
    # Imported here, since rich's progress costs a tenth of a second that `--help` need not pay.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeLeft(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task(description, total=total, note="")

        def advance(done: int, note: str) -> None:
            bar.update(task, advance=done, note=note)

        yield advance
