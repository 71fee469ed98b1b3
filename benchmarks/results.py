"""Writes docs/results.md, the results of trainings, from the files that the runs left behind.

    python benchmarks/results.py corpus data/pansori       sizes of its splits, texts they share
    python benchmarks/results.py keep RUN NAME [--group presets] [--note "what it shows"]
                                                           [--like another run that is kept]
    python benchmarks/results.py write                     docs/results.md, its plots, README tables

`keep` copies what the tables need into docs/runs/NAME. Before that, `sorigeul evaluate RUN DATA`
must have written its scores: `--json RUN/test.json` and, for a model with a CTC head, `--beam 1
--json RUN/test_speller.json`. Poor results are shown like good ones. Other scores RUN/test_*.json,
such as those with a language model, are copied too, for docs/runs/path.yaml to name: each line of
it is a change, with the scores that it led to.
"""

import argparse
import hashlib
import json
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from sorigeul.base import plots, provenance
from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.cli.arguments import training_corpora
from sorigeul.data import manifests
from sorigeul.training.metrics import METRICS, read_metrics
from sorigeul.training.settings import RUN_CONFIG, Settings, presets

DOCS = Path(__file__).resolve().parents[1] / "docs"
ABOUT, CORPORA = "about.json", "corpus.json"
TEST, SPELLER = "test.json", "test_speller.json"  # of evaluate, and of evaluate --beam 1
FURTHER = "test_*.json"  # of evaluate with other options
PATH = "path.yaml"
FIRST_GROUPS = ("presets", "ablation", "pretraining")  # in this order, before all others
SEARCH = "search"  # folder of what benchmarks/search_table.py measured
NGRAM = 5
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
READMES = {
    "README.md": ["run", "CRR of both (%)", "of the speller", "of the CTC head", "minutes"],
    "README.ko.md": ["학습", "둘이 함께 찾은 CRR (%)", "스펠러", "CTC 헤드", "분"],
}
# Settings that do not change what is learnt, and differ from machine to machine.
HOUSEKEEPING = {"audio_root", "log_every", "checkpoint_every", "num_workers", "alignment_by"}
PATHS = "audio_root|noise_dir|vocabulary|init_from"  # settings that may hold a path
RATES = ("crr", "cer", "wer")


@dataclass(frozen=True)
class KeptRun:
    """A run in docs/runs."""

    name: str
    group: str
    note: str
    like: str
    """the kept run to compare its settings with; empty: the nearest preset"""
    record: dict[str, Any]
    config: dict[str, Any]
    both: dict[str, Any]
    """scores on test of speller and CTC head together; empty if there is no CTC head"""
    speller: dict[str, Any]
    """scores on test of the speller alone, and of the CTC head alone"""
    epochs: list[dict[str, Any]]
    """rows of metrics.jsonl"""

    @classmethod
    def read(cls, folder: Path) -> "KeptRun":
        """Read the run in a folder of docs/runs."""
        about = _read_json(folder / ABOUT)
        config = yaml.safe_load((folder / RUN_CONFIG).read_text(encoding="utf-8"))
        test = _read_json(folder / TEST) if (folder / TEST).is_file() else {}
        both = test if "ctc_crr" in test else {}
        speller = _read_json(folder / SPELLER) if (folder / SPELLER).is_file() else test
        return cls(
            name=folder.name,
            group=about["group"],
            note=about["note"],
            like=about.get("like", ""),
            record=_read_json(folder / provenance.RECORD),
            config={
                name: tuple(value) if isinstance(value, list) else value
                for name, value in config.items()
            },
            both=both,
            speller=speller,
            epochs=read_metrics(folder, "epoch"),
        )

    @property
    def minutes(self) -> float:
        """Minutes of training, without evaluation."""
        return float(self.epochs[-1]["training_seconds"]) / 60

    @property
    def corpora(self) -> str:
        """Names of the folders of manifests that it was trained on; - if they are not known."""
        command = self.record["command"]
        places = training_corpora(shlex.split(command)[2:]) if command else []
        # A recipe calls every corpus "data".
        names = [Path(place.removesuffix("/data")).name for place in places]
        return " and ".join(names) or "-"

    def differences(self, kept: Sequence["KeptRun"]) -> str:
        """The run of `kept` or the nearest preset to compare with, and the settings that differ.

        Raises UserError if the run to compare with is not kept.
        """
        defaults = Settings().flat()
        references = {preset: Settings.preset(preset).flat() for preset in presets()}
        if self.like:
            references = {
                run.name: {**defaults, **run.config} for run in kept if run.name == self.like
            }
        own = {**defaults, **self.config}  # a setting younger than the run was at its default
        comparisons = []
        for name, reference in references.items():
            differing = [
                f"`{setting} {own[setting]}`"
                for setting, value in reference.items()
                if setting not in HOUSEKEEPING and own[setting] != value
            ]
            comparisons.append((len(differing), name, differing))
        if not comparisons:
            raise UserError(f"{self.name} is to be compared with {self.like}, which is not kept")
        _, nearest, differing = min(comparisons)
        return ", ".join([f"`{nearest}`", *differing])


