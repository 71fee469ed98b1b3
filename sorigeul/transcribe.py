"""A whole corpus to text, in one file of JSON lines; an interrupted one goes on where it stopped.

Recordings of about one length are recognised side by side, in the same company whoever does the
work: in one go, resumed, or shared out by `torchrun`, the outcome is the same to the letter. Each
process appends what it finds to a file of its own beside the output; the first puts all in order.
Knows what there is to do and what is done; nothing of models.
"""

import glob
import hashlib
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from random import Random

import torch
from lhotse import AudioSource, MonoCut, Recording

from sorigeul import audio, checkpoint, manifests
from sorigeul.audio import SAMPLE_RATE, AudioError
from sorigeul.checkpoint import Pretrained
from sorigeul.corpora.pool import in_order
from sorigeul.errors import UserError
from sorigeul.model.inference import Precision
from sorigeul.parts import Parts, Row, kept
from sorigeul.progress import progress_bar
from sorigeul.recognizer import (
    WHOLE_SECONDS,
    Recognizer,
    Speech,
    Transcription,
    default_device,
    side_by_side,
)
from sorigeul.stopping import StopRequests

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0  # between two looks at what all processes have written
_PATIENCE_SECONDS = 3600.0  # without a line from any of them
_SHORTEST_SECONDS = 1.0  # what a recording counts at least, so that no batch holds thousands
_PROBES = 16  # lengths looked up at a time, for storage that answers late
_NAMED_FAILURES = 5
_GPU_JOBS = 4  # processes that read recordings for a GPU; not measured

Batch = list[int]
"""recordings that are recognised side by side, by their places in the manifest"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording to recognise."""

    id: str
    audio: str
    """path of its file"""
    seconds: float
    """length by the manifest, or by the header of the file; 0 where that cannot be read"""
    member: dict[str, int] | None = None
    """where it is in `audio`, if that is an archive"""

    def sound(self) -> Speech:
        """What is heard in it. Raises AudioError."""
        source = AudioSource("shar" if self.member else "file", [0], self.audio)
        samples = round(self.seconds * SAMPLE_RATE)
        recording = Recording(self.id, [source], SAMPLE_RATE, samples, self.seconds)
        custom = {"member": self.member}
        cut = MonoCut(self.id, 0, self.seconds, 0, recording=recording, custom=custom)
        return Speech.of(audio.Recording(manifests.sound(cut), ()))


def transcribe_corpus(
    run: str,
    manifest: Path,
    out: Path,
    split: str = "",
    audio_root: str = "",
    batch_seconds: float = 0.0,
    jobs: int = 0,
    precision: Precision = "float32",
    beam: int = 0,
) -> None:
    """Recognise all recordings of `manifest` with the model `run`; write `out`, a line for each.

    Each process of `torchrun` does its share. SIGINT and SIGTERM end it after the batch at hand,
    and the same call goes on from there. Where they are 0, the device decides on `batch_seconds`,
    and on how many `jobs` read recordings. Raises UserError for what cannot be used and, once all
    is done, where recordings could not be read.
    """
    if batch_seconds < 0:
        raise UserError(f"batch_seconds is {batch_seconds:g}, but must be 0 or more")
    if jobs < 0:
        raise UserError(f"jobs is {jobs}, but must be 0 or more")
    if out.is_dir():
        raise UserError(f"{out} is a folder: give a file, such as {out / 'texts.jsonl'}")
    if out.exists() and not kept(out):
        raise UserError(f"{out} is there already: remove it, or choose another name")
    rank, world_size, local_rank = (
        int(os.environ.get(name, usual))
        for name, usual in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
    )
    entries = read_manifest(manifest, split, audio_root)
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank % torch.cuda.device_count())
    pretrained = checkpoint.load(run, default_device())
    origin = {
        "model": _model_hash(pretrained), "precision": precision, "beam": str(beam),
        "manifest": _manifest_hash(entries),
    }  # fmt: skip
    recognizer = Recognizer(pretrained, precision, beam)
    recognizer.batch_seconds = batch_seconds or recognizer.batch_seconds
    share = shares(batches(entries, recognizer.batch_seconds), entries, world_size)[rank]
    lengths = [entry.seconds for entry in entries]
    with Parts(out, rank, lengths, origin) as parts, StopRequests() as stop:
        todo = [batch for batch in share if any(place not in parts.rows for place in batch)]
        _recognize(recognizer, entries, todo, parts, jobs, stop)
        if rank > 0:
            return
        if not parts.complete:
            log.info("stopped at %s; the same command goes on from there", _progress(parts))
            return
        parts.merge()
    _conclude(parts)


