"""The commands of `sorigeul`: their options, what they print. The work is done elsewhere.

Each imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from sorigeul.cli.arguments import positional

Precision = Literal["float32", "bfloat16", "int8"]
DEFAULT_PRESET = "small"

Run = Annotated[Positional[str], positional("RUN")]
Data = Annotated[Positional[Path], positional("DATA")]
File = Annotated[Path | None, positional("FILE")]
