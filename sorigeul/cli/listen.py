"""The command `sorigeul listen`: text while somebody speaks into the microphone.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import logging
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated

from sorigeul.base.errors import UserError
from sorigeul.base.stopping import StopRequests
from sorigeul.cli.arguments import positional
from sorigeul.cli.live_line import LiveLine
from sorigeul.cli.options import File, Precision, Run
from sorigeul.search.options import AS_TUNED, SearchRequest

if TYPE_CHECKING:
    from sorigeul.recognition.live import LiveEvent, LiveTranscription
    from sorigeul.recognition.overlaps import RecognizedSegment
    from sorigeul.recognition.recognizer import Recognizer
    from sorigeul.recognition.transcription import Segment, Transcription
    from sorigeul.sound.audio import Samples
    from sorigeul.sound.segments import SpeechSegment

_BLOCK = 1600  # samples that a file gives at a time: a tenth of a second
_RATE = 16_000  # Hz, of all samples here
_POLL_SECONDS = 0.2  # after which a silent microphone lets Ctrl-C through

Sound = tuple[Iterator["Samples"], Callable[[], tuple[str, ...]]]
"""blocks of samples at 16 kHz as they come, and afterwards the account of them"""

log = logging.getLogger(__name__)


def listen(
    run: Run = "",
    file: File = None,
    fast: bool = False,
    device: Annotated[str, positional("DEVICE")] = "",
    list_devices: bool = False,
    out: Annotated[Path | None, positional("FOLDER")] = None,
    precision: Precision = "float32",
    search: SearchRequest = AS_TUNED,
) -> None:
    """Write down what somebody says into the microphone, while they say it.

    On a terminal the text of the running sentence is shown too, and rewritten as more is heard.
    Ctrl-C ends it, after the last sentence is written down.

    Args:
        run: run folder, or Hugging Face id
        file: recording to hear in place of the microphone, at the speed of a player
        fast: hear FILE as fast as possible
        device: microphone, by its number or a part of its name; if not given, the default one
        list_devices: list the microphones, and end
        out: folder for the transcript as txt and json, and for the recording as wav, all named by
            the time at which they begin
        precision: number format of the heavy arithmetic; int8, for a CPU, is more than twice as
            fast as float32
    """
    if list_devices:
        from sorigeul.sound.microphone import microphones

        lines = microphones()
        print("\n".join(lines) if lines else "no microphone found")
        return
    if not run:
        raise UserError("no model given: sorigeul listen RUN")
    if fast and file is None:
        raise UserError("--fast goes with --file")
    if device and file is not None:
        raise UserError("--device and --file exclude each other: each says what to hear")
    with ExitStack() as stack:
        # What is wrong with the source is said before torch and the model are loaded.
        open_sound = _file(file, fast) if file is not None else _microphone(device)
        blocks, account = stack.enter_context(open_sound)
        from sorigeul.recognition.live import LiveTranscription
        from sorigeul.recognition.recognizer import Recognizer

        recognizer = Recognizer.from_pretrained(run, precision=precision, request=search)
        kept = None if out is None else stack.enter_context(_Kept(out))
        model = stack.enter_context(_Model(recognizer))
        live = LiveTranscription(
            model.recognize,
            recognizer.pretrained.vocabulary,
            recognizer.limits,
            None if fast else model.look,
        )
        _listen(live, blocks, account, kept)


def _listen(
    live: "LiveTranscription",
    blocks: Iterator["Samples"],
    account: Callable[[], tuple[str, ...]],
    kept: "_Kept | None",
) -> None:
    """Hear a sound to its end, or until Ctrl-C; show its text, and keep it.

    If a file turns out to be damaged, what was heard before is not lost.
    """
    from sorigeul.recognition.transcription import Transcription

    segments: list[Segment] = []
    fault: UserError | None = None
    line = LiveLine()
    with StopRequests() as stop:
        if line.rewrites:
            log.info("listening; Ctrl-C ends it")
        try:
            for samples in blocks:
                if kept is not None:
                    kept.record(samples)
                segments += _shown(live.feed(samples), line)
                if stop.requested:
                    break
        except UserError as error:
            fault = error
        segments += _shown(live.finish(), line)
        steps = (*account(), *live.account(), *(() if fault is None else (str(fault),)))
        transcription = Transcription.from_segments(segments, live.seconds, steps)
        if kept is not None:
            kept.write(transcription)
    if not segments and fault is None:
        log.warning("nobody has spoken, so there is no text")
    if transcription.doubtful_segments:
        log.warning(
            "%d of %d segments are doubtful: check them",
            transcription.doubtful_segments,
            len(segments),
        )
    if fault is not None:
        raise fault


def _shown(events: Iterator["LiveEvent"], line: LiveLine) -> Iterator["Segment"]:
    """Show what happens, and return the segments that are final."""
    from sorigeul.recognition.live import FinalSegment, ProvisionalText

    for event in events:
        match event:
            case ProvisionalText(text):
                line.provisional(text)
            case FinalSegment(segment):
                mark = " (?)" if segment.doubtful else ""
                times = f"{_clock(segment.start)}-{_clock(segment.end)}"
                line.final(f"[{times}] {segment.text}{mark}")
                yield segment


def _clock(seconds: float) -> str:
    """Minutes and seconds, after hours if there are any."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:" if hours else "") + f"{minutes:02}:{tenths / 10:04.1f}"


