"""The list of recordings to transcribe, read from manifests or from a text file with paths."""

import glob
import os
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

from lhotse import MonoCut

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular
from sorigeul.base.progress import progress_bar
from sorigeul.data import manifests
from sorigeul.data.cut_audio import load_samples
from sorigeul.data.manifests import CutPart
from sorigeul.sound import audio
from sorigeul.sound.audio import AudioError, Samples
from sorigeul.sound.moved_recordings import find_relocation
from sorigeul.sound.recording_paths import RecordingFinder
from sorigeul.sound.segments import SegmentedRecording, SegmentLimits
from sorigeul.text.file_encoding import read_text_file

_THREADS = 16  # look at files at the same time, for storage with high latency


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """A recording to transcribe."""

    id: str
    audio: str
    """path of the file, or of the archive that contains it"""
    seconds: float
    """duration by the manifest, or by the header of the file; 0 if that cannot be read"""
    member: dict[str, int] | None = None
    """position in the archive `audio`; None for a file"""

    part: CutPart | None = None
    """what is recognised of it; None: all of it"""
    fault: str = ""
    """why it cannot be found, if that is so"""

    @classmethod
    def from_cut(cls, cut: MonoCut, manifest: Path) -> "RecordingEntry":
        """That of a cut in a manifest. Raises UserError if it cannot be found in its archive."""
        source, member = manifests.audio_source(cut), (cut.custom or {}).get("member")
        if source.type == "shar" and member is None:
            raise UserError(
                f"{manifest}: does not say where in its archive {cut.id} is: make the archives "
                "with 'sorigeul prepare --shards'"
            )
        part = manifests.part_of(cut)
        return cls(cut.id, source.source, float(cut.duration), member, part)

    def samples(self) -> Samples:
        """Read what is recognised of it (N,) at 16 kHz. Raises AudioError."""
        if self.fault:
            raise AudioError(self.fault)
        return load_samples(self.id, self.audio, self.member is not None, self.member, self.part)

    def load(self, limits: SegmentLimits) -> SegmentedRecording:
        """Read the recording and find its speech segments. Raises AudioError."""
        return SegmentedRecording.from_samples(self.samples(), limits)


def read_recording_list(
    manifest: Path, split: str = "", audio_root: str = ""
) -> list[RecordingEntry]:
    """The recordings of a prepared folder or one split of it, of a manifest, or of a list of paths.

    If the recordings have moved, `audio_root` is the folder that contains them now. Raises
    UserError if there are no recordings, or if the manifest or the list cannot be read.
    """
    files = [manifest]
    if manifest.is_dir():
        files = sorted(manifest.glob(f"{glob.escape(split) if split else '*'}.jsonl"))
        if not files:
            found = ", ".join(sorted(path.stem for path in manifest.glob("*.jsonl"))) or "none"
            raise UserError(
                f"{manifest} has no manifest {split or '*'}.jsonl (found: {found}): make it with "
                "'sorigeul prepare', or give a text file with the path of a recording a line"
            )
    elif split:
        raise UserError(
            f"split {split} chooses a manifest of a folder, but {manifest} is not a folder: "
            "leave the split out"
        )
    entries = []
    for file in files:
        read = _read_manifest if file.suffix == ".jsonl" else _read_paths
        try:
            check_regular(file)
            entries += read(file, audio_root)
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror}); check the path") from error
    if not entries:
        raise UserError(f"{manifest} holds no recording")
    return entries


def _read_manifest(path: Path, audio_root: str) -> list[RecordingEntry]:
    cuts = manifests.lazy_cuts(path, audio_root, with_text=False)
    return [RecordingEntry.from_cut(cut, path) for cut in cuts]


def _read_paths(path: Path, audio_root: str) -> list[RecordingEntry]:
    """The recordings of a text file with one path a line, relative to the folder of that file."""
    text = read_text_file(path)
    names = [name for line in text.split("\n") if (name := line.strip())]
    entries = []
    first_error = ""
    with ThreadPool(_THREADS) as pool, progress_bar("reading lengths", len(names)) as advance:
        found = _find_all(names, path, audio_root, pool)
        durations = pool.imap(_read_duration, found, chunksize=16)
        for name, (audio_path, fault), duration in zip(names, found, durations, strict=True):
            if isinstance(duration, str):
                first_error, duration = first_error or duration, 0.0
            entries.append(RecordingEntry(name, audio_path, duration, fault=fault))
            advance(1, "")
    if entries and not any(entry.seconds for entry in entries):
        raise UserError(f"none of the recordings in {path} can be read; the first: {first_error}")
    return entries


def _find_all(
    names: list[str], source: Path, audio_root: str, pool: ThreadPool
) -> list[tuple[str, str]]:
    """The path of each recording that is named in `source`, and why it cannot be found, or ""."""
    if audio_root:
        names = [str(source.absolute().parent / name) for name in names]
        names = list(map(find_relocation(names, Path(audio_root), source), names))
    paths = [str(source.parent / name) for name in names]
    finder = RecordingFinder()
    found = []
    for name, path, exists in zip(names, paths, pool.map(os.path.exists, paths), strict=True):
        fault = ""
        if not exists:
            try:
                path = str(finder.find(name, source.parent))
            except UserError as error:
                fault = str(error)
        found.append((path, fault))
    return found


def _read_duration(found: tuple[str, str]) -> float | str:
    """Duration of a recording in seconds, or the reason why it cannot be read."""
    path, fault = found
    try:
        return fault or audio.probe(path)
    except AudioError as error:
        return str(error)
