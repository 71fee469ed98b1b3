"""A pickle that runs code when it is read, to test that nothing reads it."""

import os
from pathlib import Path
from typing import Any


class Trap:
    """Its pickle makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)