# Keeping.


def keep(run: Path, name: str, docs: Path, note: str, group: str, like: str) -> None:
    """Copy into docs/runs what the tables need of a run.

    An empty `note`, `group` or `like` stays as it was. Raises UserError if a file is missing.
    """
    for word in filter(None, (name, group)):  # they name a folder and a plot
        if not re.fullmatch(r"[\w-][\w.-]*", word):
            raise UserError(f"'{word}' is no name: use letters, digits, '-', '_' and '.'")
    record = provenance.read_record(run)
    if record is None:
        raise UserError(f"{run} has no run.json (trained by an older version?): train it again")
    rows = [row for row in read_metrics(run) if row["kind"] != "step"]
    if not any(row["kind"] == "epoch" for row in rows):
        raise UserError(f"{run} has no finished epoch yet: wait for one")
    scores = {TEST: _read_scores(run, TEST, "")}
    if "ctc_crr" in scores[TEST]:
        scores[SPELLER] = _read_scores(run, SPELLER, "--beam 1 ")
    for path in sorted(run.glob(FURTHER)):
        if path.name != SPELLER:
            scores[path.name] = _read_scores(run, path.name, "")
    folder = docs / "runs" / name
    before = _read_json(folder / ABOUT) if (folder / ABOUT).is_file() else {"group": "others"}
    about = {
        "group": group or before["group"],
        "note": note or before.get("note", ""),
        "like": like or before.get("like", ""),
    }
    config = (run / RUN_CONFIG).read_text(encoding="utf-8")
    config = re.sub(rf"(?m)^({PATHS}): /.*/", r"\1: ", config)  # without folders of a machine
    write_text(folder / provenance.RECORD, _to_json(record))
    write_text(folder / RUN_CONFIG, config)
    write_text(folder / METRICS, "".join(f"{json.dumps(row)}\n" for row in rows))
    for path in folder.glob(FURTHER):
        if path.name not in scores:  # of another model
            path.unlink()
    for file, values in scores.items():
        write_text(folder / file, _to_json(values))
    write_text(folder / ABOUT, _to_json(about))


def _read_scores(run: Path, file: str, options: str) -> dict[str, Any]:
    """Read what `sorigeul evaluate --json` wrote; failures as a number, since they hold paths."""
    path = run / file
    scores = _read_json(path) if path.is_file() else {}
    if "crr" not in scores:
        raise UserError(f"no scores in {path}: sorigeul evaluate {run} DATA {options}--json {path}")
    return {**scores, "failures": len(scores.get("failures", ()))}


