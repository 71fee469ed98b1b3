"""Transcription of files one by one: shown piece by piece, or written into a folder.

A file that cannot be read does not prevent the transcription of the others.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing
from sorigeul.base.outputs import PLOT, Output, refuse_overwriting
from sorigeul.base.printable import printable
from sorigeul.base.progress import Advance, progress_bar
from sorigeul.base.thread_pool import BatchThreads
from sorigeul.recognition.folders import FoundRecording
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.subtitles import LINE, Subtitles
from sorigeul.recognition.transcription import Segment, Transcription
from sorigeul.recognition.writers import WRITERS, Writer, write
from sorigeul.recognition.written_text import written_segment, written_transcription
from sorigeul.sound.audio import AudioOptions, Source

log = logging.getLogger(__name__)

Show = Callable[[str], None]
"""prints a piece of a transcript"""

_WITH_WORD_TIMES = ("json", "srt", "vtt")
_STANDARD_INPUT = "-"
_OLDER = 2 * 10**9  # nanoseconds; some file systems keep no finer times


@dataclass(frozen=True)
class TranscriptOptions:
    """What is written of each recording, and where."""

    formats: tuple[str, ...] = ("txt",)
    """names in `WRITERS`; one only if transcripts are shown"""
    folder: Path | None = None
    """where each recording has a file in each format; None: transcripts are shown"""
    word_times: bool = False
    """whether srt and vtt have the time of each word"""
    subtitle_line: int = LINE
    """most characters of a line of srt and vtt"""
    resume: bool = False
    """whether recordings are skipped that have all their transcripts, none older than they are"""
    attention: Path | None = None
    """PNG to draw the attention of the first segment into"""
    overwrite: bool = False
    """whether transcripts that are there may be replaced"""
    written: bool = False
    """whether numbers, units and letters are written in digits and signs: 70% for 칠십 퍼센트"""

    def __post_init__(self) -> None:
        for name in self.formats:
            if name not in WRITERS:
                raise UserError(f"format '{name}' is unknown: there are {', '.join(WRITERS)}")
        if len(set(self.formats)) < len(self.formats):
            raise UserError(f"--format {','.join(self.formats)} names a format twice")
        if len(self.formats) > 1 and self.folder is None:
            raise UserError("several formats need --out FOLDER: only one can be printed")
        if self.resume and self.folder is None:
            raise UserError("--resume goes with --out FOLDER, whose transcripts it looks at")
        if self.word_times and not set(self.formats) & set(_WITH_WORD_TIMES):
            names = " and ".join(self.formats)
            raise UserError(f"--word_times goes with --format json, srt or vtt, not with {names}")
        Subtitles(self.subtitle_line)  # which raises UserError

    def paths(self, recording: FoundRecording) -> list[Path]:
        """The files of a recording's transcripts, by format."""
        if self.folder is None:
            return []
        name = "stdin" if is_standard_input(recording) else recording.name
        return [self.folder / f"{name}.{format}" for format in self.formats]

    def refuse_overwriting(self, recordings: Sequence[FoundRecording]) -> None:
        """Raise UserError if a file to write is a recording, or is there and somebody else's.

        Two recordings of one name would have one file of transcripts, which is refused too.
        """
        usable = [one for one in recordings if one.fault is None]
        outputs = [
            Output(path, str(recording.path))
            for recording in usable
            for path in self.paths(recording)
            if not os.path.isdir(path)  # which is said of this recording, and stops no other
        ]
        inputs = [one.path for one in usable if not is_standard_input(one)]
        may_replace = self.resume or self.overwrite
        refuse_overwriting(outputs, inputs, may_replace, "give --resume for what is missing, ")
        if self.attention is not None:
            plot = Output(self.attention, "--attention", PLOT)
            refuse_overwriting([plot], inputs, self.overwrite)

    def is_done(self, recording: FoundRecording) -> bool:
        """Whether all transcripts of a recording are there, and none is older than it.

        Those of a recording that could be read only in part are: see `_write`.
        """
        if is_standard_input(recording) or recording.fault is not None:
            return False
        try:
            changed = recording.path.stat().st_mtime_ns
            return all(path.stat().st_mtime_ns >= changed for path in self.paths(recording))
        except OSError:  # one is missing
            return False


@dataclass
class Summary:
    """What came of the transcription of several recordings."""

    recordings: int
    """how many there are"""
    skipped: int = 0
    """how many had been done before"""
    sound_seconds: float = 0.0
    seconds: float = 0.0
    """how long it took, without loading the model"""
    segments: int = 0
    doubtful_segments: int = 0
    faults: list[UserError] = field(default_factory=list)
    """why recordings could not be transcribed, or not whole"""

    def add(self, transcription: Transcription) -> None:
        """Count a transcribed recording."""
        self.sound_seconds += transcription.duration
        self.segments += len(transcription.segments)
        self.doubtful_segments += transcription.doubtful_segments

    @property
    def doubts(self) -> str:
        """How many segments are doubtful; empty if none is."""
        if not self.doubtful_segments:
            return ""
        return f"{self.doubtful_segments} of {self.segments} segments are doubtful: check them"

    def __str__(self) -> str:
        noun = "recording" if self.recordings == 1 else "recordings"
        factor = self.seconds / self.sound_seconds if self.sound_seconds else 0.0
        facts = [
            f"{self.recordings} {noun}, {self.sound_seconds / 60:.1f} minutes of sound in "
            f"{self.seconds:.1f} s ({factor:.2f} of real time)",
            f"{self.skipped} skipped, done before" if self.skipped else "",
            f"{len(self.faults)} failed" if self.faults else "",
            self.doubts,
        ]
        return "; ".join(fact for fact in facts if fact)


