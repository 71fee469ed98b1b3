"""Measures what each part of the search is worth, on the test split of a corpus.

    python benchmarks/search_table.py RUN DATA --lm NGRAM --lm NETWORK [--partner RUN_B] --name NAME

The weights are those that `sorigeul tune` found on dev, without a language model, with each of
them and with both (RUN/search.json). All ways of searching start from the same output of the
listener. Writes docs/runs/search/NAME.json, which `make results` shows in docs/results.md.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from sorigeul.base import provenance
from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.machine import describe_machine
from sorigeul.data import manifests
from sorigeul.data.sampling import evaluation_batches
from sorigeul.evaluation.encoded_corpus import EncodedCorpus
from sorigeul.evaluation.judgement import Judgement, compare, judge
from sorigeul.evaluation.policies import STRICT
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.search.options import SearchOptions, SearchRequest

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True)
class Way:
    """A way to search."""

    name: str
    options: SearchOptions
    language_models: Sequence[int] = ()
    """which of the language models take part"""
    ensemble: bool = False


def ways(recognizer: Recognizer, internal_lm_weight: float) -> list[Way]:
    """The ways to compare, each with one thing more than the one before."""
    settings, models = recognizer.pretrained.search, recognizer.setup.language_models

    def tuned(*numbers: int) -> SearchOptions:
        entry = settings.find([models[number].fingerprint for number in numbers])
        if entry is None:
            raise UserError(f"search.json has no weights for language models {numbers}: tune first")
        return entry.options

    untuned = SearchRequest().options(None, results=recognizer.pretrained.results)
    found = [
        Way("greedy, the speller alone", SearchOptions(beam=1)),
        Way("beam, the speller alone", SearchOptions(ctc_weight=0.0)),
        Way("beam, with CTC, not tuned", untuned),
        Way("the same, weights from dev", tuned()),
        Way("with n-grams", tuned(0), (0,)),
        Way("with a recurrent language model", tuned(1), (1,)),
        Way("with both language models", tuned(0, 1), (0, 1)),
    ]
    if internal_lm_weight > 0:
        options = replace(tuned(0, 1), internal_lm_weight=internal_lm_weight)
        found.append(Way("less the internal language model", options, (0, 1)))
    if len(recognizer.setup.partners):
        found.append(Way("an ensemble of two, with both", tuned(0, 1), (0, 1), ensemble=True))
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Search the test split in all ways."""
    request = SearchRequest(lm=tuple(arguments.lm), ensemble=tuple(arguments.partner))
    recognizer = Recognizer.from_pretrained(arguments.run, request=request)
    cuts = manifests.required_manifest(Path(arguments.data), arguments.split)
    batches = list(evaluation_batches(cuts, recognizer.pretrained.vocabulary))
    corpus = EncodedCorpus.encode(recognizer, batches)
    corpus.refuse_failures()
    models = 1 + len(arguments.partner)
    rows: list[dict[str, Any]] = []
    before: Judgement | None = None
    for way in ways(recognizer, arguments.internal_lm_weight):
        setup = recognizer.setup
        search = replace(
            recognizer.search,
            models=recognizer.search.models[: models if way.ensemble else 1],
            options=way.options,
            language_models=[setup.language_models[number] for number in way.language_models],
        )
        begin = perf_counter()
        hypotheses = corpus.search(recognizer, search, way.name)
        seconds = perf_counter() - begin
        vocabulary = recognizer.pretrained.vocabulary
        pairs = [
            replace(pair, hypothesis=vocabulary.decode(ranked[0].tokens))
            for pair, ranked in zip(corpus.pairs, hypotheses, strict=True)
        ]
        judgement = judge(pairs, manifests.normalizer(cuts))
        score = judgement.by_policy[STRICT]
        listened = corpus.listening_seconds * (1 if way.ensemble else 1 / models)
        row = {
            "way": way.name,
            "options": asdict(way.options),
            **{name: getattr(score.score, name) for name in ("crr", "cer", "wer")},
            "intervals": score.intervals,
            "rtf": (listened + seconds) / corpus.seconds,
        }
        if before is not None:
            row["against_the_line_above"] = compare(before, judgement, STRICT).to_json()
        before = judgement
        rows.append(row)
        rates = " ".join(f"{name} {row[name]:.2f}" for name in ("crr", "cer", "wer"))
        print(f"{way.name}: {rates}", file=sys.stderr, flush=True)
    return {
        "command": provenance.command_line(["python", "benchmarks/search_table.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "split": arguments.split,
        "utterances": len(corpus.pairs),
        "rows": rows,
    }


def main() -> None:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("--lm", action="append", default=[])
    parser.add_argument("--partner", action="append", default=[])
    parser.add_argument("--split", default="test")
    parser.add_argument("--internal_lm_weight", type=float, default=0.0)
    parser.add_argument("--name", required=True)
    arguments = parser.parse_args()
    try:
        results = measure(arguments)
    except UserError as error:
        sys.exit(f"error: {error}")
    path = DOCS / "runs" / "search" / f"{arguments.name}.json"
    write_text(path, json.dumps(results, ensure_ascii=False, indent=2) + "\n")


if __name__ == "__main__":
    main()
