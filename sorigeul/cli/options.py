"""Types of arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from sorigeul.cli.arguments import positional

DEFAULT_PRESET = "small"

Precision = Literal["float32", "bfloat16", "int8"]
Run = Annotated[Positional[str], positional("RUN")]
Data = Annotated[Positional[Path], positional("DATA")]
File = Annotated[Path | None, positional("FILE")]
