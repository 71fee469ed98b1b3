"""The commands of `sorigeul`: their options, what they print. The work is done elsewhere.

Each imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import json as json_format
import logging
import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from sorigeul.base.errors import UserError
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import Data, File, Precision, Run

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
        json: write the figures here as JSON; - for standard output
        beam: texts that the search keeps side by side, judged by speller and CTC head together; 1:
            the speller's best character at every step; 0: 6 for a model with a CTC head, else 1
        worst: how many of the worst utterances to show, aligned
        audio_root: folder that holds the recordings now, where they have moved since the corpus was
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
    found = evaluate_batches(recognizer, batches, normalizer, total=sum(1 for _ in cuts))
    for name, reason in found.failures.items():
        log.warning("%s counts as recognised as nothing: %s", name, reason)
    if found.unknown:
        log.warning(
            "%d characters of the transcripts are not in the vocabulary and count as errors: %s",
            sum(found.unknown.values()),
            " ".join(sorted(found.unknown)[:20]),
        )
    figures = json_format.dumps(found.to_json(), ensure_ascii=False, indent=2) + "\n"
    if json is not None and str(json) == "-":
        sys.stdout.write(figures)
        return
    if json is not None:
        write_text(json, figures)
    for name, figure in found.to_json().items():
        if not isinstance(figure, dict):
            print(f"{name}: {figure:.2f}" if isinstance(figure, float) else f"{name}: {figure}")
    said = [one.reference for one in found.recognitions]
    heard = [one.hypothesis for one in found.recognitions]
    for index in scores.worst_utterances(said, heard, worst):
        print(f"\n{found.recognitions[index].id}\n{scores.align_texts(said[index], heard[index])}")


def transcribe(
    run: Run,
    files: Annotated[Positional[tuple[Path, ...]], positional("FILE…")],
    format: Literal["txt", "json", "srt", "vtt", "tsv"] = "txt",
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
    """Write down what is said in recordings of any format and length, or in a whole corpus.

    On 8 GPUs: torchrun --nproc-per-node 8 -m sorigeul transcribe RUN --manifest DATA --out OUT

    Args:
        run: run folder, or Hugging Face id
        files: audio or video files; - for standard input
        format: format of the transcripts of FILE…
        out: folder for the transcripts of FILE…, named like the recordings; if not given they are
            printed. With --manifest: the file to write, a line of JSON for each recording
        attention: draw the attention of the first recording's first segment into this PNG
        manifest: in place of FILE…: folder made by 'sorigeul prepare', one manifest of it, or text
            file with the path of a recording a line, seen from where it lies. The same command goes
            on with what was interrupted
        split: with --manifest: the manifest of the folder to take; if not given all of them
        audio_root: with --manifest: folder that holds the recordings now, where they have moved
        batch_seconds: with --manifest: seconds of sound recognised side by side; 0: as suits the
            device
        jobs: with --manifest: processes that read recordings ahead; 0: as suits the device
        precision: number format of the heavy arithmetic; int8, for a CPU, is more than twice as
            fast as float32
        beam: as of 'sorigeul evaluate'
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
    from sorigeul.base.files import write_text
    from sorigeul.recognition.recognizer import Recognizer
    from sorigeul.recognition.writers import WRITERS

    recognizer = Recognizer.from_pretrained(run, precision=precision, beam=beam)
    refused = 0
    for path in files:
        piped = str(path) == "-"
        try:
            found = recognizer.transcribe(
                sys.stdin.buffer.read() if piped else path, "standard input" if piped else None
            )
        except UserError as error:
            if len(files) == 1:
                raise
            refused += 1  # one bad file must not keep the others from being heard
            log.warning("%s", error)
            continue
        if len(found.account) > 1:  # more than decoded
            log.info("%s: %s", path, "; ".join(found.account))
        text = WRITERS[format](found)
        if out is not None:
            write_text(out / f"{'stdin' if piped else path.name}.{format}", text)
        else:
            heading = f"{path}: " if len(files) > 1 and format == "txt" else ""
            sys.stdout.write(heading + text)
            sys.stdout.flush()
        if attention is not None and found.segments:
            from sorigeul.base import plots

            plots.attention(
                attention,
                found.segments[0].alignment.numpy(),
                found.segments[0].characters,
                found.segments[0].end - found.segments[0].start,
                found.segments[0].text,
            )
            attention = None
    if refused:
        raise UserError(f"{refused} of {len(files)} recordings could not be read, as said above")