def transcribe_files(
    recognizer: Recognizer,
    recordings: Sequence[FoundRecording],
    audio_options: AudioOptions,
    options: TranscriptOptions,
    show: Show,
) -> Summary:
    """Transcribe recordings one by one, and show the transcripts or write them into a folder.

    What would be overwritten is not looked at: see `TranscriptOptions.refuse_overwriting`.
    """
    summary, start = Summary(len(recordings)), time.monotonic()
    with _progress(options, len(recordings)) as advance, recognizer.threads() as threads:
        for recording in recordings:
            if options.resume and options.is_done(recording):
                summary.skipped += 1
                advance(1, "")
                continue
            heading = f"{printable(str(recording.path))}: " if len(recordings) > 1 else ""
            shown = _Shown(options, heading, show)
            transcription, fault = _transcribe_file(
                recognizer, recording, audio_options, shown, threads
            )
            if transcription is not None:
                if options.written:
                    transcription = written_transcription(transcription)
                shown.finish(transcription)
                _report(recording, transcription)
                fault = _write(options, recording, transcription, fault is None) or fault
                if options.attention and transcription.segments and not summary.segments:
                    _draw_attention(options.attention, transcription.segments[0])
                summary.add(transcription)
            if fault is not None:
                summary.faults.append(fault)
                if len(recordings) > 1:
                    log.warning("%s", fault)
            advance(1, "")
    if options.attention and not summary.segments:
        path = printable(str(options.attention))
        log.warning("%s was not drawn: no text was recognised by this call", path)
    summary.seconds = time.monotonic() - start
    return summary


def _progress(options: TranscriptOptions, count: int) -> AbstractContextManager[Advance]:
    """A bar, but not among transcripts that are shown: they are progress enough."""
    if options.folder is None:
        return nullcontext(lambda amount, note: None)
    return progress_bar("transcribing", count)


def is_standard_input(recording: FoundRecording) -> bool:
    """Whether a recording is what comes from standard input."""
    return str(recording.path) == _STANDARD_INPUT


class _Shown:
    """A transcript that is shown as it grows; nothing if transcripts go into a folder."""

    def __init__(self, options: TranscriptOptions, heading: str, show: Show) -> None:
        """`heading` stands before the text of a plain transcript."""
        self._options, self._show = options, show
        self._heading = heading if options.formats == ("txt",) else ""
        self._writer: Writer | None = None

    def segment(self, segment: Segment) -> None:
        """Show the next segment."""
        if self._options.folder is None:
            segment = written_segment(segment) if self._options.written else segment
            self._show(self._begun().segment(segment))

    def finish(self, transcription: Transcription) -> None:
        """Show the end."""
        if self._options.folder is not None:
            return
        if self._writer is None and self._heading:  # nobody speaks: the rest of the line is empty
            self._show(f"{self._heading}\n")
        else:
            self._show(self._begun().tail(transcription))

    def _begun(self) -> Writer:
        """The writer, whose head is shown before anything else."""
        if self._writer is None:
            options = self._options
            writer = WRITERS[options.formats[0]](options.word_times, options.subtitle_line)
            self._show(self._heading + writer.head)
            self._writer = writer
        return self._writer


def _transcribe_file(
    recognizer: Recognizer,
    recording: FoundRecording,
    audio_options: AudioOptions,
    shown: _Shown,
    threads: BatchThreads,
) -> tuple[Transcription | None, UserError | None]:
    """Returns what was heard, if anything, and why that may not be all."""
    if recording.fault is not None:
        return None, recording.fault
    source: tuple[Source, str | None] = (recording.path, None)
    is_pipe = False
    if is_standard_input(recording):
        source = (sys.stdin.buffer, "standard input")
        is_pipe = not sys.stdin.seekable()
    fault = None
    try:
        with recognizer.open(*source, audio_options, is_pipe, threads) as stream:
            try:
                for segment in stream:
                    shown.segment(segment)
            except UserError as error:  # what was heard before it is not lost
                fault = error
            transcription = stream.transcription()
    except UserError as error:
        return None, error
    if fault is not None and not transcription.segments:
        return None, fault
    return transcription, fault


def _write(
    options: TranscriptOptions,
    recording: FoundRecording,
    transcription: Transcription,
    is_whole: bool,
) -> UserError | None:
    """Write the transcripts into the folder, if there is one; returns why one cannot be written.

    Those of a recording that was not read to its end are made older than it, so that they do not
    count as done.
    """
    for path, format in zip(options.paths(recording), options.formats, strict=False):
        text = write(format, transcription, options.word_times, options.subtitle_line)
        try:
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
                if not (is_whole or is_standard_input(recording)):
                    with suppress(FileNotFoundError):  # it has vanished, and is never done
                        changed = recording.path.stat().st_mtime_ns - _OLDER
                        os.utime(temporary, ns=(changed, changed))
        except OSError as error:
            return UserError(f"{path}: cannot be written ({error.strerror}); choose another --out")
    return None


def _report(recording: FoundRecording, transcription: Transcription) -> None:
    """Say what was done to a recording, if it is more than decoding."""
    name = "standard input" if is_standard_input(recording) else recording.path
    if len(transcription.account) > 1:
        log.info("%s: %s", name, "; ".join(transcription.account))
    if not transcription.segments:
        log.warning("%s: nobody speaks in it, so it has no text", name)


def _draw_attention(path: Path, segment: Segment) -> None:
    from sorigeul.base import plots  # matplotlib takes a second to load

    seconds = segment.end - segment.start
    plots.attention(path, segment.alignment, segment.characters, seconds, segment.text)