def _recognize(
    recognizer: Recognizer,
    entries: Sequence[Entry],
    todo: Sequence[Batch],
    parts: Parts,
    jobs: int,
    stop: StopRequests,
) -> None:
    """Recognise the batches of this process; the first one then waits for the others."""
    device = recognizer.device.type
    jobs = jobs or (1 if device == "cpu" else _GPU_JOBS)  # a CPU is busy enough
    read = partial(_sounds, entries)
    total = sum(parts.lengths)
    with progress_bar("transcribing", total, parts.seconds, counted=False) as advance:
        try:
            for batch, sounds in in_order(read, todo, jobs, 1, partial(_name, entries)):
                parts.append(batch, _rows(recognizer, [entries[place] for place in batch], sounds))
                if parts.rank == 0 and time.monotonic() - parts.looked > _POLL_SECONDS:
                    advance(parts.read(), _progress(parts))
                if stop.asked:
                    break
        except UserError:
            if not stop.asked:  # else the same signal has ended those that read
                raise
        except torch.OutOfMemoryError as error:
            raise UserError(
                "the memory of the GPU is full: give a --batch_seconds below "
                f"{recognizer.batch_seconds:g}"
            ) from error
        while parts.rank == 0:
            advance(parts.read(), _progress(parts))
            if parts.complete or stop.asked:
                break
            if parts.looked - parts.changed > _PATIENCE_SECONDS:
                raise UserError(
                    f"the other processes have written nothing for {_PATIENCE_SECONDS / 60:.0f} "
                    f"minutes, at {_progress(parts)}: end them; the same command goes on from there"
                )
            time.sleep(_POLL_SECONDS)


def _progress(parts: Parts) -> str:
    failed = f" ({len(parts.failures):,} of them unreadable)" if parts.failures else ""
    return (
        f"{len(parts.rows):,} of {len(parts.lengths):,} recordings{failed}, "
        f"{parts.speed:,.0f} times real time"
    )


def _conclude(parts: Parts) -> None:
    """Say how it went; raise UserError where recordings could not be read."""
    for place in sorted(parts.failures)[:_NAMED_FAILURES]:
        log.warning("%s", parts.failures[place])
    heard = sum(parts.lengths) - sum(parts.lengths[place] for place in parts.failures)
    log.info("%s: %s, %.2f h of sound", parts.out, _progress(parts), heard / 3600)
    if parts.failures:
        raise UserError(
            f"{len(parts.failures):,} of {len(parts.lengths):,} recordings could not be read; "
            f"their lines in {parts.out} hold an error in place of a text"
        )


# What there is to do.


def read_manifest(manifest: Path, split: str = "", audio_root: str = "") -> list[Entry]:
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


def _cuts(path: Path, audio_root: str) -> list[Entry]:
    archives = sorted(path.with_suffix(".shar").glob("cuts.*.jsonl.gz"))
    cuts = manifests.LazyCuts(archives or [path])
    if audio_root and not archives:
        written = (str(cut.recording.sources[0].source) for cut in cuts)
        cuts.place = manifests.moved(written, Path(audio_root), path)
    entries: list[Entry] = []
    try:
        for cut in cuts:
            whole = cut.start == 0 and abs(cut.duration - cut.recording.duration) < 0.05
            (source,) = cut.recording.sources
            member = cut.custom["member"] if source.type == "shar" else None
            entries.append(Entry(cut.id, str(source.source), float(cut.duration), member))
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


