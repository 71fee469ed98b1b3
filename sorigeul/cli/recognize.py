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
    from sorigeul.recognition.transcription import Transcription
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
            above the noise), white:10, hum:10, babble:10, rir:0.4 (seconds of reverberation),
            telephone, mp3:32 (kbit/s), opus:16, amr:12.2, level:-30 (dB), clip:10 (dB), silence:5
            (seconds around the utterance), or several in turn, as in rir:0.4+noise:10
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
    from sorigeul.base.files import write_text
    from sorigeul.recognition.writers import write

    unreadable = doubtful = segments = 0
    for recording in recordings:
        heading = f"{recording.path}: " if len(recordings) > 1 and format == "txt" else ""
        try:
            if out is None:
                transcription = _print_transcript(recognizer, recording, options, format, heading)
            else:
                transcription = recognizer.transcribe(*_source(recording), options)
        except UserError as error:
            if len(recordings) == 1:
                raise
            unreadable += 1
            log.warning("%s", error)
            continue
        if len(transcription.account) > 1:  # more than decoded
            log.info("%s: %s", recording.path, "; ".join(transcription.account))
        if not transcription.segments:
            log.warning("%s: nobody speaks in it, so it has no text", recording.path)
        if out is not None:
            name = "stdin" if str(recording.path) == "-" else recording.name
            write_text(out / f"{name}.{format}", write(format, transcription))
        doubtful += transcription.doubtful_segments
        segments += len(transcription.segments)
        if attention is not None and transcription.segments:
            from sorigeul.base import plots

            segment = transcription.segments[0]
            plots.attention(
                attention,
                segment.alignment.numpy(),
                segment.characters,
                segment.end - segment.start,
                segment.text,
            )
            attention = None
    if doubtful:
        log.warning("%d of %d segments are doubtful: check them", doubtful, segments)
    if unreadable:
        raise UserError(
            f"{unreadable} of {len(recordings)} recordings could not be read, as said above"
        )


def _print_transcript(
    recognizer: "Recognizer",
    recording: "FoundRecording",
    options: "AudioOptions",
    format: Format,
    heading: str,
) -> "Transcription":
    """Print a transcript piece by piece, as the recording is recognised."""
    from sorigeul.recognition.writers import WRITERS

    writer = WRITERS[format]()
    live = str(recording.path) == "-" and not sys.stdin.seekable()
    with recognizer.open(*_source(recording), options, live) as stream:
        _show(heading + writer.head)
        for segment in stream:
            _show(writer.segment(segment))
        transcription = stream.transcription()
        _show(
            writer.tail(transcription) or ("\n" if heading and not transcription.segments else "")
        )
    return transcription


def _source(recording: "FoundRecording") -> tuple["Source", str | None]:
    """What to read, and how to call it."""
    if str(recording.path) == "-":
        return sys.stdin.buffer, "standard input"
    return recording.path, None


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
