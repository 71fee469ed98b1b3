"""The command `sorigeul transcribe`: its options, what it prints and writes.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional

from sorigeul.base.errors import UserError
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import File, Precision, Run
from sorigeul.search.options import AS_TUNED, SearchRequest

if TYPE_CHECKING:
    from sorigeul.recognition.folders import FoundRecording
    from sorigeul.recognition.recognizer import Recognizer
    from sorigeul.recognition.transcription import Segment, Transcription
    from sorigeul.sound.audio import AudioOptions, Source

Format = Literal["txt", "json", "srt", "vtt", "tsv"]
Channel = Literal["auto", "mix", "left", "right", "each"]

log = logging.getLogger(__name__)


def transcribe(
    run: Run,
    files: Annotated[Positional[tuple[Path, ...]], positional("FILE…")],
    format: Format = "txt",
    out: Annotated[Path | None, positional("OUT")] = None,
    word_times: bool = False,
    attention: File = None,
    manifest: Annotated[Path | None, positional("DATA")] = None,
    split: Annotated[str, positional("SPLIT")] = "",
    audio_root: Annotated[str, positional("FOLDER")] = "",
    batch_seconds: float = 0.0,
    jobs: int = 0,
    precision: Precision = "float32",
    search: SearchRequest = AS_TUNED,
    nbest: int = 1,
    recursive: bool = False,
    channel: Channel = "auto",
    track: Annotated[str, positional("TRACK")] = "",
    pcm_rate: int = 16_000,
    pcm_channels: int = 1,
) -> None:
    """Transcribe recordings of any format and length, or a whole corpus.

    Only where somebody speaks; what may well be wrong is marked as doubtful, where the format can
    carry it, and counted.

    On 8 GPUs: torchrun --nproc-per-node 8 -m sorigeul transcribe RUN --manifest DATA --out OUT

    Args:
        run: run folder, or Hugging Face id
        files: audio or video files, and folders of them; - for standard input, which is
            transcribed as it comes
        format: format of the transcripts of FILE…
        out: folder for the transcripts of FILE…, named like the recordings; if not given they are
            printed. With --manifest: the file to write, a line of JSON for each recording
        word_times: give the time of each word, as json always does: vtt puts it before the word,
            within its subtitle; srt has no such thing, so each word becomes a subtitle
        attention: draw the attention of the first recording's first segment into this PNG
        manifest: instead of FILE…: folder made by 'sorigeul prepare', one of its manifests, or a
            text file with the path of one recording in each line, relative to the text file. The
            same command goes on where an interrupted one stopped
        split: with --manifest: which manifest of the folder; if not given, all of them
        audio_root: with --manifest: folder that holds the recordings now, if they have moved
        batch_seconds: with --manifest: seconds of sound recognised in one batch; 0: as suits the
            device
        jobs: with --manifest: processes that read recordings ahead; 0: as suits the device
        precision: number format of the heavy arithmetic; int8, for a CPU, is more than twice as
            fast as float32
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
        )
        transcribe_corpus(run, manifest, out, corpus_options)
        return
    if nbest != 1 and format != "json":
        raise UserError(f"--nbest goes with --format json: {format} has one text for each segment")
    if split or audio_root or batch_seconds or jobs:
        raise UserError("--split, --audio_root, --batch_seconds and --jobs go with --manifest")
    if not files:
        raise UserError(
            "no recording given: sorigeul transcribe RUN FILE…, or --manifest DATA --out FILE"
        )
    if word_times and format in ("txt", "tsv"):
        raise UserError(f"--word_times goes with --format json, srt or vtt, not with {format}")
    from sorigeul.recognition.folders import find_recordings

    recordings = find_recordings(files, recursive)
    if out is not None and len({recording.name for recording in recordings}) < len(recordings):
        raise UserError(
            f"several recordings have one name, and so would have their transcripts in {out}: "
            "transcribe them into different folders"
        )
    from sorigeul.recognition.recognizer import Recognizer
    from sorigeul.sound.audio import AudioOptions

    options = AudioOptions(channel, track, pcm_rate, pcm_channels)
    recognizer = Recognizer.from_pretrained(run, precision=precision, request=search, nbest=nbest)
    output = _Output(format, word_times, out)
    _transcribe_files(recognizer, recordings, options, output, attention)


