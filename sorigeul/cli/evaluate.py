"""The command `sorigeul evaluate`: its options, what it prints and writes.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import json as json_format
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from tyro.conf import Positional, UseAppendAction

from sorigeul.base.errors import UserError
from sorigeul.base.outputs import Output, refuse_overwriting
from sorigeul.base.printable import LAYOUT, printable
from sorigeul.base.ranges import COUNT_OR_NONE
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import File, chosen_split, flattened
from sorigeul.evaluation.result_files import BEGINS
from sorigeul.search.options import AS_TUNED, Precision, SearchRequest

if TYPE_CHECKING:
    from lhotse import CutSet

    from sorigeul.evaluation.evaluate import Evaluation
    from sorigeul.evaluation.judgement import Judgement
    from sorigeul.evaluation.policies import Policy
    from sorigeul.recognition.recognizer import Recognizer
    from sorigeul.sound.degradations import Degradation

log = logging.getLogger(__name__)

NAMED_FAILURES = 5
"""of recordings that could not be read, as many are named; the JSON names them all"""
USAGE = "sorigeul evaluate RUN [RUN_B] DATA, or sorigeul evaluate --hyp FILE --ref FILE"


class _System(NamedTuple):
    """A recogniser that was judged."""

    name: str
    judgement: "Judgement"
    results: dict[str, Any]
    evaluation: "Evaluation | None" = None
    """what was recognised, if it was recognised here"""
    calibrated: bool = False
    """whether its confidences are probabilities"""


def evaluate(
    run: Annotated[Positional[str], positional("RUN")] = "",
    run_b: Annotated[Positional[str], positional("[RUN_B]")] = "",
    data: Annotated[Positional[str], positional("DATA")] = "",
    hyp: Annotated[tuple[Path, ...], positional("FILE"), UseAppendAction] = (),
    ref: File = None,
    split: str = "",
    json: File = None,
    report: File = None,
    reliability: File = None,
    overwrite: bool = False,
    policy: Annotated[str, positional("NAME")] = "strict",
    numerals: Literal["as_written", "equal"] = "as_written",
    search: SearchRequest = AS_TUNED,
    worst: Annotated[int, COUNT_OR_NONE] = 5,
    audio_root: str = "",
    precision: Precision = "float32",
    degrade: Annotated[
        tuple[tuple[str, ...], ...], positional("NAME:VALUE …"), UseAppendAction
    ] = (),
) -> None:
    """Recognise a corpus free-running and compare with its transcripts; or compare texts in files.

    Recordings are recognised as by 'sorigeul transcribe': only where somebody speaks. Of two runs,
    or two files, it is said whether the difference between them can be chance. Where recordings
    could not be read the exit status is 2: everything is written and printed, but their texts count
    as errors.

    Args:
        run: run folder, or Hugging Face id
        run_b: another one, to be compared with the first
        data: folder of manifests, or one manifest
        hyp: instead of RUN and DATA: texts of any recogniser, as lines of id<TAB>text, of JSON with
            "id" or "audio" and "text", or of 'text (id)'; what 'sorigeul transcribe --manifest'
            writes is such a file. Give it twice to compare two
        ref: the correct texts for --hyp: such a file, a manifest, or a folder of manifests
        split: which manifest of the folder; if not given, test
        json: write the results here as JSON; - for standard output
        report: write a report here: one HTML file with the figures, where the errors are,
            utterances to hear, and what was confused. With two runs or files it has the scores and
            texts of both; everything else is of the first
        reliability: draw into this PNG how many of the words of each confidence are correct, by the
            first run; calibration_error is how many percent confidence is wrong by, on average
        overwrite: replace a file that is there, even if it is none that this command wrote before;
            never one that it reads
        policy: what counts as an error in the figures that come first: strict (texts as they are
            written), spacing-free (neither spaces nor punctuation count), or readings (besides,
            numbers, units and Latin letters may be written as they are spoken). The JSON has all
        numerals: equal: 70% and 칠십 퍼센트 are the same; short for --policy readings
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
    headline = _headline(policy, numerals)
    places = [place for place in (run, run_b, data) if place]
    written = (("--json", json), ("--report", report), ("--reliability", reliability))
    outputs = [
        Output(path, option, BEGINS[option])
        for option, path in written
        if path is not None and str(path) != "-"
    ]
    refuse_overwriting(outputs, [*places, *hyp, *([ref] if ref else [])], overwrite)
    cuts: CutSet | None = None
    if hyp or ref is not None:
        of_recognition = {
            ", ".join(places): bool(places),
            "--degrade": bool(degrade),
            "--audio_root": bool(audio_root),
            "--precision": precision != "float32",
            "--reliability": reliability is not None,
        }
        given = [name for name, is_given in of_recognition.items() if is_given] + search.given
        if given:
            raise UserError(
                f"--hyp and --ref exclude RUN, DATA and the options of recognition: leave out "
                f"{', '.join(given)}"
            )
        if ref is None or not 1 <= len(hyp) <= 2:
            raise UserError("give --ref FILE, and --hyp FILE once or twice")
        split = chosen_split(split, "test", *hyp, ref)
        systems = _judge_files(hyp, ref, split, headline)
    elif len(places) < 2:
        raise UserError(f"too few arguments: {USAGE}")
    else:
        *runs, data = places
        split = chosen_split(split, "test", Path(data))
        place = _Split(Path(data), split, audio_root)
        systems, cuts = _judge_runs(runs, place, precision, search, flattened(degrade), headline)
    if report is not None:
        judged_on = data or str(ref)
        is_split = Path(judged_on).is_dir()
        _write_report(report, systems, judged_on, split if is_split else "", cuts, headline)
    if reliability is not None:
        _draw_reliability(reliability, systems[0])
    _report(systems, headline, json, worst)
    for system in systems:
        _refuse_unread(system, json)


