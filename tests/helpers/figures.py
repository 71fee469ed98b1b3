"""Plots that are composed but not drawn: drawing takes longer than the training of a tiny model.

What goes into them is still checked by Matplotlib; only the pixels are missing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib.figure import Figure

_DRAW = Figure.savefig


def _leave_undrawn(figure: Figure, path: Path, **_: object) -> None:
    path.write_bytes(b"a plot that no test looks at")


@contextmanager
def undrawn_plots() -> Iterator[None]:
    """In this process, and in those that it forks, plots are files without an image."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", _leave_undrawn)
        yield


@contextmanager
def drawn_plots() -> Iterator[None]:
    """Plots are drawn again, within `undrawn_plots`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", _DRAW)
        yield
