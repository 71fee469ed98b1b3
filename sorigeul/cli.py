"""The commands of `sorigeul`: their options, what they print. The work is done elsewhere.

Each imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import difflib
import json as json_format
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from sorigeul.arguments import beginning, parse_and_run, place
from sorigeul.errors import UserError

log = logging.getLogger("sorigeul")

Corpus = Literal[
    "kspon", "zeroth", "pansori", "clovacall", "commonvoice", "fleurs", "table", "demo"
]
Precision = Literal["float32", "bfloat16", "int8"]
Suite = Literal["training", "features", "decoding", "loading", "startup"]
DEFAULT_PRESET = "small"

Run = Annotated[Positional[str], place("RUN")]
Data = Annotated[Positional[Path], place("DATA")]
File = Annotated[Path | None, place("FILE")]


def prepare(
    corpus: Positional[Corpus],
    source: Annotated[Positional[Path], place("SOURCE")],
    out: Annotated[Positional[Path | None], place("OUT")] = None,
    text: Literal["pronunciation", "spelling"] | Path = "pronunciation",
    seed: int = 0,
    max_duration: float = 35.0,
    dev_share: float = 0.1,
    test_share: float = 0.1,
    utterances: int = 0,
    hours: float = 0.0,
    jobs: int = 0,
    shards: int = 0,
    shard_format: Literal["flac", "opus"] = "flac",
    shard: str = "",
) -> None:
    """Read a corpus; write its manifests and a report of what was found.

    Interrupted, it keeps what it measured, and the same command goes on.

    Args:
        corpus: which corpus; table is a CSV, TSV or JSONL with columns audio and text, demo is
            synthesised speech
        source: its folder or table; demo has none: sorigeul prepare demo OUT
        out: folder for train.jsonl, dev.jsonl, test.jsonl and report.json
        text: for kspon, which side of (70%)/(칠십 퍼센트) to keep; for demo, a text file whose
            sentences to say in place of made-up ones
        seed: seed of the split, and of the voices of demo
        max_duration: longest utterance in seconds; longer ones are rejected
        dev_share: share of the speech for dev where the corpus has no dev of its own
        test_share: share of the speech for test where the corpus has no test of its own
        utterances: demo only: how many to synthesise; 0: as many as --hours says, else 3,000
        hours: demo only: hours of speech to synthesise, within some 2 %; sentences of a text file
            are said again in other voices where they are fewer
        jobs: processes that measure recordings and write archives; 0: one a core
        shards: also write archives of this many utterances each (1000, say), train.shar beside
            train.jsonl and so on; train and evaluate then read those, in place of many small files;
            0: none
        shard_format: format of the recordings in archives: flac, 16-bit, or opus, a fifth as large
        shard: i/n: do the i-th of n parts of the work, on n machines that see SOURCE and OUT under
            the same paths; each says what is next, and at last the command without --shard puts
            everything together
    """
    import signal

    from sorigeul import corpora

    found_in: Path | None = source
    if out is None:
        if corpus != "demo":
            raise UserError(f"prepare {corpus} takes two places: SOURCE, then OUT")
        found_in, out = None, source
    if jobs < 0:
        raise UserError(f"jobs is {jobs}, but must be 0 or more")
    text_file = str(text) if isinstance(text, Path) else ""
    options = corpora.PrepareOptions(
        "pronunciation" if isinstance(text, Path) else text,
        seed, max_duration, dev_share, test_share,
        utterances, hours, text_file, shards, shard_format,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves what Ctrl-C leaves
    jobs = jobs or corpora.cores()
    try:
        if shard:
            part = corpora.Part.parse(shard)
            print(corpora.prepare_part(corpus, found_in, out, part, options, jobs))
            return
        report = corpora.prepare(corpus, found_in, out, options, jobs)
    except KeyboardInterrupt:
        log.warning("what was done so far is kept: the same command goes on from there")
        raise
    for split, counts in report.splits.items():
        print(
            f"{split}: {counts['utterances']:,} utterances, {counts['hours']:.2f} h, "
            f"{counts['speakers']} speakers, {counts['characters']:,} characters"
        )
    for item in report.rejected[:5]:
        log.warning("rejected %s (%s): %s", item.item, item.where, item.reason)
    for warning in report.warnings:
        log.warning("%s", warning)
    print(
        f"{report.total['utterances']:,} usable utterances, {report.total['hours']:.2f} h, "
        f"{report.total['speakers']} speakers; {len(report.rejected):,} rejected, the reasons are "
        f"in {out / 'report.json'}"
    )


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
    from sorigeul import data as manifests
    from sorigeul import score
    from sorigeul.evaluate import evaluate as recognise_all
    from sorigeul.files import write_text
    from sorigeul.recognizer import Recognizer

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
    batches = manifests.evaluation_batches(cuts, pretrained.vocabulary)
    with recognizer.arithmetic():
        found = recognise_all(
            pretrained.model, batches, pretrained.vocabulary, recognizer.log_mel, normalizer,
            sum(1 for _ in cuts), beam,
        )  # fmt: skip
    for name, reason in found.failures.items():
        log.warning("%s counts as recognised as nothing: %s", name, reason)
    if found.unknown:
        log.warning(
            "%d characters of the transcripts are not in the vocabulary and count as errors: %s",
            sum(found.unknown.values()), " ".join(sorted(found.unknown)[:20]),
        )  # fmt: skip
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
    for index in score.worst(said, heard, worst):
        print(f"\n{found.recognitions[index].id}\n{score.align(said[index], heard[index])}")


def transcribe(
    run: Run,
    files: Annotated[Positional[tuple[Path, ...]], place("FILE…")],
    format: Literal["txt", "json", "srt", "vtt", "tsv"] = "txt",
    out: Annotated[Path | None, place("OUT")] = None,
    attention: File = None,
    manifest: Annotated[Path | None, place("DATA")] = None,
    split: Annotated[str, place("SPLIT")] = "",
    audio_root: Annotated[str, place("FOLDER")] = "",
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
        from sorigeul.transcribe import transcribe_corpus

        transcribe_corpus(
            run, manifest, out, split, audio_root, batch_seconds, jobs, precision, beam
        )
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
    from sorigeul.files import write_text
    from sorigeul.recognizer import Recognizer
    from sorigeul.writers import WRITERS

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
            from sorigeul import plots

            plots.attention(
                attention, found.segments[0].alignment.numpy(), found.segments[0].characters,
                found.segments[0].end - found.segments[0].start, found.segments[0].text,
            )  # fmt: skip
            attention = None
    if refused:
        raise UserError(f"{refused} of {len(files)} recordings could not be read, as said above")


def info(run: Run) -> None:
    """Say what a run or a published model is.

    Args:
        run: run folder, or Hugging Face id
    """
    from sorigeul import checkpoint, provenance

    pretrained = checkpoint.load(run)
    print(pretrained.model)
    print(f"\nparameters: {sum(part.numel() for part in pretrained.model.parameters()):,}")
    vocabulary = pretrained.vocabulary
    print(f"vocabulary: {len(vocabulary):,} units ({vocabulary.kind}), {vocabulary.hash[:12]}")
    print(f"text: {pretrained.normalizer}\nfeatures: {pretrained.features}")
    for name, value in sorted(pretrained.results.items()):
        print(f"{name}: {value}")
    print("".join(f"{line}\n" for line in provenance.lines(Path(run))), end="")
    table = Path(run) / "results.md"
    if table.is_file():
        print(f"\n{table.read_text(encoding='utf-8')}")


def bench(
    suites: Annotated[Positional[tuple[Suite, ...]], place("SUITE…")] = (),
    json: bool = False,
    report: File = None,
) -> None:
    """Measure the speed of everything against yardsticks in the same run.

    Args:
        suites: what to measure; all of it if nothing is named
        json: print a line of JSON for each figure instead of a table
        report: Markdown file whose table between the lines '<!-- figures -->' and
            '<!-- end of figures -->' is replaced; plots go to docs/images beside it
    """
    from sorigeul.memory import keep_freed_memory

    keep_freed_memory()  # before PyTorch is loaded
    from sorigeul import figures
    from sorigeul.bench import SUITES
    from sorigeul.bench import bench as measure

    measured_on, found = figures.environment(), []
    for figure in measure(suites or SUITES):
        found.append(figure)
        print(figure.to_json() if json else " | ".join(figure.cells()).rstrip(" |"), flush=True)
    if report is not None:
        command = " ".join(["sorigeul bench", *suites, f"--report {report}"])
        figures.write_report(report, command, measured_on, found)


def train(arguments: Sequence[str]) -> None:
    """Train a model; an unfinished run goes on where it stopped."""
    from sorigeul.memory import keep_freed_memory

    keep_freed_memory()  # before PyTorch is loaded
    # Parsed here, since the defaults come from a preset, a file or the run itself.
    from sorigeul import finetune, provenance
    from sorigeul import settings as rooms

    presets = ", ".join(rooms.presets())
    start = finetune.starting_point(*beginning(arguments), default=DEFAULT_PRESET)

    def command(
        data: Data,
        run: Run,
        preset: str = DEFAULT_PRESET,
        config: File = None,
        settings: Annotated[rooms.Settings, tyro.conf.arg(name="")] = start,
    ) -> None:
        from sorigeul.train import train as train_run

        del preset, config  # in `settings` already
        typed = provenance.command_line(["sorigeul", "train", *arguments])
        train_run(data, Path(run), settings, typed)

    command.__doc__ = f"""{train.__doc__}

    Args:
        data: folder of manifests, made by 'sorigeul prepare'
        run: folder for the run
        preset: settings to start from: {presets}
        config: YAML file of settings to start from, such as the config.yaml of a run
    """
    parse_and_run(command, "train", arguments, values=True)


def doctor(arguments: Sequence[str]) -> None:
    """Say what is installed; with OUT, whether data and settings can train, and if not, why."""
    from sorigeul.memory import keep_freed_memory

    keep_freed_memory()  # before PyTorch is loaded
    from sorigeul import doctor as practice
    from sorigeul import finetune
    from sorigeul import settings as rooms

    start = finetune.starting_point(*beginning(arguments), default=DEFAULT_PRESET)

    def command(
        out: Annotated[Positional[Path | None], place("OUT")] = None,
        preset: str = DEFAULT_PRESET,
        config: File = None,
        time_limit: float = practice.TIME_LIMIT,
        settings: Annotated[rooms.Settings, tyro.conf.arg(name="")] = start,
    ) -> None:
        del preset, config  # in `settings` already
        for line in practice.environment():
            print(line, flush=True)
        if out is not None:
            practice.preflight(out, settings, time_limit)

    command.__doc__ = f"""{doctor.__doc__}

    Args:
        out: folder of manifests, made by 'sorigeul prepare'
        preset: settings to judge: {", ".join(rooms.presets())}
        config: YAML file of settings to judge, such as the config.yaml of a run
        time_limit: seconds after which it ends, whatever it has found by then
    """
    parse_and_run(command, "doctor", arguments, values=True)


COMMANDS: dict[str, Callable[..., None]] = {
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "transcribe": transcribe,
    "info": info,
    "bench": bench,
    "doctor": doctor,
}


def _overview() -> str:
    summaries = {name: command.__doc__ or "" for name, command in COMMANDS.items()}
    lines = [f"  {name:<12}{text.splitlines()[0]}" for name, text in summaries.items()]
    return (
        "usage: sorigeul COMMAND …\n\nKorean speech recognition with Listen, Attend and Spell.\n\n"
        + "\n".join(lines)
        + "\n\n'sorigeul COMMAND --help' explains a command. --debug shows where an error arose."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 2 a mistake in what was asked, 1 a fault of the program."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    _say_on_standard_error()
    try:
        _run(given)
        sys.stdout.flush()
    except UserError as error:
        sys.exit(_fail(str(error), 2, debug))
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted", 130, debug))
    except (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        sys.exit(_fail(f"{error.filename}: {error.strerror}; choose another place", 2, debug))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(_fail(f"{place}{error.strerror or error}", 1, debug))
    except Exception as error:  # noqa: BLE001  (the last one there is)
        reason = " ".join(str(error).split())
        reason = f"unexpected {type(error).__name__}: {reason} (--debug shows where)"
        sys.exit(_fail(reason, 1, debug))


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("--help", "-h"):
        print(_overview())
        return
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("sorigeul"))
        return
    name, *rest = arguments
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"perhaps {near[0]}" if near else f"there are {', '.join(COMMANDS)}"
        raise UserError(f"'{name}' is no command; {hint}")
    if name in ("train", "doctor"):
        COMMANDS[name](rest)
    else:
        parse_and_run(COMMANDS[name], name, rest)


def _fail(message: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    return status


def _say_on_standard_error() -> None:
    """Our own notes and warnings, a line each; the libraries' stay silent."""

    class Line(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            prefix = "warning: " if record.levelno >= logging.WARNING else ""
            return prefix + record.getMessage()

    handler = logging.StreamHandler()
    handler.setFormatter(Line())
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