class _Model:
    """A recogniser that two threads share: looks at the running sentence have one of their own."""

    def __init__(self, recognizer: "Recognizer") -> None:
        self._recognizer, self._lock = recognizer, Lock()
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> "_Model":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def recognize(self, segments: Sequence["SpeechSegment"]) -> list["RecognizedSegment"]:
        """Recognise segments, and wait for it."""
        with self._lock:
            return self._recognizer.recognize(segments)

    def look(self, speech: "SpeechSegment") -> Future[list["RecognizedSegment"]]:
        """Begin to recognise a segment."""
        return self._thread.submit(self.recognize, [speech])


class _Kept:
    """A recording that is kept with its transcript. At any time the file is whole."""

    def __init__(self, folder: Path) -> None:
        """Begin the recording. It never replaces another one."""
        folder.mkdir(parents=True, exist_ok=True)
        self._name = folder / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
        self._file = self._path("wav").open("xb")
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115  (closed at the end)
        self._wave.setparams((1, 2, _RATE, 0, "NONE", ""))

    def __enter__(self) -> "_Kept":
        return self

    def __exit__(self, *_: object) -> None:
        self._wave.close()
        self._file.close()

    def record(self, samples: "Samples") -> None:
        """Add samples (n,) at 16 kHz as 16 bits. The header is made to agree each time."""
        steps = (samples * 32768).round().clip(-32768, 32767)
        self._wave.writeframes(steps.astype("<i2").tobytes())

    def write(self, transcription: "Transcription") -> None:
        """Write the transcript beside it."""
        from sorigeul.base.files import write_text
        from sorigeul.recognition.writers import write

        for format in ("txt", "json"):
            write_text(self._path(format), write(format, transcription))
        log.info("kept as %s", self._path("wav, .txt and .json"))

    def _path(self, suffix: str) -> Path:
        return self._name.parent / f"{self._name.name}.{suffix}"


@contextmanager
def _microphone(device: str) -> Iterator[Sound]:
    from sorigeul.sound.microphone import open_microphone

    with open_microphone(device) as microphone:

        def blocks() -> Iterator["Samples"]:
            microphone.read(0)  # what was said while the model was loaded
            while True:
                yield microphone.read(_POLL_SECONDS)

        yield blocks(), lambda: microphone.account


@contextmanager
def _file(path: Path, fast: bool) -> Iterator[Sound]:
    from sorigeul.sound.audio import open_stream

    with open_stream(path) as stream:

        def blocks() -> Iterator["Samples"]:
            begin, count = time.monotonic(), 0
            for (block,) in stream:
                for first in range(0, len(block), _BLOCK):
                    samples = block[first : first + _BLOCK]
                    count += len(samples)
                    # They have been heard once the player is at their end.
                    wait = begin + count / _RATE - time.monotonic()
                    if wait > 0 and not fast:
                        time.sleep(wait)
                    yield samples

        yield blocks(), lambda: stream.account
