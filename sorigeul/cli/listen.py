"""The command `sorigeul listen`: text while somebody speaks into the microphone.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from sorigeul.base.errors import UserError
from sorigeul.base.printable import printable
from sorigeul.base.stopping import StopRequests
from sorigeul.cli.arguments import positional
from sorigeul.cli.live_line import LiveLine
from sorigeul.cli.options import File, Run
from sorigeul.search.options import AS_TUNED, Precision, SearchRequest

if TYPE_CHECKING:
    from sorigeul.recognition.live import LiveEvent

log = logging.getLogger(__name__)


def listen(
    run: Run = "",
    file: File = None,
    fast: bool = False,
    device: Annotated[str, positional("DEVICE")] = "",
    list_devices: bool = False,
    out: Annotated[Path | None, positional("FOLDER")] = None,
    written: bool = False,
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
        written: write numbers, units and letters in digits and signs: 70% for what was heard as
            칠십 퍼센트; the json of --out has what was heard, too, as spoken
        precision: number format of the heavy arithmetic; all but float32 by PyTorch. int8, for a
            CPU, saves time with a large model
    """
    if list_devices:
        from sorigeul.sound.microphone import microphones

        lines = microphones()
        print("\n".join(map(printable, lines)) if lines else "no microphone found")
        return
    if not run:
        raise UserError("no model given: sorigeul listen RUN")
    if fast and file is None:
        raise UserError("--fast goes with --file")
    if device and file is not None:
        raise UserError("--device and --file exclude each other: each says what to hear")
    from sorigeul.sound.microphone import hear_file, hear_microphone

    with ExitStack() as stack:
        # What is wrong with the source is said before torch and the model are loaded.
        source = hear_file(file, fast) if file is not None else hear_microphone(device)
        sound = stack.enter_context(source)
        from sorigeul.recognition import listening
        from sorigeul.recognition.live import LiveTranscription
        from sorigeul.recognition.recognizer import Recognizer

        recognizer = Recognizer.from_pretrained(run, precision=precision, request=search)
        kept = None if out is None else stack.enter_context(listening.KeptRecording(out))
        model = stack.enter_context(listening.SharedRecognizer(recognizer))
        live = LiveTranscription(
            model.recognize,
            recognizer.pretrained.vocabulary,
            recognizer.limits,
            None if fast else model.look,
        )
        line = LiveLine()
        with StopRequests() as stop:
            if line.rewrites:
                log.info("listening; Ctrl-C ends it")
            heard = listening.listen(
                live,
                sound,
                lambda event: _show(event, line),
                lambda: stop.requested,
                kept,
                written,
            )
    if kept is not None:
        log.info("kept as %s", kept)
    segments, doubtful = heard.transcription.segments, heard.transcription.doubtful_segments
    if not segments and heard.fault is None:
        log.warning("nobody has spoken, so there is no text")
    if doubtful:
        log.warning("%d of %d segments are doubtful: check them", doubtful, len(segments))
    if heard.fault is not None:
        raise heard.fault


def _show(event: "LiveEvent", line: LiveLine) -> None:
    """Show what happens on a line of the terminal."""
    from sorigeul.recognition.live import FinalSegment, ProvisionalText

    match event:
        case ProvisionalText(text):
            line.provisional(text)
        case FinalSegment(segment):
            mark = " (?)" if segment.doubtful else ""
            times = f"{_clock(segment.start)}-{_clock(segment.end)}"
            line.final(f"[{times}] {segment.text}{mark}")


def _clock(seconds: float) -> str:
    """Minutes and seconds, after hours if there are any."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:" if hours else "") + f"{minutes:02}:{tenths / 10:04.1f}"
