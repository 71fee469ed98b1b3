"""How the files begin that `evaluate` and `compare` write, by which they are told from others."""

import re
from pathlib import Path

from sorigeul.base import html_page
from sorigeul.base.outputs import HEAD_SIZE, PLOT

BEGINS = {
    "--json": rb'\{\s+"(crr|systems|policy|data)":',
    "--report": html_page.BEGINS,
    "--reliability": PLOT,
}
"""by the option that names the file"""


def is_result(path: Path) -> bool:
    """Whether a file is one of these; false if it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_SIZE)
    except OSError:
        return False
    return any(re.match(begin, head) for begin in BEGINS.values())
