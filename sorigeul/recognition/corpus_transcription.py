"""Transcription of a whole corpus into one file of JSON lines, by one or several processes.

Each process appends its results to a file of its own beside the output; the first process merges
them in the end. An interrupted transcription resumes from these files. Every recording is in the
same batch with the same others, however the work is divided, so the output is the same to the byte:
in one go, resumed, or shared by the processes of `torchrun`.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import torch

from sorigeul.base.capacity import refuse_too_many_processes
from sorigeul.base.errors import UserError
from sorigeul.base.outputs import Output, refuse_overwriting
from sorigeul.base.process_pool import map_in_order
from sorigeul.base.progress import Advance, progress_bar
from sorigeul.base.ranges import BATCH_SECONDS, PROCESSES, check_ranges
from sorigeul.base.stopping import StopRequests
from sorigeul.recognition.batching import Batch, assign_batches, length_batches
from sorigeul.recognition.fingerprints import model_fingerprint, search_fingerprint
from sorigeul.recognition.model_loading import load_model, with_own_language_model
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.recording_list import RecordingEntry, read_recording_list
from sorigeul.recognition.search_setup import SearchSetup
from sorigeul.recognition.shard_results import Row, ShardResults, shard_files
from sorigeul.recognition.transcription import Transcription
from sorigeul.recognition.writers import spoken_fields
from sorigeul.recognition.written_text import written_transcription
from sorigeul.search.options import Precision, SearchRequest
from sorigeul.sound.audio import AudioError
from sorigeul.sound.segments import SegmentedRecording, SegmentLimits

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0  # between two reads of the results of all processes
_PATIENCE_SECONDS = 3600.0  # without a new result of any process, until the first one gives up
_LISTED_FAILURES = 5
_OF_TORCHRUN = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
"""variables of the environment, and what they are without it"""
_LONG_SECONDS = 20.0  # rows of longer recordings list their segments, even if there is one only
_GPU_JOBS = 4  # processes that read recordings for a GPU; not measured


@dataclass(frozen=True)
class CorpusOptions:
    """How a corpus is transcribed."""

    split: str = ""
    """which manifest of a folder; if empty, all of them"""
    audio_root: str = ""
    """folder that contains the recordings now, if they have moved"""
    batch_seconds: Annotated[float, BATCH_SECONDS] = 0.0
    """seconds of audio in a batch; 0: depends on the device"""
    jobs: Annotated[int, PROCESSES] = 0
    """processes that read recordings ahead; 0: depends on the device"""
    precision: Precision = "float32"
    search: SearchRequest = field(default_factory=SearchRequest)
    """how to search, and with what"""
    overwrite: bool = False
    """whether a file that is there may be replaced"""
    resume: bool = False
    """whether nothing is done if the file is there and has all recordings, by whatever model"""
    written: bool = False
    """whether numbers, units and letters are written in digits and signs: 70% for 칠십 퍼센트"""

    def __post_init__(self) -> None:
        check_ranges(self)
        refuse_too_many_processes("jobs", self.jobs)


def transcribe_corpus(
    run: str, manifest: Path, out: Path, options: CorpusOptions | None = None
) -> None:
    """Transcribe all recordings of `manifest` with the model `run`; write `out`, one line for each.

    Each process of `torchrun` does its share. SIGINT and SIGTERM stop after the current batch, and
    the same call resumes from there. Raises UserError for arguments that cannot be used and, after
    everything else is done, for recordings that could not be read.
    """
    options = options or CorpusOptions()
    if out.is_dir():
        raise UserError(f"{out} is a folder: give a file, such as {out / 'texts.jsonl'}")
    rank, world_size, local_rank = _place_among_processes()
    entries = read_recording_list(manifest, options.split, options.audio_root)
    inputs: list[str | Path] = [manifest, *(entry.audio for entry in entries)]
    begun = bool(shard_files(out))  # by the same command
    if options.resume and not (begun or options.overwrite) and out.is_file():
        _report_done(out, entries)
        return
    remedy = "give --resume if it may be complete, "
    refuse_overwriting([Output(out, "--out")], inputs, options.overwrite or begun, remedy)
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank % torch.cuda.device_count())
    request = with_own_language_model(run, options.search)
    pretrained = load_model(run, request, options.precision)
    setup = SearchSetup.load(pretrained, request)
    basis = {
        "model": model_fingerprint(pretrained),
        "precision": options.precision,
        "search": search_fingerprint(setup),
        "manifest": _manifest_hash(entries),
    }
    if options.written:
        from sorigeul.text import written_form  # a third of a second goes into its patterns

        basis["text form (--written)"] = str(written_form.VERSION)
    recognizer = Recognizer(pretrained, options.precision, setup)
    recognizer.batch_seconds = options.batch_seconds or recognizer.batch_seconds
    durations = [entry.seconds for entry in entries]
    batches = length_batches(durations, recognizer.batch_seconds)
    own_batches = assign_batches(batches, durations, world_size)[rank]
    with ShardResults(out, rank, durations, basis) as results, StopRequests() as stop:
        remaining = [
            batch for batch in own_batches if any(index not in results.rows for index in batch)
        ]
        _transcribe_batches(recognizer, entries, remaining, results, options, stop)
        if rank > 0:
            return
        if not results.complete:
            log.info("stopped at %s; the same command goes on from there", _progress(results))
            return
        results.merge()
    _report(results)


def _place_among_processes() -> tuple[int, int, int]:
    """The number of this process, how many there are, and its number on this machine.

    From the variables that torchrun sets. Raises UserError if these are no such numbers.
    """
    given = {name: os.environ.get(name, default) for name, default in _OF_TORCHRUN.items()}
    try:
        rank, world_size, local_rank = map(int, given.values())
    except ValueError:
        rank, world_size, local_rank = -1, 0, 0
    if not (0 <= rank < world_size and local_rank >= 0):
        told = ", ".join(f"{name}={value}" for name, value in given.items())
        raise UserError(f"{told} in the environment cannot be: unset them, or start with torchrun")
    return rank, world_size, local_rank


def _transcribe_batches(
    recognizer: Recognizer,
    entries: Sequence[RecordingEntry],
    batches: Sequence[Batch],
    results: ShardResults,
    options: CorpusOptions,
    stop: StopRequests,
) -> None:
    """Transcribe the batches of this process. The first process then waits for the others."""
    on_cpu = str(recognizer.device) == "cpu"
    jobs = options.jobs or (1 if on_cpu else _GPU_JOBS)  # recognition keeps a CPU busy
    load = partial(_load_batch, entries, recognizer.limits)
    total = sum(results.durations)

    def transcribe(loaded: tuple[Batch, list[SegmentedRecording | str]]) -> tuple[Batch, list[Row]]:
        batch, recordings = loaded
        batch_entries = [entries[index] for index in batch]
        return batch, _rows(recognizer, batch_entries, recordings, options.written)

    read = map_in_order(load, batches, jobs, 1, item_name=partial(_batch_name, entries))
    try:
        with closing(read):
            first = list(islice(read, 1))  # before the bar starts a thread, which no fork survives
            with (
                progress_bar("transcribing", total, results.seconds, counted=False) as advance,
                recognizer.threads() as threads,
            ):
                for batch, rows in threads.map(transcribe, chain(first, read)):
                    results.append(batch, rows)
                    if results.rank == 0 and time.monotonic() - results.read_at > _POLL_SECONDS:
                        advance(results.read(), _progress(results))
                    if stop.requested:
                        break
                if results.rank == 0:
                    _wait_for_others(results, advance, stop)
    except UserError:
        # The signal that requested the stop may also have ended the processes of `load`.
        if not stop.requested:
            raise
    except torch.OutOfMemoryError as error:
        raise UserError(
            "the memory of the GPU is full: give a --batch_seconds below "
            f"{recognizer.batch_seconds:g}"
        ) from error


def _wait_for_others(results: ShardResults, advance: Advance, stop: StopRequests) -> None:
    """Until all processes have transcribed what is theirs, or a stop is requested."""
    while True:
        advance(results.read(), _progress(results))
        if results.complete or stop.requested:
            return
        if results.read_at - results.progress_at > _PATIENCE_SECONDS:
            raise UserError(
                f"the other processes have written nothing for {_PATIENCE_SECONDS / 60:.0f} "
                f"minutes, at {_progress(results)}: end them; the same command goes on from there"
            )
        time.sleep(_POLL_SECONDS)


def _progress(results: ShardResults) -> str:
    failed = f" ({len(results.failures):,} of them unreadable)" if results.failures else ""
    return (
        f"{len(results.rows):,} of {len(results.durations):,} recordings{failed}, "
        f"{results.speed:,.0f} times real time"
    )


def _report(results: ShardResults) -> None:
    """Log a summary. Raises UserError if recordings could not be read."""
    for index in sorted(results.failures)[:_LISTED_FAILURES]:
        log.warning("%s", results.failures[index])
    failed_seconds = sum(results.durations[index] for index in results.failures)
    seconds = sum(results.durations) - failed_seconds
    log.info("%s: %s, %.2f h of sound", results.out, _progress(results), seconds / 3600)
    if results.failures:
        raise UserError(
            f"{len(results.failures):,} of {len(results.durations):,} recordings could not be "
            f"read; their lines in {results.out} hold an error in place of a text"
        )


def _report_done(out: Path, entries: Sequence[RecordingEntry]) -> None:
    """Log that the output is there; UserError if it is of other recordings, or if one failed."""
    try:
        rows = [json.loads(line) for line in out.read_bytes().splitlines()]
        ids, failed = [row["id"] for row in rows], sum("error" in row for row in rows)
    except (ValueError, RecursionError, TypeError, LookupError):
        ids, failed = [], 0
    if ids != [entry.id for entry in entries]:
        raise UserError(
            f"{out} holds something else than the texts of these recordings: choose another --out, "
            "or give --overwrite if you mean it"
        )
    if failed:
        raise UserError(
            f"{out} is complete, but {failed:,} of {len(ids):,} recordings could not be read: "
            "give --overwrite to try again"
        )
    log.info("%s: all %s recordings are done already", out, f"{len(ids):,}")


# Reading recordings, in processes of their own.


def _load_batch(
    entries: Sequence[RecordingEntry], limits: SegmentLimits, batch: Batch
) -> list[SegmentedRecording | str]:
    """The recordings of a batch; for one that cannot be read, the reason."""
    recordings: list[SegmentedRecording | str] = []
    for index in batch:
        try:
            recordings.append(entries[index].load(limits))
        except AudioError as error:
            recordings.append(str(error))
    return recordings


def _batch_name(entries: Sequence[RecordingEntry], batch: Batch) -> str:
    return " or ".join(sorted({entries[batch[0]].audio, entries[batch[-1]].audio}))


# Rows of the output.


def _rows(
    recognizer: Recognizer,
    entries: Sequence[RecordingEntry],
    recordings: Sequence[SegmentedRecording | str],
    written: bool,
) -> list[Row]:
    """The rows of the recordings of a batch, as `_load_batch` returned them."""
    transcriptions = iter(
        recognizer.transcribe_all(
            [recording for recording in recordings if isinstance(recording, SegmentedRecording)]
        )
    )
    rows: list[Row] = []
    for entry, recording in zip(entries, recordings, strict=True):
        row: Row = {"id": entry.id, "audio": entry.audio}
        if isinstance(recording, str):
            row["error"] = recording
        else:
            transcription = next(transcriptions)
            row |= _transcription_fields(
                written_transcription(transcription) if written else transcription
            )
        rows.append(row)
    return rows


def _transcription_fields(transcription: Transcription) -> Row:
    fields: Row = {
        "duration": round(transcription.duration, 3),
        "text": transcription.text,
        **spoken_fields(transcription),
        "confidence": round(transcription.confidence, 4),
        "finished": transcription.finished,
    }
    if transcription.doubtful_segments:
        fields["doubtful"] = True
    if transcription.duration > _LONG_SECONDS or len(transcription.segments) > 1:
        fields["segments"] = [
            {
                "start": round(segment.start, 3),
                "end": round(segment.end, 3),
                "text": segment.text,
                **spoken_fields(segment),
                "confidence": round(segment.confidence, 4),
            }
            for segment in transcription.segments
        ]
    return fields


# What the results depend on.


def _manifest_hash(entries: Sequence[RecordingEntry]) -> str:
    """Hash of the ids and durations of the recordings, wherever their files are."""
    digest = hashlib.sha256()
    for entry in entries:
        part = "" if entry.part is None else f" {tuple(entry.part)}"
        digest.update(f"{entry.id} {entry.seconds}{part}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