def _listed(path: Path, audio_root: str) -> list[Entry]:
    """Recordings listed a line each; relative paths begin at the folder of the list."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: save it as UTF-8, a path a line") from error
    names = [line.strip() for line in lines if line.strip()]
    paths = [str(path.parent / name) for name in names]
    if audio_root:
        paths = list(map(manifests.moved(paths, Path(audio_root), path), paths))
    entries, first = [], ""
    with ThreadPool(_PROBES) as pool, progress_bar("reading lengths", len(names)) as advance:
        lengths = pool.imap(_length, paths, chunksize=16)
        for name, place, length in zip(names, paths, lengths, strict=True):
            if isinstance(length, str):
                first, length = first or length, 0.0
            entries.append(Entry(name, place, length))
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


def batches(entries: Sequence[Entry], batch_seconds: float) -> list[Batch]:
    """All recordings, those of about one length together, the longest first."""
    order = sorted(range(len(entries)), key=lambda place: -entries[place].seconds)
    seconds = [max(entries[place].seconds, _SHORTEST_SECONDS) for place in order]
    return [order[some] for some in side_by_side(seconds, batch_seconds)]


def shares(
    batches: Sequence[Batch], entries: Sequence[Entry], world_size: int
) -> list[list[Batch]]:
    """The batches that each process recognises: as many seconds for one as for another.

    The longest batch of each comes first, so that too little memory shows at once; the others in
    any order, so that the time left can be told from the time taken.
    """
    loads = [0.0] * world_size
    shares: list[list[Batch]] = [[] for _ in range(world_size)]
    for batch in batches:  # the longest first: what is left to balance gets ever smaller
        least = loads.index(min(loads))
        loads[least] += sum(entries[place].seconds for place in batch)
        shares[least].append(batch)
    for share in shares:
        rest = share[1:]
        Random(0).shuffle(rest)
        share[1:] = rest
    return shares


def _sounds(entries: Sequence[Entry], batch: Batch) -> list[Speech | str]:
    """The recordings of a batch; in place of one that cannot be read, why."""
    sounds: list[Speech | str] = []
    for place in batch:
        try:
            sounds.append(entries[place].sound())
        except AudioError as error:
            sounds.append(str(error))
    return sounds


def _name(entries: Sequence[Entry], batch: Batch) -> str:
    return " or ".join(sorted({entries[batch[0]].audio, entries[batch[-1]].audio}))


# What is found.


def _rows(
    recognizer: Recognizer, entries: Sequence[Entry], sounds: Sequence[Speech | str]
) -> list[Row]:
    """What the output says of each recording of a batch."""
    found = iter(recognizer.transcribe_all([one for one in sounds if isinstance(one, Speech)]))
    return [
        {"id": entry.id, "audio": entry.audio}
        | ({"error": sound} if isinstance(sound, str) else _row(next(found)))
        for entry, sound in zip(entries, sounds, strict=True)
    ]


def _row(found: Transcription) -> Row:
    row: Row = {
        "duration": round(found.duration, 3),
        "text": found.text,
        "confidence": round(found.confidence, 4),
        "finished": found.finished,
    }
    if found.duration > WHOLE_SECONDS:
        row["segments"] = [
            {
                "start": round(segment.start, 3),
                "end": round(segment.end, 3),
                "text": segment.text,
                "confidence": round(segment.confidence, 4),
            }
            for segment in found.segments
        ]
    return row


def _model_hash(pretrained: Pretrained) -> str:
    """Of all that decides what the model writes."""
    model = pretrained.model
    hashed = hashlib.sha256(
        f"{model.config} {pretrained.features} {pretrained.vocabulary.hash}".encode()
    )
    for name, weights in model.state_dict().items():
        hashed.update(name.encode())
        hashed.update(weights.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return hashed.hexdigest()


def _manifest_hash(entries: Sequence[Entry]) -> str:
    """Of what the recordings are, wherever they lie."""
    hashed = hashlib.sha256()
    for entry in entries:
        hashed.update(f"{entry.id} {entry.seconds}\n".encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()