def _headline(policy: str, numerals: str) -> "Policy":
    """What counts as an error in the figures that come first."""
    from sorigeul.evaluation.policies import READINGS, find_policy

    headline = find_policy(policy)
    if numerals == "equal":
        if headline.name not in ("strict", READINGS.name):
            raise UserError(f"--numerals equal is the policy {READINGS}: leave --policy out")
        headline = READINGS
    return headline


class _Split(NamedTuple):
    """The utterances that are recognised."""

    data: Path
    """folder of manifests, or one manifest"""
    name: str
    audio_root: str


def _judge_runs(
    runs: Sequence[str],
    split: _Split,
    precision: Precision,
    search: SearchRequest,
    degrade: Sequence[str],
    headline: "Policy",
) -> "tuple[list[_System], CutSet]":
    """Recognise a split by each run, and judge the texts; also what was recognised."""
    from sorigeul.data import manifests
    from sorigeul.evaluation.conditions import conditions
    from sorigeul.recognition.recognizer import Recognizer
    from sorigeul.sound.degradations import Degradation

    degradations = [Degradation.parse(text) for text in degrade]
    # All models first: recognising takes long, and one that cannot be used would end it.
    recognizers = [
        Recognizer.from_pretrained(name, precision=precision, request=search, engine="torch")
        for name in runs
    ]
    cuts = manifests.open_split(split.data, split.name, split.audio_root)
    systems = []
    for name, recognizer in zip(runs, recognizers, strict=True):
        measured = conditions(recognizer, search, split.data, split.name)
        system = _judge_run(name, recognizer, cuts, degradations, headline)
        system.results.update(measured)
        systems.append(system)
    return systems, cuts


def _judge_run(
    name: str,
    recognizer: "Recognizer",
    cuts: "CutSet",
    degradations: "Sequence[Degradation]",
    headline: "Policy",
) -> _System:
    """Recognise a corpus, as recorded and degraded, and judge the texts."""
    from sorigeul.data import manifests
    from sorigeul.data.sampling import evaluation_batches
    from sorigeul.evaluation.calibration import expected_calibration_error, judged_words
    from sorigeul.evaluation.evaluate import evaluate as evaluate_batches
    from sorigeul.evaluation.judgement import judge
    from sorigeul.evaluation.robustness import degraded_scores

    pretrained = recognizer.pretrained
    normalizer = manifests.normalizer(cuts)
    if normalizer != pretrained.normalizer:
        log.warning("trained on %s text, evaluated on %s text", pretrained.normalizer, normalizer)
    batches = evaluation_batches(cuts, pretrained.vocabulary)
    evaluation = evaluate_batches(recognizer, batches, normalizer, total=sum(1 for _ in cuts))
    for utterance, reason in list(evaluation.failures.items())[:NAMED_FAILURES]:
        log.warning("%s counts as recognised as nothing: %s", utterance, reason)
    if evaluation.unknown:
        log.warning(
            "%d characters of the transcripts are not in the vocabulary and count as errors: %s",
            sum(evaluation.unknown.values()),
            " ".join(sorted(evaluation.unknown)[:20]),
        )
    judgement = judge(evaluation.pairs, normalizer)
    results = {**evaluation.to_json(), **judgement.to_json(headline)}
    judged = judged_words(evaluation.recognitions)
    results["calibration_error"] = 100 * expected_calibration_error(*judged)
    if degradations:
        results["degraded"] = degraded_scores(recognizer, cuts, degradations)
    return _System(name, judgement, results, evaluation, recognizer.calibration is not None)


