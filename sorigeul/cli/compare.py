"""The command `sorigeul compare`: its options, what it prints and writes.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import json as json_format
import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import UseAppendAction

from sorigeul.base.errors import UserError
from sorigeul.base.outputs import Output, refuse_overwriting
from sorigeul.base.printable import LAYOUT, printable
from sorigeul.cli.arguments import positional
from sorigeul.cli.options import Data, File, chosen_split


def compare(
    data: Data,
    engine: Annotated[tuple[str, ...], positional("[NAME=]ENGINE"), UseAppendAction] = (),
    split: str = "",
    audio_root: str = "",
    policy: Annotated[str, positional("NAME")] = "strict",
    json: File = None,
    report: File = None,
    out: Annotated[Path, positional("FOLDER")] = Path("compare"),
    overwrite: bool = False,
) -> None:
    """Judge several recognisers, ours or any other, on the same recordings.

    What each has recognised is kept in FOLDER/texts, and the same command goes on from there. The
    table is printed, and written to FOLDER/compare.md; FOLDER/compare.tsv has the texts of all,
    utterance by utterance.

    Args:
        data: folder made by 'sorigeul prepare', or one of its manifests
        engine: a recogniser, once for each: a run folder or Hugging Face id; vosk, the Korean model
            of Vosk that the extra vosk installs; vosk:MODEL_FOLDER, another one;
            openai:URL#MODEL, a server that speaks OpenAI's transcription API, with the key, if it
            wants one, in the environment variable OPENAI_API_KEY; file:TEXTS, texts from elsewhere,
            in a file as for 'sorigeul evaluate --hyp'. NAME= is how it is called in the table
        split: which manifest of the folder; if not given, test
        audio_root: folder that holds the recordings now, if they have moved since the corpus was
            prepared
        policy: what counts as an error in the figures that come first, and decides which is best:
            strict, spacing-free or readings, as for 'sorigeul evaluate'
        json: write the results here as JSON; - for standard output
        report: write a report here, as of 'sorigeul evaluate': one HTML file with the scores and
            texts of all; where the errors are and what was confused is of the best
        out: folder for texts and results
        overwrite: replace a file that is there, even if it is none that this command wrote before;
            never one that it reads
    """
    if not engine:
        raise UserError("give at least one engine: --engine RUN, --engine vosk and so on")
    from sorigeul.evaluation.result_files import BEGINS

    written = [
        Output(out / "compare.md", "the table", rb"\| policy"),
        Output(out / "compare.tsv", "the texts", rb"id\treference\t"),
    ]
    if json is not None and str(json) != "-":
        written.append(Output(json, "--json", BEGINS["--json"]))
    if report is not None:
        written.append(Output(report, "--report", BEGINS["--report"]))
    texts = [one.partition("file:")[2] for one in engine if "file:" in one]
    refuse_overwriting(written, [data, *texts], overwrite)
    from sorigeul.base.files import write_text
    from sorigeul.data import manifests
    from sorigeul.evaluation.comparison import EngineComparison, transcribe_all
    from sorigeul.evaluation.policies import find_policy
    from sorigeul.evaluation.report import ReportedData, ReportedSystem, write_report

    headline = find_policy(policy)
    split = chosen_split(split, "test", data)
    cuts = manifests.open_split(data, split, audio_root)
    outputs = transcribe_all(engine, cuts, split, out / "texts")
    comparison = EngineComparison(outputs, cuts, headline)
    if comparison.engines:
        table = comparison.table()
        write_text(out / "compare.md", table)
        write_text(out / "compare.tsv", comparison.texts())
        used = split if data.is_dir() else data.stem
        results = {"data": str(data), "split": used, **comparison.to_json()}
        json_text = json_format.dumps(results, ensure_ascii=False, indent=2) + "\n"
        if json is not None and str(json) != "-":
            write_text(json, json_text)
        sys.stdout.write(printable(json_text if str(json) == "-" else table, LAYOUT))
        if report is not None:
            systems = [ReportedSystem(one.output.name, one.judgement) for one in comparison.engines]
            judged_on = ReportedData(str(data), split if data.is_dir() else "", cuts)
            write_report(report, systems, judged_on, headline)
    if comparison.defects:
        reasons = [f"{name}: {defect}" for name, defect in comparison.defects.items()]
        raise UserError(
            f"not compared: {'; '.join(reasons)} (the same command goes on where it stopped)"
        )
