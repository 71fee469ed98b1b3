"""The command `sorigeul tune`: its options, what it prints and writes.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from sorigeul.base.errors import UserError
from sorigeul.base.printable import printable
from sorigeul.base.ranges import COUNT
from sorigeul.cli.options import Data, Run, chosen_split
from sorigeul.search.options import AS_TUNED, SearchRequest

if TYPE_CHECKING:
    from sorigeul.evaluation.tuning import TunedResult
    from sorigeul.recognition.recognizer import Recognizer

log = logging.getLogger(__name__)

_NAMED_FAILURES = 5  # recordings that could not be read
_TEST_SPLITS = ("test", "eval")


def tune(
    run: Run,
    data: Data,
    split: str = "",
    utterances: Annotated[int, COUNT] = 1000,
    audio_root: str = "",
    search: SearchRequest = AS_TUNED,
) -> None:
    """Find the weights of the search, and calibrate confidences, on the dev split of a corpus.

    They are written into the run's search.json, and 'sorigeul evaluate' and 'transcribe' use them
    from then on, with the same --lm if there is one.

    Args:
        run: run folder
        data: folder made by 'sorigeul prepare', or one manifest
        split: which manifest of the folder; if not given, dev. Not that of a test, whose figures
            would say nothing afterwards
        utterances: how many utterances are used at most, drawn by chance
        audio_root: folder that holds the recordings now, if they have moved since the corpus was
            prepared
    """
    split = chosen_split(split, "dev", data)
    used = data.stem if data.is_file() else split
    if used.startswith(_TEST_SPLITS):
        raise UserError(
            f"{used} is there to judge by: tune on other utterances, such as --split dev"
        )
    if not Path(run).is_dir():
        raise UserError(f"{run} is no folder here: 'tune' writes into the folder of a run")
    if found := [option for option in search.given if option not in ("--beam", "--lm")]:
        raise UserError(
            f"{', '.join(found)}: of the search options 'tune' takes --beam and --lm, and finds "
            "the weights itself"
        )
    if search.beam == 1:
        raise UserError("--beam 1 has a single text, and nothing to weigh: give 2, or leave it out")
    from sorigeul.data import manifests
    from sorigeul.data.sampling import evaluation_batches
    from sorigeul.evaluation.tuning import tune as tune_search
    from sorigeul.exporting.runtime import is_export
    from sorigeul.pretrained.search_settings import SearchSettings, TunedSearch
    from sorigeul.recognition.recognizer import Recognizer

    if is_export(run):
        raise UserError(f"{run} is an export: tune the run, and export it again")
    recognizer = Recognizer.from_pretrained(run, request=search)
    cuts = manifests.open_split(data, split, audio_root)
    normalizer = manifests.normalizer(cuts)
    cuts = manifests.sample(cuts, utterances)
    batches = list(evaluation_batches(cuts, recognizer.pretrained.vocabulary))
    result = tune_search(recognizer, batches, normalizer, search.beam)
    fingerprints = tuple(model.fingerprint for model in recognizer.setup.language_models)
    entry = TunedSearch(
        options=result.options,
        language_models=fingerprints,
        calibration=result.calibration.to_json(),
        results={
            "data": str(data),
            "split": used,
            "utterances": result.after.utterances,
            "normalizer": normalizer,
            **{name: round(getattr(result.after, name), 2) for name in ("crr", "cer", "wer")},
        },
    )
    SearchSettings.read(Path(run)).with_entry(entry).write(Path(run))
    print(_table(recognizer, result))
    print(f"written to {printable(str(Path(run) / 'search.json'))}")
    if failures := result.failures:
        for failure in failures[:_NAMED_FAILURES]:
            log.warning("%s left out: %s", failure.id, failure.reason)
        total = len(failures) + result.after.utterances
        raise UserError(
            f"{len(failures):,} of {total:,} recordings could not be read, and the weights are of "
            "the others: see to them, or prepare the corpus again"
        )


def _table(recognizer: "Recognizer", result: "TunedResult") -> str:
    """What was found, beside what there was before."""
    from sorigeul.base.tables import markdown_table

    before = recognizer.search
    tuned = replace(before, options=result.options)
    rows = [["", "before", "tuned"]]
    for name in ("crr", "cer", "wer"):
        values = (getattr(score, name) for score in (result.before, result.after))
        rows.append([f"{name.upper()} (%)", *(f"{value:.2f}" for value in values)])
    rows.append(["beam", str(before.width), str(tuned.width)])
    for name in ("ctc_weight", "length_bonus", "internal_lm_weight"):
        values = (getattr(search.options, name) for search in (before, tuned))
        rows.append([name, *(f"{value:g}" for value in values)])
    pairs = zip(before.options.lm_weights, tuned.options.lm_weights, strict=True)
    for number, (old, new) in enumerate(pairs, 1):
        rows.append([f"lm_weight {number}", f"{old:g}", f"{new:g}"])
    searched = f"{result.after.utterances:,} utterances, {result.searches} searches"
    return f"{searched}\n\n{markdown_table(rows)}"
