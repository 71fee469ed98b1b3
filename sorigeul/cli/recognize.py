"""The command `sorigeul transcribe`: its options, what it prints.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import importlib
import logging
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional

from sorigeul.base.errors import UserError
from sorigeul.base.locks import locked_folder
from sorigeul.base.printable import LAYOUT, printable
from sorigeul.base.ranges import (
    BATCH_SECONDS,
    CHANNELS,
    PROCESSES,
    SAMPLING_RATE,
    SUBTITLE_LINE,
    TEXTS,
)
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import File, Run
from sorigeul.search.options import AS_TUNED, Precision, SearchRequest

if TYPE_CHECKING:
    from sorigeul.recognition.file_transcription import Summary

Channel = Literal["auto", "mix", "left", "right", "each"]

log = logging.getLogger(__name__)


def transcribe(
    run: Run,
    files: Annotated[Positional[tuple[Path, ...]], positional("FILE…")],
    format: Annotated[str, positional("FORMAT")] = "txt",
    out: Annotated[Path | None, positional("OUT")] = None,
    resume: bool = False,
    overwrite: bool = False,
    word_times: bool = False,
    written: bool = False,
    subtitle_line: Annotated[int, SUBTITLE_LINE] = 20,
    attention: File = None,
    manifest: Annotated[Path | None, positional("DATA")] = None,
    split: Annotated[str, positional("SPLIT")] = "",
    audio_root: Annotated[str, positional("FOLDER")] = "",
    batch_seconds: Annotated[float, BATCH_SECONDS] = 0.0,
    jobs: Annotated[int, PROCESSES] = 0,
    precision: Precision = "float32",
    search: SearchRequest = AS_TUNED,
    nbest: Annotated[int, TEXTS] = 1,
    recursive: bool = False,
    channel: Channel = "auto",
    track: Annotated[str, positional("TRACK")] = "",
    pcm_rate: Annotated[int, SAMPLING_RATE] = 16_000,
    pcm_channels: Annotated[int, CHANNELS] = 1,
) -> None:
    """Transcribe recordings of any format and length, or a whole corpus.

    Only where somebody speaks; what may well be wrong is marked as doubtful, where the format can
    carry it, and counted.

    On 8 GPUs: torchrun --nproc-per-node 8 -m sorigeul transcribe RUN --manifest DATA --out OUT

    Args:
        run: run folder, or Hugging Face id
        files: audio or video files, and folders of them; - for standard input, which is
            transcribed as it comes
        format: txt, json, srt, vtt or tsv; with --out also several, such as srt,json. Subtitles
            (srt, vtt) are broken for reading, so they come some seconds later than plain text
        out: folder for the transcripts of FILE…, named like the recordings; if not given they are
            printed. With --manifest: the file to write, a line of JSON for each recording
        resume: with --out: skip the recordings whose transcripts are all there and not older than
            they are, by whatever model; with --manifest: do nothing if OUT has them all. What was
            interrupted --manifest goes on with in any case
        overwrite: replace files that are there, which otherwise ends the command before it begins;
            never one of the recordings
        word_times: give the time of each word, as json always does: vtt puts it before the word,
            within its subtitle; srt has no such thing, so each word becomes a subtitle
        written: write numbers, units and letters in digits and signs: 70% for what was heard as
            칠십 퍼센트; json, and the lines of --manifest, have what was heard, too, as spoken
        subtitle_line: most characters of a line of srt and vtt, which have two lines at most;
            Netflix has 16
        attention: draw the attention of the first segment that is recognised into this PNG
        manifest: instead of FILE…: folder made by 'sorigeul prepare', one of its manifests, or a
            text file with the path of one recording in each line, relative to the text file. The
            same command goes on where an interrupted one stopped
        split: with --manifest: which manifest of the folder; if not given, all of them
        audio_root: with --manifest: folder that holds the recordings now, if they have moved
        batch_seconds: with --manifest: seconds of sound recognised in one batch; 0: as suits the
            device
        jobs: with --manifest: processes that read recordings ahead; 0: as suits the device
        precision: number format of the heavy arithmetic; all but float32 by PyTorch. int8, for a
            CPU, saves time with a large model
        nbest: write so many texts of each segment, the most probable first; for the format json
        recursive: transcribe all recordings in the folders that are given, and in the folders in
            them
        channel: auto: all channels mixed, but without those that are silent, and with opposite
            phases turned; mix: the plain mean; left or right; each: every channel by itself, named
            in the transcript
        track: of a file with several audio tracks: its number from 1, or its language, such as kor;
            if not given the Korean one, else the default one, else the first
        pcm_rate: sampling rate of FILE… without a header (.pcm, .raw) in Hz
        pcm_channels: number of channels of FILE… without a header
    """
    if manifest is not None:
        if files or format != "txt" or attention is not None:
            raise UserError("--manifest excludes FILE…, --format and --attention: it writes JSONL")
        if recursive or channel != "auto" or track or pcm_rate != 16_000 or pcm_channels != 1:
            raise UserError("--recursive, --channel, --track and the pcm options go with FILE…")
        if word_times:
            raise UserError("--word_times goes with FILE… and --format json, srt or vtt")
        if nbest != 1:
            raise UserError("--nbest goes with FILE… and --format json")
        if out is None:
            raise UserError("--manifest needs --out FILE, which holds a line for each recording")
        from sorigeul.recognition.corpus_transcription import CorpusOptions, transcribe_corpus

        corpus_options = CorpusOptions(
            split=split,
            audio_root=audio_root,
            batch_seconds=batch_seconds,
            jobs=jobs,
            precision=precision,
            search=search,
            overwrite=overwrite,
            resume=resume,
            written=written,
        )
        transcribe_corpus(run, manifest, out, corpus_options)
        return
    formats = tuple(format.split(","))
    if nbest != 1 and "json" not in formats:
        raise UserError(f"--nbest goes with --format json: {format} has one text for each segment")
    if split or audio_root or batch_seconds or jobs:
        raise UserError("--split, --audio_root, --batch_seconds and --jobs go with --manifest")
    if not files:
        raise UserError(
            "no recording given: sorigeul transcribe RUN FILE…, or --manifest DATA --out FILE"
        )
    from sorigeul.recognition.file_transcription import TranscriptOptions, transcribe_files
    from sorigeul.recognition.folders import find_recordings
    from sorigeul.recognition.recognizer import Recognizer
    from sorigeul.sound.audio import AudioOptions

    options = TranscriptOptions(
        formats, out, word_times, subtitle_line, resume, attention, overwrite, written
    )
    if attention is not None:
        importlib.import_module("koreanize_matplotlib")  # before long work, not after it
    recordings = find_recordings(files, recursive)
    audio_options = AudioOptions(channel, track, pcm_rate, pcm_channels)
    with nullcontext() if out is None else locked_folder(out):
        options.refuse_overwriting(recordings)
        recognizer = Recognizer.from_pretrained(
            run, precision=precision, request=search, nbest=nbest
        )
        summary = transcribe_files(recognizer, recordings, audio_options, options, _show)
    _conclude(summary)


def _conclude(summary: "Summary") -> None:
    """Say what came of it, in one line; raise what a user must know."""
    if summary.recordings > 1 or sys.stderr.isatty():
        log.info("%s", summary)
    elif summary.doubts:
        log.warning("%s", summary.doubts)
    if summary.faults and summary.recordings == 1:
        raise summary.faults[0]
    if summary.faults:
        raise UserError(
            f"{len(summary.faults)} of {summary.recordings} recordings could not be transcribed "
            "whole, as said above"
        )


def _show(text: str) -> None:
    """Print at once."""
    sys.stdout.write(printable(text, LAYOUT))
    sys.stdout.flush()
