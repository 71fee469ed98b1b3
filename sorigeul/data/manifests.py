"""Manifests to lhotse's cuts, and a cut to its sound. Line by line: a thousand hours fit no memory.

Knows where recordings are, in files or in archives; nothing of tensors or batches.
"""

import gzip
import json
import unicodedata
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from lhotse import CutSet, MonoCut
from lhotse.dataset.sampling.base import CutSampler

from sorigeul.base.errors import UserError

_TRIED = 100  # recordings looked for under another root before giving up


def manifest(data: Path, split: str, audio_root: str = "") -> CutSet | None:
    """The lazily read cuts of a split of a prepared corpus, or none where it has no such split."""
    if not data.is_dir():
        raise UserError(f"{data} is no folder of manifests: make one with 'sorigeul prepare'")
    path = data / f"{split}.jsonl"
    there = path.exists() or _archives(path).is_dir()
    return open_manifest(path, audio_root) if there else None


def required_manifest(data: Path, split: str, audio_root: str = "") -> CutSet:
    """As `manifest`, but the split must exist."""
    cuts = manifest(data, split, audio_root)
    if cuts is None:
        found = ", ".join(sorted(path.stem for path in data.glob("*.jsonl"))) or "none"
        raise UserError(
            f"{data} has no manifest {split}.jsonl (found: {found}): "
            "make it with 'sorigeul prepare'"
        )
    return cuts


def open_manifest(path: Path, audio_root: str = "") -> CutSet:
    """The cuts of `lazy_cuts`; the first line, and the end of the last, are checked at once."""
    lines = lazy_cuts(path)
    try:
        first = next(iter(lines), None)
        usable = first is not None and bool(text(first)) and bool(audio_source(first).source)
    except (UserError, ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError):
        usable = False
    if not usable:
        raise UserError(
            f"{lines.files[0]} is empty or no manifest of cuts with text: "
            "make it with 'sorigeul prepare'"
        )
    if lines.files == [path] and not _ends_a_line(path):
        raise UserError(f"{path} was cut off in its last line: make it or copy it again")
    return CutSet(lazy_cuts(path, audio_root))


def lazy_cuts(path: Path, audio_root: str = "") -> "LazyCuts":
    """The cuts of a manifest, or of its archives where they are: `train.shar` by `train.jsonl`.

    If recordings that are in no archive have moved, `audio_root` is the folder that holds them now.
    """
    archives = _cuts_of_archives(_archives(path))
    cuts = LazyCuts(archives or [path])
    if audio_root and not archives:
        cuts.place = relocate((audio_source(cut).source for cut in cuts), Path(audio_root), path)
    return cuts


def _archives(path: Path) -> Path:
    return path.with_suffix(".shar")


def _cuts_of_archives(folder: Path) -> list[Path]:
    """The cuts of all archives of a folder, in order; UserError if one is missing."""
    found = sorted(folder.glob("cuts.*.jsonl.gz"))
    for number, path in enumerate(found):
        if path.name != (expected := f"cuts.{number:06d}.jsonl.gz"):
            raise UserError(f"{folder} has no {expected}: copy or make the archives again")
    return found


def _ends_a_line(path: Path) -> bool:
    """Whether the last line of a file, if it has any, is whole."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 1, 0))
        return file.read() in (b"", b"\n")


class LazyCuts:
    """The cuts in files of JSON lines, read anew by each iteration.

    Several files, as beside archives, are taken in an order that changes with the epoch of the
    sampler they follow.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files
        self.place: Callable[[str], str] = str
        """where a recording is whose path in the manifest is this"""
        self.sampler: CutSampler | None = None
        """whose epochs to follow"""

    def __iter__(self) -> Iterator[MonoCut]:
        files = list(self.files)
        if self.sampler is not None and len(files) > 1:
            Random(f"{self.sampler.seed}/{self.sampler.epoch}").shuffle(files)
        for file in files:
            for fields in _lines(file):
                yield self._cut(file, fields)

    def select(self, numbers: Collection[int]) -> Iterator[MonoCut]:
        """Those of these numbers, counted from 0 in the order of the files: most lines are only
        read."""
        lines = ((file, fields) for file in self.files for fields in _lines(file))
        for number, (file, fields) in enumerate(lines):
            if number in numbers:
                yield self._cut(file, fields)

    def _cut(self, file: Path, fields: dict[str, Any]) -> MonoCut:
        cut = MonoCut.from_dict(fields)  # a third quicker than lhotse's search for its kind
        source = audio_source(cut)
        inside = source.type == "shar"
        source.source = str(file.parent / source.source) if inside else self.place(source.source)
        return cut

    def transcripts(self) -> Iterator[tuple[str, str, float]]:
        """Id, NFC text and seconds of each cut: a third of the time that the cuts take."""
        for file in self.files:
            for number, fields in enumerate(_lines(file), 1):
                try:
                    said = str(fields["supervisions"][0].get("text") or "")
                    seconds = float(fields["duration"])
                except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
                    raise UserError(
                        f"{file}:{number} is no cut with text: make or copy the manifest again"
                    ) from error
                yield str(fields["id"]), unicodedata.normalize("NFC", said), seconds


def follow(cuts: CutSet, sampler: CutSampler) -> None:
    """Read archives in an order that changes with the epoch of `sampler`, which reads `cuts`."""
    as_lazy_cuts(cuts).sampler = sampler


def as_lazy_cuts(cuts: CutSet) -> LazyCuts:
    assert isinstance(cuts.data, LazyCuts)
    return cuts.data


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                number += 1
                yield json.loads(line)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}:{number} cannot be read ({reason}): make or copy the manifest again"
        ) from error


def audio_source(cut: MonoCut) -> Any:
    return cut.recording.sources[0]


# Recordings that have moved.


def relocate(written: Iterable[str], root: Path, name: Path) -> Callable[[str], str]:
    """A function from the path of a recording as `written` to where it is under `root`.

    The longest end of the first paths that exists under `root` shows what `root` stands for; other
    paths stay as they are. UserError with the manifest's `name` if none exists there.
    """
    example = ""
    for path in islice(written, _TRIED):
        parts = Path(path).parts[1:]
        example = example or "/".join(parts[-3:])
        for start in range(len(parts)):
            if root.joinpath(*parts[start:]).is_file():
                end = "/".join(parts[start:])
                return partial(_under, path.removesuffix(end), f"{root.absolute()}/")
    raise UserError(
        f"audio_root {root}: holds no recording of {name}: give the folder that has "
        f"…/{example} somewhere below it, in the folders it had before"
    )


def _under(old: str, new: str, path: str) -> str:
    return new + path.removeprefix(old) if path.startswith(old) else path


# What a manifest says.


def text(cut: MonoCut) -> str:
    """The transcript of a cut."""
    return str(cut.supervisions[0].text or "")


def normalizer(cuts: CutSet) -> str:
    """Name and version of the normaliser the transcripts of a manifest went through."""
    custom = next(iter(cuts)).supervisions[0].custom or {}
    return str(custom.get("normalizer", "unknown"))
