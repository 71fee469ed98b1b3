"""docs/results.md: what trainings came to, written from the files they left behind.

    python benchmarks/results.py corpus data/pansori       sizes of its splits, texts they share
    python benchmarks/results.py keep RUN NAME [--group presets] [--note "what it shows"]
                                                           [--like another run that is kept]
    python benchmarks/results.py write                     docs/results.md, its plots, README tables

`keep` copies what the tables need into docs/runs/NAME, where `sorigeul evaluate RUN DATA` has left
its figures: `--json RUN/test.json` and, with a CTC head, `--beam 1 --json RUN/test_speller.json`.
Figures that are poor are shown like others.
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
from sorigeul.cli.arguments import positionals
from sorigeul.data import manifests
from sorigeul.training.metrics import METRICS, read_metrics
from sorigeul.training.settings import RUN_CONFIG, Settings, presets

DOCS = Path(__file__).resolve().parents[1] / "docs"
ABOUT, CORPORA = "about.json", "corpus.json"
TEST, SPELLER = "test.json", "test_speller.json"  # of evaluate, and of evaluate --beam 1
GROUPS = ("presets", "ablation", "pretraining")  # come first, in this order
NGRAM = 5
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
READMES = {
    "README.md": ["run", "CRR of both (%)", "of the speller", "of the CTC head", "minutes"],
    "README.ko.md": ["학습", "둘이 함께 찾은 CRR (%)", "스펠러", "CTC 헤드", "분"],
}
# Settings that change nothing of what is learnt, and differ from machine to machine.
HOUSEKEEPING = {"audio_root", "log_every", "checkpoint_every", "num_workers", "alignment_by"}
PLACES = "audio_root|noise_dir|vocabulary|init_from"  # settings that may name one of a machine
FIGURES = ("crr", "cer", "wer")


@dataclass(frozen=True)
class Kept:
    """A run as docs/runs holds it."""

    name: str
    group: str
    note: str
    like: str
    """the kept run to compare its settings with; empty: the nearest preset"""
    record: dict[str, Any]
    config: dict[str, Any]
    both: dict[str, Any]
    """on test, by speller and CTC head together; empty without a CTC head, or if not measured"""
    speller: dict[str, Any]
    """on test, by the speller alone; and by the CTC head alone"""
    epochs: list[dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> "Kept":
        """The run in a folder of docs/runs."""
        about = _json(folder / ABOUT)
        record = _json(folder / provenance.RECORD)
        test = _json(folder / TEST) if (folder / TEST).is_file() else {}
        two = (folder / SPELLER).is_file()
        both, speller = (test, _json(folder / SPELLER)) if two else ({}, test)
        config = yaml.safe_load((folder / RUN_CONFIG).read_text(encoding="utf-8"))
        epochs = read_metrics(folder, "epoch")
        group, note, like = about["group"], about["note"], about.get("like", "")
        return cls(folder.name, group, note, like, record, config, both, speller, epochs)

    @property
    def minutes(self) -> float:
        """Minutes of training, evaluation left out."""
        return float(self.epochs[-1]["training_seconds"]) / 60

    @property
    def corpus(self) -> str:
        """The name of the folder of manifests."""
        command = self.record["command"]
        found = positionals(shlex.split(command)[2:]) if command else []
        return Path(found[0]).name if found else "-"

    def differences(self, kept: Sequence["Kept"]) -> str:
        """What it is compared with, of the presets or of `kept`, and the settings that differ."""
        defaults = Settings().flat()
        usual = {preset: Settings.preset(preset).flat() for preset in presets()}
        if self.like:
            usual = {one.name: {**defaults, **one.config} for one in kept if one.name == self.like}
        own = {**defaults, **self.config}  # a setting younger than the run was at its default
        found = []
        for name, stated in usual.items():
            differing = [
                f"`{setting} {own[setting]}`"
                for setting, value in stated.items()
                if setting not in HOUSEKEEPING and own[setting] != value
            ]
            found.append((len(differing), name, differing))
        if not found:
            raise UserError(f"{self.name} is to be compared with {self.like}, which is not kept")
        _, nearest, differing = min(found)
        return ", ".join([f"`{nearest}`", *differing])


# Keeping.


def keep(run: Path, name: str, docs: Path, note: str, group: str, like: str) -> None:
    """Copy what the tables need of a run. Raises UserError where something of it is missing."""
    for word in filter(None, (name, group)):  # which name a folder and a plot
        if not re.fullmatch(r"[\w-][\w.-]*", word):
            raise UserError(f"'{word}' is no name: use letters, digits, '-', '_' and '.'")
    record = provenance.read_record(run)
    if record is None:
        raise UserError(f"{run} has no run.json (trained by an older version?): train it again")
    rows = [row for row in read_metrics(run) if row["kind"] != "step"]
    if not any(row["kind"] == "epoch" for row in rows):
        raise UserError(f"{run} has no finished epoch yet: wait for one")
    found = {TEST: _figures(run, TEST, "")}
    if "ctc_crr" in found[TEST]:
        found[SPELLER] = _figures(run, SPELLER, "--beam 1 ")
    folder = docs / "runs" / name
    before = _json(folder / ABOUT) if (folder / ABOUT).is_file() else {"group": "others"}
    about = {
        "group": group or before["group"],
        "note": note or before.get("note", ""),
        "like": like or before.get("like", ""),
    }
    config = (run / RUN_CONFIG).read_text(encoding="utf-8")
    config = re.sub(rf"(?m)^({PLACES}): /.*/", r"\1: ", config)  # places of a machine
    write_text(folder / provenance.RECORD, _dump(record))
    write_text(folder / RUN_CONFIG, config)
    write_text(folder / METRICS, "".join(f"{json.dumps(row)}\n" for row in rows))
    for file, figures in found.items():
        write_text(folder / file, _dump(figures))
    write_text(folder / ABOUT, _dump(about))


def _figures(run: Path, file: str, how: str) -> dict[str, Any]:
    """What `sorigeul evaluate --json` wrote."""
    path = run / file
    found = _json(path) if path.is_file() else {}
    if "crr" not in found:
        raise UserError(f"no figures in {path}: sorigeul evaluate {run} DATA {how}--json {path}")
    return {**found, "failures": len(found.get("failures", ()))}  # whose reasons name places


def corpus(folder: Path, docs: Path) -> None:
    """Add a prepared corpus to docs/runs/corpus.json: its splits, and what they share."""
    splits: dict[str, dict[str, Any]] = {}
    texts: dict[str, list[str]] = {}
    speakers: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        cuts = list(manifests.required_manifest(folder, path.stem))
        texts[path.stem] = [cut.supervisions[0].text for cut in cuts]
        named = {cut.supervisions[0].speaker for cut in cuts}
        speakers[path.stem] = {speaker for speaker in named if speaker}
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
    known = set(texts["train"])
    words, letters = _ngrams(map(str.split, texts["train"])), _ngrams(map(_letters, texts["train"]))
    for name in splits.keys() - {"train"}:
        said = texts[name]
        splits[name] |= {
            "speakers_in_train": len(speakers[name] & speakers["train"]),
            "texts_in_train": sum(text in known for text in said) / len(said),
            "word_ngrams_in_train": _share(_ngrams(map(str.split, said)), words),
            "character_ngrams_in_train": _share(_ngrams(map(_letters, said)), letters),
        }
    path = docs / "runs" / CORPORA
    corpora = _json(path) if path.is_file() else {}
    corpora[folder.resolve().name] = splits
    write_text(path, _dump(dict(sorted(corpora.items()))))


def checksum(ids: Iterable[str]) -> str:
    """Tells whether a split holds the same utterances: of the SHA-256 of their sorted ids."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:12]


