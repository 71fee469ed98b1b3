"""Finding recordings that have moved since their manifest was written."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path

from sorigeul.base.errors import UserError

_MAX_TRIED_RECORDINGS = 100


def find_relocation(
    written_paths: Iterable[str], audio_root: Path, manifest: Path
) -> Callable[[str], str]:
    """Find out how the paths in a manifest map to paths under `audio_root`.

    Takes the first of `written_paths` whose file exists under `audio_root`, and the longest end of
    that path which exists there. What precedes this end is the old root. The function returned
    replaces the old root by `audio_root` and leaves paths outside the old root as they are.

    Raises:
        UserError: if none of the first paths of the manifest exists under `audio_root`.
    """
    example = ""
    for path in islice(written_paths, _MAX_TRIED_RECORDINGS):
        components = Path(path).parts[1:]
        example = example or "/".join(components[-3:])
        for start in range(len(components)):
            if os.path.isfile(audio_root.joinpath(*components[start:])):
                end = "/".join(components[start:])
                old_root, new_root = path.removesuffix(end), f"{audio_root.absolute()}/"
                return partial(_replace_root, old_root, new_root)
    raise UserError(
        f"audio_root {audio_root}: holds no recording of {manifest}: give the folder that has "
        f"…/{example} somewhere below it, in the folders it had before"
    )


def _replace_root(old_root: str, new_root: str, path: str) -> str:
    return new_root + path.removeprefix(old_root) if path.startswith(old_root) else path
