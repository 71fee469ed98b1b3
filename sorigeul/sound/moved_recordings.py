"""Finding recordings that have moved since their manifest, table or list was written."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from sorigeul.base.errors import UserError
from sorigeul.sound.recording_paths import RecordingFinder, with_slashes

_MAX_TRIED_RECORDINGS = 100


@dataclass(frozen=True)
class Relocation:
    """Maps the path of a recording as written to its path now, whether it exists there or not."""

    old_root: str
    """with slashes, also at its end"""
    new_root: Path
    finder: RecordingFinder = field(default_factory=RecordingFinder, compare=False)

    def __call__(self, written: str) -> str:
        """Replace the old root by the new one; leave paths outside the old root as they are."""
        if not with_slashes(written).startswith(self.old_root):
            return written
        rest = written[len(self.old_root) :]
        return str(self.finder.look_up(rest, self.new_root) or self.new_root / with_slashes(rest))


def find_relocation(written_paths: Iterable[str], audio_root: Path, source: Path) -> Relocation:
    """Find out how the paths written in `source` map to paths under `audio_root`.

    Takes the first of `written_paths` whose file exists under `audio_root`, and the longest end of
    that path which exists there. What precedes this end is the old root. The paths may be of
    Windows, and names may differ as `RecordingFinder` allows.

    Raises:
        UserError: if none of the first paths exists under `audio_root`.
    """
    example = ""
    finder = RecordingFinder()
    root = audio_root.absolute()
    for written in islice(written_paths, _MAX_TRIED_RECORDINGS):
        for path in (written, with_slashes(written)):  # a backslash may be part of a name here
            components = [part for part in PurePosixPath(path).parts if part.strip("/")]
            example = example or "/".join(with_slashes(path).split("/")[-3:])
            for start in range(len(components)):
                end = "/".join(components[start:])
                found = finder.look_up(end, root)
                if found is not None and os.path.isfile(found):
                    return Relocation(with_slashes(path.removesuffix(end)), root, finder)
    raise UserError(
        f"audio_root {audio_root}: holds no recording of {source}: give the folder that has "
        f"…/{example} somewhere below it, in the folders it had before"
    )
