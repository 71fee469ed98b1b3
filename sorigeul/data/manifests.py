"""Manifests read lazily as lhotse cuts, since those of a thousand hours do not fit into memory.

Finds recordings in files or in archives. Does not know about tensors or batches.
"""

import gzip
import json
import math
import unicodedata
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeVar

from lhotse import CutSet, MonoCut
from lhotse.dataset.sampling.base import CutSampler

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular
from sorigeul.corpora.names import utf8_name
from sorigeul.sound.archive_members import ArchiveMember
from sorigeul.sound.moved_recordings import find_relocation

_Parsed = TypeVar("_Parsed")

# What reading the values of a damaged line can raise.
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, AssertionError, OverflowError)

_PART = "part"  # of a recording, in the custom fields of a cut
_PART_TOLERANCE = 0.05  # seconds by which a cut of a whole recording may be shorter than it


def manifest(data: Path, split: str, audio_root: str = "") -> CutSet | None:
    """Cuts of a split of a prepared corpus, read lazily; None if there is no such split."""
    if not data.is_dir():
        raise UserError(f"{data} is no folder of manifests: make one with 'sorigeul prepare'")
    path = data / f"{split}.jsonl"
    exists = path.exists() or _archive_folder(path).is_dir()
    return open_manifest(path, audio_root) if exists else None


def required_manifest(data: Path, split: str, audio_root: str = "") -> CutSet:
    """As `manifest`, but raises UserError if there is no such split."""
    cuts = manifest(data, split, audio_root)
    if cuts is None:
        splits = ", ".join(sorted(path.stem for path in data.glob("*.jsonl"))) or "none"
        raise UserError(
            f"{data} has no manifest {split}.jsonl (found: {splits}): "
            "make it with 'sorigeul prepare'"
        )
    return cuts


def open_split(data: Path, split: str, audio_root: str = "") -> CutSet:
    """The cuts of `data`: a manifest, or a folder that has one for the split.

    Raises UserError as `open_manifest` and `required_manifest` do.
    """
    if data.is_file():
        return open_manifest(data, audio_root)
    return required_manifest(data, split, audio_root)


def open_manifest(path: Path, audio_root: str = "") -> CutSet:
    """The cuts of `lazy_cuts`.

    Raises:
        UserError: if the first line is not a cut with a transcript, or if the last line is cut off.
    """
    cuts = lazy_cuts(path)
    try:
        first = next(iter(cuts), None)
        usable = first is not None and bool(transcript(first)) and bool(audio_source(first).source)
    except UnsupportedCutError:
        raise
    except UserError:
        usable = False
    if not usable:
        raise UserError(
            f"{cuts.files[0]} is empty or no manifest of cuts with text: "
            "make it with 'sorigeul prepare'"
        )
    if cuts.files == [path] and not _ends_with_newline(path):
        raise UserError(f"{path} was cut off in its last line: make it or copy it again")
    return CutSet(lazy_cuts(path, audio_root))


def sample(cuts: CutSet, count: int, seed: int = 0) -> CutSet:
    """So many of the cuts at most, drawn by chance, in their order."""
    total = sum(1 for _ in cuts)
    if total <= count:
        return cuts
    chosen = set(Random(seed).sample(range(total), count))
    return CutSet.from_cuts(cut for index, cut in enumerate(cuts) if index in chosen)


def lazy_cuts(path: Path, audio_root: str = "", with_text: bool = True) -> "LazyCuts":
    """The cuts of a manifest, or of its archives if there are any: `train.shar` by `train.jsonl`.

    If recordings that are not in archives have moved, `audio_root` is the folder that has them now.
    `with_text`: whether a cut without a transcript is refused.
    """
    archive_manifests = _archive_manifests(_archive_folder(path))
    cuts = LazyCuts(archive_manifests or [path], with_text)
    if audio_root and not archive_manifests:
        written_paths = (audio_source(cut).source for cut in cuts)
        cuts.relocate = find_relocation(written_paths, Path(audio_root), path)
    return cuts


def _archive_folder(path: Path) -> Path:
    return path.with_suffix(".shar")


def _archive_manifests(folder: Path) -> list[Path]:
    """The manifests of all archives in a folder, in order. Raises UserError if one is missing."""
    paths = sorted(folder.glob("cuts.*.jsonl.gz"))
    for number, path in enumerate(paths):
        if path.name != (expected := f"cuts.{number:06d}.jsonl.gz"):
            raise UserError(f"{folder} has no {expected}: copy or make the archives again")
    return paths


