"""A whole corpus to text, in one file of JSON lines; an interrupted one goes on where it stopped.

Recordings of about one length are recognised side by side, in the same company whoever does the
work: in one go, resumed, or shared out by `torchrun`, the outcome is the same to the letter. Each
process appends what it finds to a file of its own beside the output; the first puts all in order.
Knows what there is to do and what is done; nothing of models.
"""

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import torch

from sorigeul.base.errors import UserError
from sorigeul.base.process_pool import map_in_order
from sorigeul.base.progress import progress_bar
from sorigeul.base.stopping import StopRequests
from sorigeul.pretrained.loading import PretrainedModel, load_pretrained
from sorigeul.recognition.recognizer import Recognizer, default_device, group_by_seconds
from sorigeul.recognition.recording_list import RecordingEntry, read_recording_list
from sorigeul.recognition.shard_results import Row, ShardResults, shard_files
from sorigeul.recognition.transcription import Transcription
from sorigeul.search.inference import Precision
from sorigeul.sound.audio import AudioError
from sorigeul.sound.segments import WHOLE_SECONDS, SegmentedRecording

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0  # between two looks at what all processes have written
_PATIENCE_SECONDS = 3600.0  # without a line from any of them
_SHORTEST_SECONDS = 1.0  # what a recording counts at least, so that no batch holds thousands
_NAMED_FAILURES = 5
_GPU_JOBS = 4  # processes that read recordings for a GPU; not measured

Batch = list[int]
"""recordings that are recognised side by side, by their places in the manifest"""


@dataclass(frozen=True)
class CorpusOptions:
    """How a corpus is transcribed."""

    split: str = ""
    """which manifest of a folder; if empty, all of them"""
    audio_root: str = ""
    """folder that holds the recordings now, if they have moved"""
    batch_seconds: float = 0.0
    """seconds of sound recognised in one batch; 0: the device decides"""
    jobs: int = 0
    """processes that read recordings ahead; 0: the device decides"""
    precision: Precision = "float32"
    beam: int = 0
    """as of `search.decoding.search`"""

    def __post_init__(self) -> None:
        for setting in ("batch_seconds", "jobs"):
            value = getattr(self, setting)
            if value < 0:
                raise UserError(f"{setting} is {value:g}, but must be 0 or more")


def transcribe_corpus(
    run: str, manifest: Path, out: Path, options: CorpusOptions | None = None
) -> None:
    """Recognize all recordings of `manifest` with the model `run`; write `out`, one line for each.

    Each process of `torchrun` does its share. SIGINT and SIGTERM stop after the current batch, and
    the same call continues from there. Raises UserError for what cannot be used and, once all is
    done, if recordings could not be read.
    """
    options = options or CorpusOptions()
    if out.is_dir():
        raise UserError(f"{out} is a folder: give a file, such as {out / 'texts.jsonl'}")
    if out.exists() and not shard_files(out):
        raise UserError(f"{out} is there already: remove it, or choose another name")
    rank, world_size, local_rank = (
        int(os.environ.get(name, usual))
        for name, usual in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
    )
    entries = read_recording_list(manifest, options.split, options.audio_root)
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank % torch.cuda.device_count())
    pretrained = load_pretrained(run, default_device())
    origin = {
        "model": _model_hash(pretrained),
        "precision": options.precision,
        "beam": str(options.beam),
        "manifest": _manifest_hash(entries),
    }
    recognizer = Recognizer(pretrained, options.precision, options.beam)
    recognizer.batch_seconds = options.batch_seconds or recognizer.batch_seconds
    share = shares(batches(entries, recognizer.batch_seconds), entries, world_size)[rank]
    lengths = [entry.seconds for entry in entries]
    with ShardResults(out, rank, lengths, origin) as parts, StopRequests() as stop:
        todo = [batch for batch in share if any(place not in parts.rows for place in batch)]
        _recognize(recognizer, entries, todo, parts, options.jobs, stop)
        if rank > 0:
            return
        if not parts.complete:
            log.info("stopped at %s; the same command goes on from there", _progress(parts))
            return
        parts.merge()
    _conclude(parts)