def corpus(folder: Path, docs: Path) -> None:
    """Add a prepared corpus to docs/runs/corpus.json: its splits, and what they share with train.

    Raises UserError if train or test is missing.
    """
    splits: dict[str, dict[str, Any]] = {}
    texts: dict[str, list[str]] = {}
    speakers: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        cuts = list(manifests.required_manifest(folder, path.stem))
        texts[path.stem] = [cut.supervisions[0].text for cut in cuts]
        speakers[path.stem] = {cut.supervisions[0].speaker for cut in cuts} - {"", None}
        splits[path.stem] = {
            "utterances": len(cuts),
            "hours": round(sum(cut.duration for cut in cuts) / 3600, 3),
            "speakers": len(speakers[path.stem]),
            "characters": sum(map(len, texts[path.stem])),
            "checksum": checksum(cut.id for cut in cuts),
        }
    for name in ("train", "test"):
        if name not in splits:
            raise UserError(f"{folder} has no {name}.jsonl: make it with 'sorigeul prepare'")
    train_texts = set(texts["train"])
    train_words = _ngrams(map(str.split, texts["train"]))
    train_characters = _ngrams(map(_characters, texts["train"]))
    for name in splits.keys() - {"train"}:
        own_texts = texts[name]
        splits[name] |= {
            "speakers_in_train": len(speakers[name] & speakers["train"]),
            "texts_in_train": sum(text in train_texts for text in own_texts) / len(own_texts),
            "word_ngrams_in_train": _share(_ngrams(map(str.split, own_texts)), train_words),
            "character_ngrams_in_train": _share(
                _ngrams(map(_characters, own_texts)), train_characters
            ),
        }
    path = docs / "runs" / CORPORA
    corpora = _read_json(path) if path.is_file() else {}
    corpora[folder.resolve().name] = splits
    write_text(path, _to_json(dict(sorted(corpora.items()))))


