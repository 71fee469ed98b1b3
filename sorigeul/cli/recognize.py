"""The commands `sorigeul evaluate` and `transcribe`: their options, what they print and write.

They import what they need when they run, so that `sorigeul --help` does not wait for torch.
"""

import json as json_format
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional

from sorigeul.base.errors import UserError
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import Data, File, Precision, Run

if TYPE_CHECKING:
    from sorigeul.recognition.folders import FoundRecording
    from sorigeul.recognition.recognizer import Recognizer
    from sorigeul.recognition.transcription import Segment, Transcription
    from sorigeul.sound.audio import AudioOptions, Source

Format = Literal["txt", "json", "srt", "vtt", "tsv"]
Channel = Literal["auto", "mix", "left", "right", "each"]

log = logging.getLogger(__name__)


def evaluate(
    run: Run,
    data: Data,
    split: str = "test",
    json: File = None,
    beam: int = 0,
    worst: int = 5,
    audio_root: str = "",
    precision: Precision = "float32",
    degrade: Annotated[tuple[str, ...], positional("NAME:VALUE …")] = (),
) -> None:
    """Recognise a corpus free-running and compare with its transcripts.

    Recordings are recognised as by 'sorigeul transcribe': only where somebody speaks.

    Args:
        run: run folder, or Hugging Face id
        data: folder of manifests, or one manifest
        split: which manifest of the folder
        json: write the results here as JSON; - for standard output
        beam: texts that the search keeps side by side, judged by speller and CTC head together; 1:
            the speller's best character at every step; 0: 6 for a model with a CTC head, else 1
        worst: how many of the worst utterances to show, aligned
        audio_root: folder that holds the recordings now, if they have moved since the corpus was
            prepared
        precision: number format of the heavy arithmetic; int8 is for a CPU
        degrade: evaluate under each of these degradations too, and print a table: noise:10 (dB
            above the noise), white:10, brown:10, hum:10, babble:10, rir:0.4 (seconds of
            reverberation), telephone, mp3:32 (kbit/s), opus:16, amr:12.2, level:-30 (dB), clip:10
            (dB), silence:5 (seconds around the utterance), or several in turn, as in
            rir:0.4+noise:10
    """
    if worst < 0:
        raise UserError(f"worst is {worst}, but must be 0 or more")
    from sorigeul.base.files import write_text
    from sorigeul.data import manifests
    from sorigeul.data.sampling import evaluation_batches
    from sorigeul.evaluation import scores
    from sorigeul.evaluation.evaluate import evaluate as evaluate_batches
    from sorigeul.evaluation.robustness import degraded_scores, robustness_table
    from sorigeul.recognition.recognizer import Recognizer
    from sorigeul.sound.degradations import Degradation

    degradations = [Degradation.parse(text) for text in degrade]
    recognizer = Recognizer.from_pretrained(run, precision=precision, beam=beam)
    pretrained = recognizer.pretrained
    cuts = (
        manifests.open_manifest(data, audio_root)
        if data.is_file()
        else manifests.required_manifest(data, split, audio_root)
    )
    normalizer = manifests.normalizer(cuts)
    if normalizer != pretrained.normalizer:
        log.warning("trained on %s text, evaluated on %s text", pretrained.normalizer, normalizer)
    batches = evaluation_batches(cuts, pretrained.vocabulary)
    evaluation = evaluate_batches(recognizer, batches, normalizer, total=sum(1 for _ in cuts))
    for utterance, reason in evaluation.failures.items():
        log.warning("%s counts as recognised as nothing: %s", utterance, reason)
    if evaluation.unknown:
        log.warning(
            "%d characters of the transcripts are not in the vocabulary and count as errors: %s",
            sum(evaluation.unknown.values()),
            " ".join(sorted(evaluation.unknown)[:20]),
        )
    results = evaluation.to_json()
    if degradations:
        results["degraded"] = degraded_scores(recognizer, cuts, degradations)
    json_text = json_format.dumps(results, ensure_ascii=False, indent=2) + "\n"
    if json is not None and str(json) == "-":
        sys.stdout.write(json_text)
        return
    if json is not None:
        write_text(json, json_text)
    for name, value in results.items():
        if not isinstance(value, dict):
            print(f"{name}: {value:.2f}" if isinstance(value, float) else f"{name}: {value}")
    if degradations:
        print(f"\n{robustness_table(results)}", end="")
    references = [recognition.reference for recognition in evaluation.recognitions]
    hypotheses = [recognition.hypothesis for recognition in evaluation.recognitions]
    for index in scores.worst_utterances(references, hypotheses, worst):
        alignment = scores.align_texts(references[index], hypotheses[index])
        print(f"\n{evaluation.recognitions[index].id}\n{alignment}")