def _recognize(
    recognizer: Recognizer,
    entries: Sequence[RecordingEntry],
    todo: Sequence[Batch],
    parts: ShardResults,
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
            for batch, sounds in map_in_order(read, todo, jobs, 1, partial(_name, entries)):
                parts.append(batch, _rows(recognizer, [entries[place] for place in batch], sounds))
                if parts.rank == 0 and time.monotonic() - parts.looked > _POLL_SECONDS:
                    advance(parts.read(), _progress(parts))
                if stop.requested:
                    break
        except UserError:
            if not stop.requested:  # else the same signal has ended those that read
                raise
        except torch.OutOfMemoryError as error:
            raise UserError(
                "the memory of the GPU is full: give a --batch_seconds below "
                f"{recognizer.batch_seconds:g}"
            ) from error
        while parts.rank == 0:
            advance(parts.read(), _progress(parts))
            if parts.complete or stop.requested:
                break
            if parts.looked - parts.changed > _PATIENCE_SECONDS:
                raise UserError(
                    f"the other processes have written nothing for {_PATIENCE_SECONDS / 60:.0f} "
                    f"minutes, at {_progress(parts)}: end them; the same command goes on from there"
                )
            time.sleep(_POLL_SECONDS)


def _progress(parts: ShardResults) -> str:
    failed = f" ({len(parts.failures):,} of them unreadable)" if parts.failures else ""
    return (
        f"{len(parts.rows):,} of {len(parts.lengths):,} recordings{failed}, "
        f"{parts.speed:,.0f} times real time"
    )


def _conclude(parts: ShardResults) -> None:
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


def batches(entries: Sequence[RecordingEntry], batch_seconds: float) -> list[Batch]:
    """All recordings, those of about one length together, the longest first."""
    order = sorted(range(len(entries)), key=lambda place: -entries[place].seconds)
    seconds = [max(entries[place].seconds, _SHORTEST_SECONDS) for place in order]
    return [order[some] for some in group_by_seconds(seconds, batch_seconds)]


def shares(
    batches: Sequence[Batch], entries: Sequence[RecordingEntry], world_size: int
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


def _sounds(entries: Sequence[RecordingEntry], batch: Batch) -> list[SegmentedRecording | str]:
    """The recordings of a batch; in place of one that cannot be read, why."""
    sounds: list[SegmentedRecording | str] = []
    for place in batch:
        try:
            sounds.append(entries[place].sound())
        except AudioError as error:
            sounds.append(str(error))
    return sounds


def _name(entries: Sequence[RecordingEntry], batch: Batch) -> str:
    return " or ".join(sorted({entries[batch[0]].audio, entries[batch[-1]].audio}))


# What is found.


def _rows(
    recognizer: Recognizer,
    entries: Sequence[RecordingEntry],
    sounds: Sequence[SegmentedRecording | str],
) -> list[Row]:
    """What the output says of each recording of a batch."""
    found = iter(
        recognizer.transcribe_all([one for one in sounds if isinstance(one, SegmentedRecording)])
    )
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


def _model_hash(pretrained: PretrainedModel) -> str:
    """Of all that decides what the model writes."""
    model = pretrained.model
    hashed = hashlib.sha256(
        f"{model.config} {pretrained.features} {pretrained.vocabulary.hash}".encode()
    )
    for name, weights in model.state_dict().items():
        hashed.update(name.encode())
        hashed.update(weights.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return hashed.hexdigest()


def _manifest_hash(entries: Sequence[RecordingEntry]) -> str:
    """Of what the recordings are, wherever they lie."""
    hashed = hashlib.sha256()
    for entry in entries:
        hashed.update(f"{entry.id} {entry.seconds}\n".encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()
