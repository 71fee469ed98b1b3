"""Tables in Markdown whose columns line up, so that they can be read in a terminal too."""

from collections.abc import Sequence


def markdown_table(rows: Sequence[Sequence[str]], names: int = 1) -> str:
    """A table whose first row is its header.

    The first `names` columns are aligned on the left, the others, which are numbers, on the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width for width in widths[:names]]
    rule += ["-" * (width - 1) + ":" for width in widths[names:]]
    lines = []
    for row in (rows[0], rule, *rows[1:]):
        left = map(str.ljust, row[:names], widths)
        right = map(str.rjust, row[names:], widths[names:])
        lines.append(f"| {' | '.join((*left, *right))} |\n")
    return "".join(lines)