def _judge_files(hyp: Sequence[Path], ref: Path, split: str, headline: "Policy") -> list[_System]:
    """Judge the texts of files."""
    from sorigeul.evaluation.judgement import judge
    from sorigeul.evaluation.transcript_files import match_transcripts, read_transcripts

    references = read_transcripts(ref, split)
    systems = []
    for path in hyp:
        matched = match_transcripts(references, read_transcripts(path, split))
        judgement = judge(matched.pairs, references.normalizer)
        results = judgement.to_json(headline)
        results["missing"] = matched.missing
        results["failures"] = matched.failures
        results["without_reference"] = matched.without_reference
        systems.append(_System(str(path), judgement, results))
    return systems


def _write_report(
    path: Path,
    systems: Sequence[_System],
    data: str,
    split: str,
    cuts: "CutSet | None",
    headline: "Policy",
) -> None:
    """Write the report: one HTML file."""
    from sorigeul.base.provenance import read_record
    from sorigeul.evaluation.report import ReportedData, ReportedSystem, write_report

    reported = [
        ReportedSystem(
            name=system.name,
            judgement=system.judgement,
            evaluation=system.evaluation,
            trained=str((read_record(Path(system.name)) or {}).get("started", "")),
            calibrated=system.calibrated,
        )
        for system in systems
    ]
    write_report(path, reported, ReportedData(data, split, cuts), headline)


def _draw_reliability(path: Path, system: _System) -> None:
    from sorigeul.evaluation.calibration import judged_words, plot_reliability, reliability

    assert system.evaluation is not None
    judged = judged_words(system.evaluation.recognitions)
    plot_reliability(path, reliability(*judged), system.name)


def _report(systems: Sequence[_System], headline: "Policy", json: Path | None, worst: int) -> None:
    """Write and print the results of one system, or of two and their comparison."""
    from sorigeul.base.files import write_text
    from sorigeul.evaluation.judgement import compare

    results, summary = systems[0].results, ""
    if len(systems) > 1:
        first, second = systems
        comparison = compare(first.judgement, second.judgement, headline)
        summary = comparison.in_words(printable(first.name), printable(second.name))
        results = {
            "systems": [{"system": system.name, **system.results} for system in systems],
            "comparison": {**comparison.to_json(), "summary": summary.splitlines()},
        }
    json_text = json_format.dumps(results, ensure_ascii=False, indent=2) + "\n"
    if json is not None and str(json) == "-":
        sys.stdout.write(printable(json_text, LAYOUT))
        return
    if json is not None:
        write_text(json, json_text)
    for system in systems:
        _print_system(system, headline, named=len(systems) > 1)
    if summary:
        print(f"{summary}\n")
    _print_worst(systems, worst)


def _refuse_unread(system: _System, json: Path | None) -> None:
    """Raise UserError if recordings could not be read: the figures are not those of the corpus."""
    failures, utterances = len(system.results["failures"]), len(system.judgement.pairs)
    if not failures:
        return
    where = "--json FILE names them all" if json is None else "the JSON names them all"
    raise UserError(
        f"{failures:,} of {utterances:,} recordings could not be read and count as recognised as "
        f"nothing: see to them, or prepare the corpus again; {where}"
    )


def _print_system(system: _System, headline: "Policy", named: bool) -> None:
    """The table of rates, then everything else by name."""
    from sorigeul.evaluation.judgement import INTERVAL_RATES
    from sorigeul.evaluation.robustness import robustness_table

    if named:
        print(f"{printable(system.name)}\n")
    print(system.judgement.table(headline))
    for name, value in system.results.items():
        if name not in INTERVAL_RATES and not isinstance(value, dict):
            print(printable(f"{name}: {_shown(value)}"))
    if "degraded" in system.results:
        print(f"\n{robustness_table(system.results)}", end="")
    print()


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return str(len(value))
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _print_worst(systems: Sequence[_System], count: int) -> None:
    """The utterances that the first system did worst, aligned."""
    from sorigeul.evaluation.alignments import align_texts
    from sorigeul.evaluation.scores import worst_utterances

    pairs = systems[0].judgement.pairs
    hypotheses = [{pair.id: pair.hypothesis for pair in one.judgement.pairs} for one in systems]
    references = [pair.reference for pair in pairs]
    for index in worst_utterances(references, [pair.hypothesis for pair in pairs], count):
        print(printable(pairs[index].id))
        for system, texts in zip(systems, hypotheses, strict=True):
            if len(systems) > 1:
                print(printable(system.name))
            reference, hypothesis = references[index], texts[pairs[index].id]
            print(align_texts(printable(reference), printable(hypothesis)))
        print()
