"""A whole corpus to text, in one file of JSON lines; an interrupted one goes on where it stopped.

Recordings of about one length are recognised side by side, in the same company whoever does the
work: in one go, resumed, or shared out by `torchrun`, the outcome is the same to the letter. Each
process appends what it finds to a file of its own beside the output; the first puts all in order.
Knows what there is to do and what is done; nothing of models.
"""

import glob
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

from lhotse import AudioSource, MonoCut, Recording

from sorigeul.base.errors import UserError
from sorigeul.base.progress import progress_bar
from sorigeul.data import manifests
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.relocation import find_relocation
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, AudioError
from sorigeul.sound.segments import SegmentedRecording

_PROBES = 16  # lengths looked up at a time, for storage that answers late


@dataclass(frozen=True, slots=True)
class RecordingEntry:
    """A recording to recognise."""

    id: str
    audio: str
    """path of its file"""
    seconds: float
    """length by the manifest, or by the header of the file; 0 where that cannot be read"""
    member: dict[str, int] | None = None
    """where it is in `audio`, if that is an archive"""

    def sound(self) -> SegmentedRecording:
        """What is heard in it. Raises AudioError."""
        source = AudioSource("shar" if self.member else "file", [0], self.audio)
        samples = round(self.seconds * SAMPLE_RATE)
        recording = Recording(self.id, [source], SAMPLE_RATE, samples, self.seconds)
        custom = {"member": self.member}
        cut = MonoCut(self.id, 0, self.seconds, 0, recording=recording, custom=custom)
        return SegmentedRecording.from_recording(audio.Recording(load_cut_audio(cut), ()))


# What there is to do.


def read_recording_list(
    manifest: Path, split: str = "", audio_root: str = ""
) -> list[RecordingEntry]:
    """The recordings of a prepared folder or one split of it, of a manifest, or of a list of paths.

    Where they have moved, `audio_root` is the folder that holds them now. Raises UserError where
    there are none.
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
        raise UserError(f"split {split} is a manifest of a folder, but {manifest} is none")
    entries = []
    for file in files:
        try:
            read = _cuts if file.suffix == ".jsonl" else _listed
            entries += read(file, audio_root)
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror}); check the path") from error
    if not entries:
        raise UserError(f"{manifest} holds no recording")
    return entries


def _cuts(path: Path, audio_root: str) -> list[RecordingEntry]:
    archives = sorted(path.with_suffix(".shar").glob("cuts.*.jsonl.gz"))
    cuts = manifests.LazyCuts(archives or [path])
    if audio_root and not archives:
        written = (str(cut.recording.sources[0].source) for cut in cuts)
        cuts.relocate = find_relocation(written, Path(audio_root), path)
    entries: list[RecordingEntry] = []
    try:
        for cut in cuts:
            whole = cut.start == 0 and abs(cut.duration - cut.recording.duration) < 0.05
            (source,) = cut.recording.sources
            member = cut.custom["member"] if source.type == "shar" else None
            entries.append(RecordingEntry(cut.id, str(source.source), float(cut.duration), member))
            if not whole:
                raise UserError(
                    f"{path}: {cut.id} is a part of a recording, but only whole ones can be "
                    "recognised: save it as a file of its own"
                )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError) as error:
        raise UserError(
            f"{path}: what comes after {len(entries)} recordings is none: make the manifest with "
            "'sorigeul prepare'"
        ) from error
    return entries


def _listed(path: Path, audio_root: str) -> list[RecordingEntry]:
    """Recordings listed a line each; relative paths begin at the folder of the list."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: save it as UTF-8, a path a line") from error
    names = [line.strip() for line in lines if line.strip()]
    paths = [str(path.parent / name) for name in names]
    if audio_root:
        paths = list(map(find_relocation(paths, Path(audio_root), path), paths))
    entries, first = [], ""
    with ThreadPool(_PROBES) as pool, progress_bar("reading lengths", len(names)) as advance:
        lengths = pool.imap(_length, paths, chunksize=16)
        for name, place, length in zip(names, paths, lengths, strict=True):
            if isinstance(length, str):
                first, length = first or length, 0.0
            entries.append(RecordingEntry(name, place, length))
            advance(1, "")
    if entries and not any(entry.seconds for entry in entries):
        raise UserError(f"none of the recordings in {path} can be read; the first: {first}")
    return entries


def _length(path: str) -> float | str:
    """Seconds of a recording, or why it has none."""
    try:
        return audio.probe(path)
    except AudioError as error:
        return str(error)