def transcribe(
    run: Run,
    files: Annotated[Positional[tuple[Path, ...]], positional("FILE…")],
    format: Format = "txt",
    out: Annotated[Path | None, positional("OUT")] = None,
    attention: File = None,
    manifest: Annotated[Path | None, positional("DATA")] = None,
    split: Annotated[str, positional("SPLIT")] = "",
    audio_root: Annotated[str, positional("FOLDER")] = "",
    batch_seconds: float = 0.0,
    jobs: int = 0,
    precision: Precision = "float32",
    beam: int = 0,
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
        beam: as for 'sorigeul evaluate'
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
        if out is None:
            raise UserError("--manifest needs --out FILE, which holds a line for each recording")
        from sorigeul.recognition.corpus_transcription import CorpusOptions, transcribe_corpus

        corpus_options = CorpusOptions(
            split=split,
            audio_root=audio_root,
            batch_seconds=batch_seconds,
            jobs=jobs,
            precision=precision,
            beam=beam,
        )
        transcribe_corpus(run, manifest, out, corpus_options)
        return
    if split or audio_root or batch_seconds or jobs:
        raise UserError("--split, --audio_root, --batch_seconds and --jobs go with --manifest")
    if not files:
        raise UserError(
            "no recording given: sorigeul transcribe RUN FILE…, or --manifest DATA --out FILE"
        )
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
    recognizer = Recognizer.from_pretrained(run, precision=precision, beam=beam)
    _transcribe_files(recognizer, recordings, options, format, out, attention)


def _transcribe_files(
    recognizer: "Recognizer",
    recordings: Sequence["FoundRecording"],
    options: "AudioOptions",
    format: Format,
    out: Path | None,
    attention: Path | None,
) -> None:
    """Transcribe files one by one, and print the transcripts or write them into the folder `out`.

    A file that cannot be read does not prevent the transcription of the others.
    """
    faults: list[UserError] = []
    doubtful = segments = 0
    for recording in recordings:
        heading = f"{recording.path}: " if len(recordings) > 1 and format == "txt" else ""
        transcription, fault = _transcribe_file(
            recognizer, recording, options, None if out else format, heading
        )
        if transcription is not None:
            _report(recording, transcription)
            doubtful += transcription.doubtful_segments
            segments += len(transcription.segments)
            if out is not None:
                fault = _write_transcript(out, recording, format, transcription) or fault
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
    format: Format | None,
    heading: str,
) -> tuple["Transcription | None", UserError | None]:
    """Transcribe a file, and print it piece by piece in `format`, if one is given.

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
                    if format is not None and writer is None:
                        writer = WRITERS[format]()
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
    if format is not None and writer is None:  # nobody speaks
        writer = WRITERS[format]()
        _show(f"{heading}\n" if heading else writer.head)
    if writer is not None:
        _show(writer.tail(transcription))
    return transcription, fault


def _write_transcript(
    out: Path, recording: "FoundRecording", format: Format, transcription: "Transcription"
) -> UserError | None:
    """Write a transcript into the folder `out`; returns the fault if it cannot be written."""
    from sorigeul.base.files import write_text
    from sorigeul.recognition.writers import write

    name = "stdin" if str(recording.path) == "-" else recording.name
    path = out / f"{name}.{format}"
    try:
        write_text(path, write(format, transcription))
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
