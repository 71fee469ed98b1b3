"""The commands `sorigeul info`, `bench` and `doctor`: their options, what they print.

They import what they need when they run, so that `sorigeul --help` does not wait for torch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from sorigeul.base.printable import LAYOUT, printable
from sorigeul.base.ranges import Range
from sorigeul.bench.suite_names import SUITES, Suite
from sorigeul.cli.arguments import parse_and_run, positional, settings_origin
from sorigeul.cli.options import DEFAULT_PRESET, File, Run


def info(run: Run) -> None:
    """Describe a run or a published model.

    Args:
        run: run folder, or Hugging Face id
    """
    from sorigeul.base import provenance
    from sorigeul.pretrained.loading import load_pretrained
    from sorigeul.search.options import AS_TUNED, BEAM_WIDTH

    pretrained = load_pretrained(run)
    print(printable(str(pretrained.model), LAYOUT))
    parameters = sum(parameter.numel() for parameter in pretrained.model.parameters())
    print(f"\nparameters: {parameters:,}")
    vocabulary = pretrained.vocabulary
    unseen = pretrained.unseen_units
    beyond = f", {unseen:,} of them in no training transcript" if unseen else ""
    print(
        f"vocabulary: {len(vocabulary):,} units ({vocabulary.kind}), {vocabulary.hash[:12]}{beyond}"
    )
    print(printable(f"text: {pretrained.normalizer}"))
    print(printable(f"features: {pretrained.features}"))
    for name, value in sorted(pretrained.results.items()):
        print(printable(f"{name}: {value}"))
    if pretrained.model.config.ctc_weight > 0:
        options = pretrained.search_options(AS_TUNED)
        origin = "tuned" if pretrained.search.find([]) else "not tuned"
        print(
            f"search: beam {options.beam or BEAM_WIDTH}, CTC {options.ctc_weight:g}, "
            f"length bonus {options.length_bonus:g} ({origin})"
        )
    for line in provenance.lines(Path(run)):
        print(printable(line))
    results = Path(run) / "results.md"
    if results.is_file():
        text = results.read_text(encoding="utf-8", errors="replace")
        print(printable(f"\n{text}", LAYOUT))


def bench(
    suites: Annotated[Positional[tuple[Suite, ...]], positional("SUITE…")] = (),
    json: bool = False,
    report: File = None,
) -> None:
    """Measure the speed of everything against yardsticks in the same run.

    Args:
        suites: what to measure: training, steps, features, decoding, search, loading, startup,
            threads, serving; all of it if nothing is named
        json: print a line of JSON for each measurement instead of a table
        report: Markdown file whose table between the lines '<!-- figures -->' and
            '<!-- end of figures -->' is replaced; plots go to docs/images beside it
    """
    from sorigeul.base.memory import keep_freed_memory

    keep_freed_memory()  # before PyTorch is loaded
    from sorigeul.base.machine import describe_machine
    from sorigeul.bench.report import around_table, write_report
    from sorigeul.bench.suites import run_suites

    if report is not None:
        around_table(report)  # what is wrong with it is said before anything is measured
    machine, measurements = describe_machine(), []
    for measurement in run_suites(suites or SUITES):
        measurements.append(measurement)
        line = " | ".join(measurement.cells()).rstrip(" |")
        print(measurement.to_json() if json else line, flush=True)
    if report is not None:
        command = " ".join(["sorigeul bench", *suites, f"--report {report}"])
        write_report(report, command, machine, measurements)


def doctor(arguments: Sequence[str]) -> None:
    """Show what is installed; with OUT, say whether it can be trained on, and if not, why."""
    from sorigeul.base.memory import keep_freed_memory

    keep_freed_memory()  # before PyTorch is loaded
    from sorigeul.doctor.environment import environment
    from sorigeul.doctor.preflight import TIME_LIMIT, preflight
    from sorigeul.training.settings import Settings, presets
    from sorigeul.training.starting_point import starting_point

    start = starting_point(*settings_origin(arguments), default=DEFAULT_PRESET)

    def command(
        out: Annotated[Positional[Path | None], positional("OUT")] = None,
        preset: str = DEFAULT_PRESET,
        config: File = None,
        time_limit: Annotated[float, Range(0, 10**6, above=True)] = TIME_LIMIT,
        settings: Annotated[Settings, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = start,
    ) -> None:
        del preset, config  # in `settings` already
        for line in environment():
            print(line, flush=True)
        if out is not None:
            preflight(out, settings, time_limit)

    command.__doc__ = f"""{doctor.__doc__}

    Args:
        out: folder of manifests, made by 'sorigeul prepare'
        preset: settings to judge: {", ".join(presets())}
        config: YAML file of settings to judge, such as the config.yaml of a run
        time_limit: seconds after which it ends at the latest
    """
    parse_and_run(command, "doctor", arguments)