@dataclass(frozen=True)
class _Output:
    """How transcripts are written, and where."""

    format: Format
    word_times: bool
    folder: Path | None
    """None: they are printed"""


def _transcribe_files(
    recognizer: "Recognizer",
    recordings: Sequence["FoundRecording"],
    options: "AudioOptions",
    output: _Output,
    attention: Path | None,
) -> None:
    """Transcribe files one by one, and print the transcripts or write them into a folder.

    A file that cannot be read does not prevent the transcription of the others.
    """
    faults: list[UserError] = []
    doubtful = segments = 0
    for recording in recordings:
        heading = f"{recording.path}: " if len(recordings) > 1 and output.format == "txt" else ""
        transcription, fault = _transcribe_file(recognizer, recording, options, output, heading)
        if transcription is not None:
            _report(recording, transcription)
            doubtful += transcription.doubtful_segments
            segments += len(transcription.segments)
            if output.folder is not None:
                fault = _write_transcript(output, recording, transcription) or fault
            if attention is not None and transcription.segments:
                _draw_attention(attention, transcription.segments[0])
                attention = None
        if fault is not None:
            faults.append(fault)
            if len(recordings) > 1:
                log.warning("%s", fault)
    if doubtful:
        log.warning("%d of %d segments are doubtful: check them", doubtful, segments)
    if len(recordings) == 1 and faults:
        raise faults[0]
    if faults:
        raise UserError(
            f"{len(faults)} of {len(recordings)} recordings could not be transcribed whole, as "
            "said above"
        )


def _transcribe_file(
    recognizer: "Recognizer",
    recording: "FoundRecording",
    options: "AudioOptions",
    output: _Output,
    heading: str,
) -> tuple["Transcription | None", UserError | None]:
    """Transcribe a file, and print it piece by piece, unless `output` has a folder for it.

    Returns what was heard, if anything, and why that may not be all.
    """
    from sorigeul.recognition.writers import WRITERS, Writer

    is_pipe = str(recording.path) == "-" and not sys.stdin.seekable()
    source: tuple[Source, str | None] = (recording.path, None)
    if str(recording.path) == "-":
        source = (sys.stdin.buffer, "standard input")
    writer: Writer | None = None
    fault = None
    try:
        with recognizer.open(*source, options, live=is_pipe) as stream:
            try:
                for segment in stream:
                    if output.folder is None and writer is None:
                        writer = WRITERS[output.format](output.word_times)
                        _show(heading + writer.head)
                    if writer is not None:
                        _show(writer.segment(segment))
            except UserError as error:  # what was heard before it is not lost
                fault = error
            transcription = stream.transcription()
    except UserError as error:
        return None, error
    if fault is not None and not transcription.segments:
        return None, fault
    if output.folder is None and writer is None:  # nobody speaks
        writer = WRITERS[output.format](output.word_times)
        _show(f"{heading}\n" if heading else writer.head)
    if writer is not None:
        _show(writer.tail(transcription))
    return transcription, fault


def _write_transcript(
    output: _Output, recording: "FoundRecording", transcription: "Transcription"
) -> UserError | None:
    """Write a transcript into its folder; returns the fault if it cannot be written."""
    from sorigeul.base.files import write_text
    from sorigeul.recognition.writers import write

    name = "stdin" if str(recording.path) == "-" else recording.name
    assert output.folder is not None
    path = output.folder / f"{name}.{output.format}"
    try:
        write_text(path, write(output.format, transcription, output.word_times))
    except OSError as error:
        return UserError(f"{path}: cannot be written ({error.strerror}); choose another --out")
    return None


def _report(recording: "FoundRecording", transcription: "Transcription") -> None:
    """Say what was done to a recording, if it is more than decoding."""
    name = "standard input" if str(recording.path) == "-" else recording.path
    if len(transcription.account) > 1:
        log.info("%s: %s", name, "; ".join(transcription.account))
    if not transcription.segments:
        log.warning("%s: nobody speaks in it, so it has no text", name)


def _draw_attention(path: Path, segment: "Segment") -> None:
    from sorigeul.base import plots

    seconds = segment.end - segment.start
    plots.attention(path, segment.alignment.numpy(), segment.characters, seconds, segment.text)


def _show(text: str) -> None:
    """Print at once. A file name may have bytes that the terminal has no characters for."""
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()
