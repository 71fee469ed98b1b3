"""Report of the benchmarks: the table in `BENCHMARKS.md` and the plots beside it."""

from collections.abc import Sequence
from pathlib import Path

from sorigeul.base import plots
from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular, write_text
from sorigeul.bench.measurements import Measurement

_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"
_HEAD = "| figure | value | compared with | ratio | target |\n| --- | ---: | --- | ---: | --- |\n"

_PLOTS = {
    "recognition": (
        "Recognition, one recording at a time",
        "seconds of audio",
        "seconds of work a second",
    ),
    "training": ("Training step", "seconds an utterance", "audio-seconds a second"),
    "corpus": ("Start of a training", "utterances in the corpus", "seconds to the first batch"),
}
"""title, horizontal and vertical axis of each plot"""


def around_table(path: Path) -> tuple[str, str]:
    """What stands before and after the table in a file, which may be missing.

    Raises UserError if the file lacks the marks, or is none.
    """
    if not path.exists():
        return "", "\n"
    check_regular(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        text = ""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise UserError(f"{path} has no lines '{_BEGIN}' and '{_END}' to put the table between")
    return before, after


def write_report(
    path: Path, command: str, machine: str, measurements: Sequence[Measurement]
) -> None:
    """Replace the table between the two marks of a Markdown file, and draw the plots beside it.

    `command` and `machine` say how and where it was measured. Raises UserError as `around_table`
    does; a file that does not exist is made.
    """
    before, after = around_table(path)
    rows = "".join("| " + " | ".join(row.cells()) + " |\n" for row in measurements)
    table = f"{_BEGIN}\n`{command}`\n\n{machine}.\n\n{_HEAD}{rows}{_END}"
    write_text(path, before + table + after)
    for plot, (title, x_label, y_label) in _PLOTS.items():
        curves: dict[str, list[tuple[float, float]]] = {}
        for measurement in measurements:
            point = measurement.point
            if point is not None and point.plot == plot:
                curves.setdefault(point.line, []).append((point.x, measurement.value))
        if curves:
            image = path.parent / "docs" / "images" / f"bench_{plot}.png"
            plots.scaling_curves(image, title, x_label, y_label, curves)