def _letters(text: str) -> list[str]:
    return list(text.replace(" ", ""))


def _ngrams(texts: Iterable[Sequence[str]]) -> set[tuple[str, ...]]:
    return {tuple(text[at : at + NGRAM]) for text in texts for at in range(len(text) - NGRAM + 1)}


def _share(some: set[tuple[str, ...]], known: set[tuple[str, ...]]) -> float | None:
    """Share of them that are known; none where there are none."""
    return len(some & known) / len(some) if some else None


# Writing.


def write(docs: Path) -> None:
    """Write docs/results.md, the tables of the READMEs, and draw the plots that it shows."""
    kept = runs(docs)
    write_text(docs / "results.md", page(docs, kept))
    for name in READMES:
        if (docs.parent / name).is_file():
            write_text(docs.parent / name, readme(docs.parent / name, kept))
    for group in groups(kept):
        draw(docs / "images" / f"results_{group}.png", [one for one in kept if one.group == group])


def readme(path: Path, kept: Sequence[Kept]) -> str:
    """The text of a README with the table of the presets between its marks put in anew."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{path} has no lines '{BEGIN}' and '{END}' to put the table between")
    rows = [
        [f"`{one.name}`", *_rates(one), f"{one.minutes:.0f}"]
        for one in kept
        if one.group == GROUPS[0]
    ]
    return f"{before}{BEGIN}\n{_table(READMES[path.name], rows)}\n{END}{after}"


def _rates(one: Kept) -> list[str]:
    """CRR of both together, of the speller and of the CTC head."""
    found = (one.both.get("crr"), one.speller["crr"], one.speller.get("ctc_crr"))
    return ["-" if rate is None else f"{rate:.1f}" for rate in found]


def runs(docs: Path) -> list[Kept]:
    """All runs that are kept, by name."""
    folders = sorted(path.parent for path in (docs / "runs").glob(f"*/{ABOUT}"))
    if not folders:
        raise UserError(f"{docs / 'runs'} keeps no run: python benchmarks/results.py keep RUN NAME")
    return [Kept.read(folder) for folder in folders]


def groups(kept: Sequence[Kept]) -> list[str]:
    """The groups there are, the known ones first."""
    found = {one.group for one in kept}
    return [group for group in GROUPS if group in found] + sorted(found - {*GROUPS})


def page(docs: Path, kept: Sequence[Kept]) -> str:
    """The text of docs/results.md."""
    path = docs / "runs" / CORPORA
    corpora = _json(path) if path.is_file() else {}
    parts = [
        "# Results",
        "Written by `make results` from the files in [runs](runs), which `python "
        "benchmarks/results.py keep` copied from the runs. Every run that was kept is shown, "
        "whatever its figures.",
        *(_corpus_part(name, splits) for name, splits in corpora.items()),
    ]
    for group in groups(kept):
        members = [one for one in kept if one.group == group]
        parts += [f"## {group.capitalize()}", _figures_table(members, kept)]
        parts += [f"![CRR of dev against minutes of training](images/results_{group}.png)"]
        parts += [_commands(members)]
    return "\n\n".join(parts) + "\n"


def _corpus_part(name: str, splits: dict[str, dict[str, Any]]) -> str:
    rows = []
    sharing = []
    for split in sorted(splits, key=lambda each: (each != "train", each != "dev", each)):
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
            sharing.append(
                f"- {split}: {counts['speakers_in_train'] or 'none'} of its speakers in train; "
                f"{_percent(counts['texts_in_train'])} of its utterances say a text of train word "
                f"for word; of its distinct {NGRAM}-grams train has "
                f"{_percent(counts['word_ngrams_in_train'])} by words and "
                f"{_percent(counts['character_ngrams_in_train'])} by characters (spaces left out)."
            )
    apart = all(not counts.get("speakers_in_train") for counts in splits.values())
    how = "split by speaker" if apart else "its splits share speakers"
    head = ["split", "utterances", "hours", "speakers", "characters", "checksum of ids"]
    return f"## Corpus: {name}, {how}\n\n{_table(head, rows)}\n\n" + "\n".join(sharing)


def _figures_table(members: Sequence[Kept], kept: Sequence[Kept]) -> str:
    head = ["run", "what differs", "CRR, both", "CER", "WER", "CRR, speller", "CER", "WER"]
    head += ["CRR, CTC", "CER", "WER", "minutes", "epochs", "note"]
    rows = []
    for one in members:
        by_ctc = {name: one.speller.get(f"ctc_{name}") for name in FIGURES}
        found = [each.get(name) for each in (one.both, one.speller, by_ctc) for name in FIGURES]
        figures = ["-" if rate is None else f"{rate:.2f}" for rate in found]
        epochs = f"{len(one.epochs)} of {one.config['max_epochs']}"
        rows.append(
            [one.name, one.differences(kept), *figures, f"{one.minutes:.1f}", epochs, one.note]
        )
    counts = {(one.corpus, one.speller["utterances"], one.speller["normalizer"]) for one in members}
    tested = "; ".join(f"{name}, {count} utterances ({how})" for name, count, how in sorted(counts))
    return (
        f"On test, in %: {tested}. CRR leaves spaces out, CER counts them. Both: speller and CTC "
        "head search together (`sorigeul evaluate`); then the speller alone (`--beam 1`), and the "
        "CTC head alone. What differs: the preset or run it is compared with, and which settings."
        f"\n\n{_table(head, rows)}"
    )


def _commands(members: Sequence[Kept]) -> str:
    head = ["run", "command", "commit", "machine"]
    rows = []
    for one in members:
        record = one.record
        commands = [*(each["command"] for each in record["earlier"]), record["command"]]
        told = ", then ".join(f"`{command}`" if command else "-" for command in commands)
        commit, _, changed = (record["commit"] or "-").partition("+")
        commit = commit[:10] + (f"+{changed}" if changed else "")
        memory = f", {record['memory_gib']:g} GiB" if record["memory_gib"] else ""
        machine = (
            f"{record['machine']}, {_count(record['processes'], 'process', 'es')} of "
            f"{_count(record['threads'], 'thread', 's')}{memory}, "
            f"PyTorch {record['torch']}, Python {record['python']}, begun {record['started']}"
        )
        rows.append([one.name, told, commit, machine])
    return _table(head, rows)


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one}{'' if number == 1 else more}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = zip(*rows, strict=True)
    numbers = [all(re.fullmatch(r"[-\d,.]+", cell) for cell in column) for column in columns]
    lines = [head, ["---:" if number else "---" for number in numbers], *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def draw(path: Path, members: Sequence[Kept]) -> None:
    """CRR of dev by minutes of training: the speller's, and beside it the CTC head's."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = (("valid_crr", "speller"), ("valid_ctc_crr", "CTC head alone"))
    for axes, (name, title) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        for one in members:
            points = [
                (row["training_seconds"] / 60, row[name])
                for row in one.epochs
                if row.get(name) is not None
            ]
            minutes, rates = zip(*points, strict=True) if points else ((), ())
            axes.plot(minutes, rates, marker="o", markersize=3, label=one.name)
        axes.set(title=title, xlabel="minutes of training", ylabel="CRR of dev (%)")
        axes.set_xlim(0)
        axes.set_ylim(-5, 105)
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    plots.save_figure(figure, path)


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _dump(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the first word says; a mistake is told in one line, with exit status 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of results.md and runs")
    commands = parser.add_subparsers(dest="command", required=True)
    keeping = commands.add_parser("keep", help="copy what the tables need of a run")
    keeping.add_argument("run", type=Path)
    keeping.add_argument("name")
    keeping.add_argument("--note", default="", help="a line on what the run shows")
    keeping.add_argument("--group", default="", help="presets, ablation, pretraining or another")
    keeping.add_argument("--like", default="", help="kept run to compare with, not a preset")
    describing = commands.add_parser("corpus", help="count a prepared corpus")
    describing.add_argument("folder", type=Path)
    commands.add_parser("write", help="write results.md and its plots")
    given = parser.parse_args(arguments)
    try:
        if given.command == "keep":
            keep(given.run, given.name, given.docs, given.note, given.group, given.like)
        elif given.command == "corpus":
            corpus(given.folder, given.docs)
        else:
            write(given.docs)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