def _ends_with_newline(path: Path) -> bool:
    """Whether the last line of a file is complete; true for an empty file."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 1, 0))
        return file.read() in (b"", b"\n")


class LazyCuts:
    """The cuts in files of JSON lines. Each iteration reads the files again.

    If there are several files (one for each archive), and a sampler is set, the order of the files
    changes with the sampler's epoch. A line that is no cut, or of whose recording or transcript
    something is missing, is a UserError.
    """

    def __init__(self, files: Sequence[Path], with_text: bool = True) -> None:
        self.files = files
        self.with_text = with_text
        """whether each cut must have a supervision"""
        self.relocate: Callable[[str], str] = str
        """maps the path of a recording in the manifest to its current path"""
        self.sampler: CutSampler | None = None
        """the sampler whose epochs decide the order of the files"""

    def __iter__(self) -> Iterator[MonoCut]:
        files = list(self.files)
        if self.sampler is not None and len(files) > 1:
            Random(f"{self.sampler.seed}/{self.sampler.epoch}").shuffle(files)
        for line in _read_lines(files):
            yield self._parsed(line, self._make_cut)

    def select(self, numbers: Collection[int]) -> Iterator[MonoCut]:
        """The cuts with these numbers, counted from 0 in the order of the files.

        Faster than an iteration, since no cut is made of the other lines.
        """
        for number, line in enumerate(_read_lines(self.files)):
            if number in numbers:
                yield self._parsed(line, self._make_cut)

    def _make_cut(self, file: Path, fields: dict[str, Any]) -> MonoCut:
        _check_kind(file, fields)
        _check_values(fields, self.with_text)
        cut = MonoCut.from_dict(fields)  # a third faster than letting lhotse detect the class
        # Kept with it, since augmentation changes the duration before the audio is loaded.
        cut.custom = {**(cut.custom or {}), _PART: _find_part(cut)}
        source = audio_source(cut)
        source.source = self._current_path(file, source.type, source.source)
        return cut

    def _parsed(self, line: "_Line", parse: Callable[[Path, Any], _Parsed]) -> _Parsed:
        """What `parse` makes of the file and content of a line; UserError if it is damaged."""
        try:
            line.content["id"] = utf8_name(line.content["id"])
            return parse(line.file, line.content)
        except _DAMAGE as error:
            kind = "cut with text" if self.with_text else "cut of a recording"
            raise UserError(
                f"{line.file}:{line.number} is no {kind}: make or copy the manifest again"
            ) from error

    def _current_path(self, file: Path, kind: str, path: str) -> str:
        return str(file.parent / path) if kind == "shar" else self.relocate(path)

    def fields(self) -> Iterator[dict[str, Any]]:
        """The cuts as JSON objects, for another manifest: their recordings have current paths."""
        for line in _read_lines(self.files):
            yield self._parsed(line, self._current_fields)

    def _current_fields(self, file: Path, fields: dict[str, Any]) -> dict[str, Any]:
        _check_kind(file, fields)
        _check_values(fields)
        if fields["supervisions"][0].get("text") is None:
            raise ValueError
        source = fields["recording"]["sources"][0]
        path = self._current_path(file, source["type"], source["source"])
        source["source"] = str(Path(path).absolute())  # the other manifest is in another folder
        return fields

    def transcripts(self) -> Iterator[tuple[str, str, float]]:
        """Id, NFC text and duration in seconds of each cut, in a third of the time of iterating."""
        for line in _read_lines(self.files):
            yield self._parsed(line, _transcript)


class CutPart(NamedTuple):
    """What a cut takes of its recording, if that is not all."""

    start: float
    """in seconds"""
    seconds: float | None
    """None: all of it"""
    channel: str
    """number of the channel in the file, from 1; empty for all of them, mixed"""


def part_of(cut: MonoCut) -> CutPart | None:
    """What a cut of a manifest takes of its recording; None for all of it."""
    part = (cut.custom or {}).get(_PART)
    return None if part is None else CutPart(*part)


def _find_part(cut: MonoCut) -> CutPart | None:
    recording = cut.recording
    # The duration by a header may be a little longer than what is decoded.
    whole = cut.start == 0 and cut.duration > recording.duration - _PART_TOLERANCE
    channel = ""
    if len(recording.channel_ids) > 1:
        channel = str(1 + recording.sources[0].channels.index(cut.channel))
    if whole and not channel:
        return None
    return CutPart(float(cut.start), None if whole else float(cut.duration), channel)


def _check_kind(file: Path, fields: dict[str, Any]) -> None:
    """Raise UnsupportedCutError for what lhotse can describe and is not read here."""
    kind, recording = fields.get("type", "MonoCut"), fields.get("recording") or {}
    if kind != "MonoCut":
        fault = f"is a {kind}, and only MonoCut is read"
    elif len(fields.get("supervisions", ())) > 1:
        fault = "has several supervisions, and only one is read: use lhotse's trim_to_supervisions"
    elif recording.get("transforms") or len(recording.get("sources", ())) > 1:
        fault = "has a recording with transforms or of several files, and only one file is read"
    else:
        return
    raise UnsupportedCutError(
        f"{file}: the cut {fields.get('id')} {fault}; save it as a file of its own with lhotse's "
        "save_audios"
    )


def _check_values(fields: dict[str, Any], with_text: bool = True) -> None:
    """Raise one of `_DAMAGE` if a value that is used is missing, or of another kind than lhotse's.

    lhotse takes any value, and whoever uses the cut could not say of which line it is.
    """
    recording = fields["recording"]
    supervision = fields["supervisions"][0] if with_text else {}
    texts = fields["id"], recording["sources"][0]["source"], supervision.get("text") or ""
    seconds = fields["start"], fields["duration"], recording["duration"]
    custom = fields.get("custom") or {}, supervision.get("custom") or {}
    if not (
        all(isinstance(text, str) for text in texts)
        and all(math.isfinite(number) and number >= 0 for number in seconds)
        and all(isinstance(one, dict) for one in custom)
    ):
        raise ValueError
    if (member := custom[0].get("member")) is not None:
        _, *places, compressed = ArchiveMember(**{"name": "", **member})
        if not all(isinstance(place, int) and place >= 0 for place in (*places, compressed or 0)):
            raise ValueError


def _transcript(_: Path, fields: dict[str, Any]) -> tuple[str, str, float]:
    id_, seconds = fields["id"], fields["duration"]
    text = fields["supervisions"][0].get("text") or ""
    if not (isinstance(id_, str) and math.isfinite(seconds) and seconds >= 0):
        raise ValueError
    return id_, unicodedata.normalize("NFC", text), float(seconds)


class UnsupportedCutError(UserError):
    """A cut that lhotse can describe, and whose audio is not read here."""


def follow_epochs(cuts: CutSet, sampler: CutSampler) -> None:
    """Read the archives of `cuts` in an order that changes with the epoch of `sampler`."""
    as_lazy_cuts(cuts).sampler = sampler


def as_lazy_cuts(cuts: CutSet) -> LazyCuts:
    """The `LazyCuts` behind a CutSet made by `open_manifest`."""
    assert isinstance(cuts.data, LazyCuts)
    return cuts.data


class _Line(NamedTuple):
    file: Path
    number: int
    """in the file, from 1"""
    content: Any
    """JSON; of a damaged manifest it may be anything"""


def _read_lines(files: Iterable[Path]) -> Iterator[_Line]:
    for path in files:
        number = 0
        check_regular(path)
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                for line in file:
                    number += 1
                    yield _Line(path, number, json.loads(line))
        except (ValueError, RecursionError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{path}:{number} cannot be read ({reason}): make or copy the manifest again"
            ) from error


def audio_source(cut: MonoCut) -> Any:
    """Where the recording of a cut is: lhotse's AudioSource, with `type` and `source`."""
    return cut.recording.sources[0]


def transcript(cut: MonoCut) -> str:
    """The transcript of a cut."""
    return str(cut.supervisions[0].text or "")


def speaker(cut: MonoCut) -> str:
    """The speaker of a cut, or an empty text."""
    return utf8_name(str(cut.supervisions[0].speaker or ""))


def normalizer(cuts: CutSet) -> str:
    """Name and version of the normaliser that was applied to the transcripts of a manifest."""
    custom = next(iter(cuts)).supervisions[0].custom or {}
    return str(custom.get("normalizer", "unknown"))