def checksum(ids: Iterable[str]) -> str:
    """First 12 hex digits of the SHA-256 of the sorted ids: equal for the same utterances."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:12]


def _characters(text: str) -> list[str]:
    return list(text.replace(" ", ""))


def _ngrams(texts: Iterable[Sequence[str]]) -> set[tuple[str, ...]]:
    return {
        tuple(text[start : start + NGRAM])
        for text in texts
        for start in range(len(text) - NGRAM + 1)
    }


def _share(ngrams: set[tuple[str, ...]], known: set[tuple[str, ...]]) -> float | None:
    """Share of the n-grams that are known; None if there are no n-grams."""
    return len(ngrams & known) / len(ngrams) if ngrams else None


# Writing.


def write(docs: Path) -> None:
    """Write docs/results.md and the tables of the READMEs, and draw the plots."""
    kept = runs(docs)
    write_text(docs / "results.md", page(docs, kept))
    for name in READMES:
        if (docs.parent / name).is_file():
            write_text(docs.parent / name, readme(docs.parent / name, kept))
    for group in groups(kept):
        members = [run for run in kept if run.group == group]
        draw(docs / "images" / f"results_{group}.png", members)


def readme(path: Path, kept: Sequence[KeptRun]) -> str:
    """The text of a README with a new table of the presets between its marks.

    Raises UserError if it has no marks.
    """
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{path} has no lines '{BEGIN}' and '{END}' to put the table between")
    rows = [
        [f"`{run.name}`", *_crr_cells(run), f"{run.minutes:.0f}"]
        for run in kept
        if run.group == FIRST_GROUPS[0]
    ]
    return f"{before}{BEGIN}\n{_table(READMES[path.name], rows)}\n{END}{after}"


def _crr_cells(run: KeptRun) -> list[str]:
    """CRR of both together, of the speller and of the CTC head."""
    rates = (run.both.get("crr"), run.speller["crr"], run.speller.get("ctc_crr"))
    return ["-" if rate is None else f"{rate:.1f}" for rate in rates]


def runs(docs: Path) -> list[KeptRun]:
    """All kept runs, in the order of their names. Raises UserError if there are none."""
    folders = sorted(path.parent for path in (docs / "runs").glob(f"*/{ABOUT}"))
    if not folders:
        raise UserError(f"{docs / 'runs'} keeps no run: python benchmarks/results.py keep RUN NAME")
    return [KeptRun.read(folder) for folder in folders]


def groups(kept: Sequence[KeptRun]) -> list[str]:
    """The groups of the runs: first those of `FIRST_GROUPS`, then the others by name."""
    names = {run.group for run in kept}
    return [name for name in FIRST_GROUPS if name in names] + sorted(names - {*FIRST_GROUPS})


def page(docs: Path, kept: Sequence[KeptRun]) -> str:
    """The text of docs/results.md."""
    path = docs / "runs" / CORPORA
    corpora = _read_json(path) if path.is_file() else {}
    sections = [
        "# Results",
        "Written by `make results` from the files in [runs](runs), which `python "
        "benchmarks/results.py keep` copied from the runs. Every kept run is shown, whether its "
        "results are good or poor.",
        *(_corpus_section(name, splits) for name, splits in corpora.items()),
        *_path_section(docs / "runs" / PATH),
    ]
    for group in groups(kept):
        members = [run for run in kept if run.group == group]
        sections += [
            f"## {group.capitalize()}",
            _scores_table(members, kept),
            f"![CRR of dev against minutes of training](images/results_{group}.png)",
            *_degraded_tables(members),
            _commands_table(members),
        ]
    sections += [
        _search_section(path.stem, _read_json(path))
        for path in sorted((docs / "runs" / SEARCH).glob("*.json"))
    ]
    return "\n\n".join(sections) + "\n"


def _search_section(name: str, results: dict[str, Any]) -> str:
    """What each part of the search is worth, as `benchmarks/search_table.py` measured it."""
    head = ["search", "CRR", "CER", "WER", "real-time factor", "against the line above"]
    rows = [
        [
            row["way"],
            *(_with_interval(row[rate], row["intervals"].get(rate)) for rate in RATES),
            f"{row['rtf']:.2f}",
            _difference(row.get("against_the_line_above")),
        ]
        for row in results["rows"]
    ]
    return (
        f"## Search: {name}\n\nOn {results['split']}, {results['utterances']} utterances, in %, "
        "with 95 % bootstrap intervals. Weights are from dev. Against the line above: the "
        "difference in CRR and in WER, and how probable one at least as large is by chance (p, "
        "paired bootstrap).\n\n"
        f"{_table(head, rows)}\n\n`{results['command']}`, {results['machine']}"
    )


def _path_section(path: Path) -> list[str]:
    """What was changed one after the other, and what it led to; nothing without the file.

    Raises UserError if it names scores that are not kept.
    """
    if not path.is_file():
        return []
    told = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not told.get("steps"):
        raise UserError(f"{path} has no steps: remove it, or list the changes")
    rows = []
    for step in told["steps"]:
        file = path.parent / step["scores"]
        kept = _read_json(file) if file.is_file() else {"rows": ()}
        # A way is a row of what benchmarks/search_table.py measured.
        found = [row for row in kept.get("rows", [kept]) if row.get("way") == step.get("way")]
        if not found:
            way = f" of '{step['way']}'" if "way" in step else ""
            raise UserError(f"{path} names scores{way} in {step['scores']}, which are not kept")
        intervals = found[0].get("intervals", {})
        rates = [_with_interval(found[0][rate], intervals.get(rate)) for rate in RATES]
        trained = (file.parent / METRICS).is_file()
        minutes = f"{KeptRun.read(file.parent).minutes:.0f}" if trained else "-"
        rows.append([step["change"], *rates, minutes])
    head = ["change", "CRR", "CER", "WER", "minutes of the last training"]
    without = "".join(f"\n- {line}" for line in told.get("did_not_help", ()))
    return [
        "## The path",
        "On Pansori's test, in %, with 95 % bootstrap intervals where the evaluation wrote them; "
        "each line is the one above it with one change, or says what it changes.",
        _table(head, rows),
        f"What did not help ([the lab](lab.md) has the figures):\n{without}",
    ]


def _with_interval(value: float, interval: Sequence[float] | None) -> str:
    low_to_high = f" ({interval[0]:.1f} to {interval[1]:.1f})" if interval else ""
    return f"{value:.2f}{low_to_high}"


def _difference(comparison: dict[str, Any] | None) -> str:
    if comparison is None:
        return "-"
    crr, wer = comparison["crr"], comparison["wer"]
    return (
        f"CRR {crr['difference']:+.2f} (p {crr['p']:.3f}), "
        f"WER {wer['difference']:+.2f} (p {wer['p']:.3f})"
    )


def _corpus_section(name: str, splits: dict[str, dict[str, Any]]) -> str:
    """Sizes of the splits of a corpus, and what they share with train."""
    rows = []
    shared = []
    for split in sorted(splits, key=lambda split: (split != "train", split != "dev", split)):
        counts = splits[split]
        rows.append(
            [
                split,
                f"{counts['utterances']:,}",
                f"{counts['hours']:.2f}",
                str(counts["speakers"]),
                f"{counts['characters']:,}",
                f"`{counts['checksum']}`",
            ]
        )
        if split != "train":
            shared.append(
                f"- {split}: {counts['speakers_in_train'] or 'none'} of its speakers in train; "
                f"{_percent(counts['texts_in_train'])} of its utterances say a text of train word "
                f"for word; of its distinct {NGRAM}-grams train has "
                f"{_percent(counts['word_ngrams_in_train'])} by words and "
                f"{_percent(counts['character_ngrams_in_train'])} by characters (spaces left out)."
            )
    by_speaker = all(not counts.get("speakers_in_train") for counts in splits.values())
    how_split = "split by speaker" if by_speaker else "its splits share speakers"
    head = ["split", "utterances", "hours", "speakers", "characters", "checksum of ids"]
    return f"## Corpus: {name}, {how_split}\n\n{_table(head, rows)}\n\n" + "\n".join(shared)


def _scores_table(members: Sequence[KeptRun], kept: Sequence[KeptRun]) -> str:
    """Error rates on test of the runs of a group, and what was tested."""
    head = ["run", "what differs", "CRR, both", "CER", "WER", "CRR, speller", "CER", "WER"]
    head += ["CRR, CTC", "CER", "WER", "minutes", "epochs", "note"]
    rows = []
    for run in members:
        ctc = {name: run.speller.get(f"ctc_{name}") for name in RATES}
        rates = [scores.get(name) for scores in (run.both, run.speller, ctc) for name in RATES]
        rows.append(
            [
                run.name,
                run.differences(kept),
                *("-" if rate is None else f"{rate:.2f}" for rate in rates),
                f"{run.minutes:.1f}",
                f"{len(run.epochs)} of {run.config['max_epochs']}",
                run.note,
            ]
        )
    test_sets = {
        (run.corpora, run.speller["utterances"], run.speller["normalizer"]) for run in members
    }
    tested = "; ".join(
        f"{corpora}, {utterances} utterances ({normalizer})"
        for corpora, utterances, normalizer in sorted(test_sets)
    )
    return (
        f"On test, in %: {tested}. CRR leaves spaces out, CER counts them. Both: speller and CTC "
        "head search together (`sorigeul evaluate`); then the speller alone (`--beam 1`), and the "
        "CTC head alone. What differs: the preset or run it is compared with, and which settings."
        f"\n\n{_table(head, rows)}"
    )


def _degraded_tables(members: Sequence[KeptRun]) -> list[str]:
    """CRR on degraded copies of the test set, where a run has been evaluated on them."""
    scored = [
        (run, degraded)
        for run in members
        if (degraded := run.both.get("degraded") or run.speller.get("degraded"))
    ]
    if not scored:
        return []
    names = list(dict.fromkeys(name for _, degraded in scored for name in degraded))
    rows = []
    for run, degraded in scored:
        rates = [run.both.get("crr") or run.speller["crr"]]
        rates += [degraded[name]["crr"] if name in degraded else None for name in names]
        rows.append([run.name, *("-" if rate is None else f"{rate:.2f}" for rate in rates)])
    return [
        "CRR on degraded copies of the test set (`sorigeul evaluate --degrade`; the "
        "[guide](guide/training.md) says what the names mean):",
        _table(["run", "as recorded", *names], rows),
    ]


def _commands_table(members: Sequence[KeptRun]) -> str:
    """Command, commit and machine of the runs of a group."""
    head = ["run", "command", "commit", "machine"]
    rows = []
    for run in members:
        record = run.record
        commands = [*(earlier["command"] for earlier in record["earlier"]), record["command"]]
        command = ", then ".join(f"`{command}`" if command else "-" for command in commands)
        commit, _, changed = (record["commit"] or "-").partition("+")
        commit = commit[:10] + (f"+{changed}" if changed else "")
        memory = f", {record['memory_gib']:g} GiB" if record["memory_gib"] else ""
        machine = (
            f"{record['machine']}, {_count(record['processes'], 'process', 'es')} of "
            f"{_count(record['threads'], 'thread', 's')}{memory}, "
            f"PyTorch {record['torch']}, Python {record['python']}, begun {record['started']}"
        )
        rows.append([run.name, command, commit, machine])
    return _table(head, rows)


def _count(number: int, noun: str, plural: str) -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns of numbers are aligned to the right."""
    columns = zip(*rows, strict=True)
    numbers = [all(re.fullmatch(r"[-\d,.]+", cell) for cell in column) for column in columns]
    lines = [head, ["---:" if number else "---" for number in numbers], *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def draw(path: Path, members: Sequence[KeptRun]) -> None:
    """Plot CRR of dev against minutes of training, of the speller and of the CTC head."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = (("valid_crr", "speller"), ("valid_ctc_crr", "CTC head alone"))
    for axes, (name, title) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        for run in members:
            points = [
                (row["training_seconds"] / 60, row[name])
                for row in run.epochs
                if row.get(name) is not None
            ]
            minutes, rates = zip(*points, strict=True) if points else ((), ())
            axes.plot(minutes, rates, marker="o", markersize=3, label=run.name)
        axes.set(title=title, xlabel="minutes of training", ylabel="CRR of dev (%)")
        axes.set_xlim(0)
        axes.set_ylim(-5, 105)
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    plots.save_figure(figure, path)


def _read_json(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def _to_json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command of the script; a UserError ends it in one line, with exit status 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of results.md and runs")
    commands = parser.add_subparsers(dest="command", required=True)
    keep_parser = commands.add_parser("keep", help="copy what the tables need of a run")
    keep_parser.add_argument("run", type=Path)
    keep_parser.add_argument("name")
    keep_parser.add_argument("--note", default="", help="a line on what the run shows")
    keep_parser.add_argument(
        "--group", default="", help="presets, ablation, pretraining or another"
    )
    keep_parser.add_argument("--like", default="", help="kept run to compare with, not a preset")
    corpus_parser = commands.add_parser("corpus", help="count a prepared corpus")
    corpus_parser.add_argument("folder", type=Path)
    commands.add_parser("write", help="write results.md and its plots")
    parsed = parser.parse_args(arguments)
    try:
        if parsed.command == "keep":
            keep(parsed.run, parsed.name, parsed.docs, parsed.note, parsed.group, parsed.like)
        elif parsed.command == "corpus":
            corpus(parsed.folder, parsed.docs)
        else:
            write(parsed.docs)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
