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
    from sorigeul.recognition.recognizer import Recognizer

Format = Literal["txt", "json", "srt", "vtt", "tsv"]

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
) -> None:
    """Recognise a corpus free-running and compare with its transcripts.

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
    """
    if worst < 0:
        raise UserError(f"worst is {worst}, but must be 0 or more")
    from sorigeul.base.files import write_text
    from sorigeul.data import manifests
    from sorigeul.data.sampling import evaluation_batches
    from sorigeul.evaluation import scores
    from sorigeul.evaluation.evaluate import evaluate as evaluate_batches
    from sorigeul.recognition.recognizer import Recognizer

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
    json_text = json_format.dumps(results, ensure_ascii=False, indent=2) + "\n"
    if json is not None and str(json) == "-":
        sys.stdout.write(json_text)
        return
    if json is not None:
        write_text(json, json_text)
    for name, value in results.items():
        if not isinstance(value, dict):
            print(f"{name}: {value:.2f}" if isinstance(value, float) else f"{name}: {value}")
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
) -> None:
    """Transcribe recordings of any format and length, or a whole corpus.

    On 8 GPUs: torchrun --nproc-per-node 8 -m sorigeul transcribe RUN --manifest DATA --out OUT

    Args:
        run: run folder, or Hugging Face id
        files: audio or video files; - for standard input
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
    """
    if manifest is not None:
        if files or format != "txt" or attention is not None:
            raise UserError("--manifest excludes FILE…, --format and --attention: it writes JSONL")
        if out is None:
            raise UserError("--manifest needs --out FILE, which holds a line for each recording")
        from sorigeul.recognition.corpus_transcription import CorpusOptions, transcribe_corpus

        options = CorpusOptions(
            split=split,
            audio_root=audio_root,
            batch_seconds=batch_seconds,
            jobs=jobs,
            precision=precision,
            beam=beam,
        )
        transcribe_corpus(run, manifest, out, options)
        return
    if split or audio_root or batch_seconds or jobs:
        raise UserError("--split, --audio_root, --batch_seconds and --jobs go with --manifest")
    if not files:
        raise UserError(
            "no recording given: sorigeul transcribe RUN FILE…, or --manifest DATA --out FILE"
        )
    if out is not None and len({path.name for path in files}) < len(files):
        raise UserError(
            f"several recordings have one name, and so would have their transcripts in {out}: "
            "transcribe them into different folders"
        )
    from sorigeul.recognition.recognizer import Recognizer

    recognizer = Recognizer.from_pretrained(run, precision=precision, beam=beam)
    _transcribe_files(recognizer, files, format, out, attention)


def _transcribe_files(
    recognizer: "Recognizer",
    files: Sequence[Path],
    format: Format,
    out: Path | None,
    attention: Path | None,
) -> None:
    """Transcribe files one by one, and print the transcripts or write them into the folder `out`.

    A file that cannot be read does not prevent the transcription of the others.
    """
    from sorigeul.base.files import write_text
    from sorigeul.recognition.writers import WRITERS

    unreadable = 0
    for path in files:
        is_standard_input = str(path) == "-"
        try:
            if is_standard_input:
                transcription = recognizer.transcribe(sys.stdin.buffer.read(), "standard input")
            else:
                transcription = recognizer.transcribe(path)
        except UserError as error:
            if len(files) == 1:
                raise
            unreadable += 1
            log.warning("%s", error)
            continue
        if len(transcription.account) > 1:  # more than decoded
            log.info("%s: %s", path, "; ".join(transcription.account))
        text = WRITERS[format](transcription)
        if out is not None:
            name = "stdin" if is_standard_input else path.name
            write_text(out / f"{name}.{format}", text)
        else:
            heading = f"{path}: " if len(files) > 1 and format == "txt" else ""
            sys.stdout.write(heading + text)
            sys.stdout.flush()
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
    if unreadable:
        raise UserError(f"{unreadable} of {len(files)} recordings could not be read, as said above")
