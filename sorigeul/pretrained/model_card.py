"""The page that tells a stranger what a model is, a run's or an export's: `README.md`.

It says what is recorded, and of everything else that it is not known. Its first lines are what the
Hugging Face hub reads.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

from sorigeul.base.errors import UserError
from sorigeul.base.provenance import TrainingCorpus, checked_record, read_record, training_corpora
from sorigeul.base.records import build, read_object
from sorigeul.base.weight_arrays import read_arrays
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.report import read_contents
from sorigeul.pretrained.description import (
    EXPORT,
    WEIGHTS,
    ModelDescription,
    describe_pretrained,
    read_description,
)
from sorigeul.pretrained.stored_evaluations import RATES, StoredEvaluation, evaluations_of
from sorigeul.synthesis.demo import DEMO

CARD = "README.md"
_CATALOG = {**CORPORA, DEMO.name: DEMO}
_TAGS = ("speech-recognition", "korean", "listen-attend-and-spell")
_TASK = "automatic-speech-recognition"
_SHOWN = {"crr": "CRR", "cer": "CER", "cer_no_space": "CER without spaces", "wer": "WER"}
_HUB_METRICS = ("cer", "wer", "crr")
_LICENSES = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "mpl-2.0", "unlicense", "unknown"),
    *("gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0"),
    *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
}
"""names of licences that the hub knows; to it, all others are `other` with a name"""

_MARK = "\n<!-- made by sorigeul export: "

_PAGE = """
# {heading}

A Korean speech recogniser (Listen, Attend and Spell), {form}
한국어 음성 인식 모델입니다. 아래는 모델과 함께 기록된 내용입니다.

## How to use it

```console
$ pip install '{package}'
$ sorigeul transcribe {name} RECORDING…
$ sorigeul serve {name}
```

```python
from sorigeul import Recognizer

recognizer = Recognizer.from_pretrained("{name}")
print(recognizer.transcribe("meeting.m4a").text)
```

Recordings of any format and length. Times of words, subtitles and expected terms:
`sorigeul transcribe --help`.

## What it is

{description}

## What it was trained on

{data}

## Results

{results}

## Limits

{limits}

## Licence

{licence}

## How it was made

{environment}
"""


@dataclass(frozen=True)
class CardOptions:
    """What a card says besides what is recorded."""

    name: str = ""
    """of the model: how one loads it; empty: that of its folder"""
    license: str = ""
    """of the model; empty: not stated"""
    evaluations: Sequence[Path] = ()
    """files of `evaluate --json` that are not in its folder"""
    corpora: Sequence[Path] = ()
    """prepared corpora of its training, if it is older than their record"""


@dataclass(frozen=True)
class ModelOrigin:
    """Where a model comes from. An export keeps that of its run."""

    record: Mapping[str, Any]
    """`run.json`; empty if there is none"""
    results: Mapping[str, str]
    """metrics at the time of its publishing, by name"""
    evaluations: tuple[StoredEvaluation, ...] = ()

    @classmethod
    def of_run(cls, folder: Path, further: Sequence[Path] = ()) -> "ModelOrigin":
        """That of the model in a run folder; `further` are files of its evaluations."""
        _, results = read_arrays(folder / WEIGHTS)
        results.pop("vocabulary_hash", None)
        evaluations = tuple(evaluations_of(folder, further))
        return cls(read_record(folder) or {}, results, evaluations)

    def to_json(self) -> dict[str, Any]:
        """For the record of an export."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "ModelOrigin":
        """From what `to_json` gave; ValueError if it is damaged."""
        evaluations = [build(StoredEvaluation, one) for one in content.get("evaluations", [])]
        record = checked_record(content.get("record", {}))
        return cls(record, dict(content.get("results", {})), tuple(evaluations))


@dataclass(frozen=True)
class _Subject:
    """The model that a card is about."""

    name: str
    license: str
    description: ModelDescription
    origin: ModelOrigin
    own: Sequence[StoredEvaluation]
    """evaluations of what is in the folder"""
    of_run: Sequence[StoredEvaluation]
    """evaluations of the run, if this is an export of it"""
    corpora: Sequence[TrainingCorpus]
    precision: str
    """of an export; empty for a run"""
    megabytes: float


def model_card(folder: Path, options: CardOptions | None = None) -> str:
    """The page, in Markdown, of the model in a run folder or in that of an export.

    Raises UserError if there is no such model, or if something that belongs to it is damaged.
    """
    subject = _subject(folder, options or CardOptions())
    page = _PAGE.format(
        name=subject.name,
        heading=_plain(subject.name),
        form=_form(subject),
        package=_package(subject),
        description=_table(("", ""), _description(subject)),
        data=_data(subject),
        results=_results(subject),
        limits="\n".join(f"- {line}" for line in _limits(subject)),
        licence="\n\n".join(_licence(subject)),
        environment="\n".join(f"- {line}" for line in _environment(subject)) or "Not recorded.",
    )
    return f"---\n{_metadata(subject)}\n---\n{page}"


def mark_as_automatic(card: str) -> str:
    """A card that nobody has asked for, with an ending that browsers do not show."""
    return f"{card}{_MARK}{crc32(card.encode()):08x} -->\n"


def is_automatic(card: str) -> bool:
    """Whether a card is as `mark_as_automatic` gave it, and may be made anew: nobody edited it."""
    page, found, _ = card.rpartition(_MARK)
    return bool(found) and card == mark_as_automatic(page)


def _subject(folder: Path, options: CardOptions) -> _Subject:
    exported = (folder / EXPORT).is_file()
    description = read_description(folder) if exported else describe_pretrained(folder)
    precision, of_run = "", tuple[StoredEvaluation, ...]()
    if exported:
        own: Sequence[StoredEvaluation] = evaluations_of(folder, options.evaluations)
        try:
            record = read_object(folder / EXPORT)
            precision = str(record["precision"])
            origin = ModelOrigin.from_json(record.get("origin") or {})
            recorded = training_corpora(origin.record)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"{folder / EXPORT} is damaged ({error}): export the model again"
            ) from error
        of_run = origin.evaluations
    else:
        origin = ModelOrigin.of_run(folder, options.evaluations)
        own, recorded = origin.evaluations, training_corpora(origin.record)
    files = folder.glob("*.onnx") if exported else [folder / WEIGHTS]
    return _Subject(
        name=" ".join(options.name.split()) or folder.resolve().name,
        license=" ".join(options.license.split()),
        description=description,
        origin=origin,
        own=own,
        of_run=of_run,
        corpora=[_prepared(path) for path in options.corpora] or recorded,
        precision=precision,
        megabytes=sum(path.stat().st_size for path in files) / 1e6,
    )


def _prepared(folder: Path) -> TrainingCorpus:
    """What the report of a prepared corpus says of its train; UserError if it says nothing."""
    contents = read_contents(folder)
    if "train" not in contents.splits:
        raise UserError(f"{folder} has no report of a prepared corpus with a train split")
    train = contents.splits["train"]
    return TrainingCorpus(
        name=folder.absolute().name,
        corpora=contents.corpora,
        utterances=int(train["utterances"]),
        hours=round(train["hours"], 3),
        speakers=int(train["speakers"]) or None,
    )


# What the hub reads.


def _metadata(subject: _Subject) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    comparable = [*subject.own, *(subject.of_run if subject.precision == "float32" else ())]
    results = [
        EvalResult(
            task_type=_TASK,
            task_name="Speech recognition",
            dataset_type=one.data,
            dataset_name=_title(one.corpora, one.data),
            dataset_split=one.split,
            metric_type=rate,
            metric_name=f"{_SHOWN[rate]} ({one.policy}; {one.search})",
            metric_value=round(one.rates[rate], 2),
        )
        for one in comparable
        for rate in _HUB_METRICS
    ]
    license_ = _license_id(subject.license)
    is_known = license_ in _LICENSES
    data = ModelCardData(
        language="ko",
        license=(license_ if is_known else "other") if license_ else None,
        license_name=None if is_known else license_ or None,
        library_name="sorigeul",
        pipeline_tag=_TASK,
        tags=[*_TAGS, "onnx"] if subject.precision else list(_TAGS),
        metrics=["cer", "wer"],
        model_name=subject.name.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )
    return str(data.to_yaml(line_break="\n"))


def _license_id(license_: str) -> str:
    """A licence as the hub writes its name: "CC BY 4.0" is cc-by-4.0."""
    return re.sub(r"[^a-z0-9.]+", "-", license_.lower()).strip("-")


# The sections.


def _form(subject: _Subject) -> str:
    if subject.precision:
        return "as ONNX graphs. It runs with ONNX Runtime\nand NumPy, on a CPU, without PyTorch.\n"
    if subject.description.config.is_pretrained:
        return "for PyTorch, whose listener is a\npretrained encoder.\n"
    return "which ONNX Runtime computes on\na CPU, and PyTorch on a GPU.\n"


def _package(subject: _Subject) -> str:
    """What is installed to use it."""
    if subject.description.config.is_pretrained:
        return "sorigeul[train,pretrained,serve]"
    return "sorigeul[serve]"


def _description(subject: _Subject) -> Iterator[tuple[str, str]]:
    description = subject.description
    config, features = description.config, description.features
    vocabulary = description.vocabulary
    longest = description.longest_utterance
    numbers = subject.precision or "float32"
    yield "numbers", f"{numbers}, {subject.megabytes:.1f} MB"
    yield "listener", f"{config.listener}, width {config.width}"
    attention = config.score_function if config.use_attention else "none"
    yield (
        "speller",
        f"{config.speller_layer_size} layer(s) of {config.cell}, attention: {attention}",
    )
    yield "CTC head", "yes" if config.ctc_weight > 0 else "no"
    yield "vocabulary", f"{len(vocabulary):,} units ({vocabulary.kind})"
    yield "text", f"as `{description.normalizer}` writes it"
    heard = "samples" if features.kind == "waveform" else f"{features.n_mels} mel bands"
    rate, normalization = features.frames_per_second, features.normalization
    yield "features", f"{heard}, {rate:g} frames a second, normalised: {normalization}"
    yield "longest utterance of its training", "unknown" if longest is None else f"{longest:g} s"


def _data(subject: _Subject) -> str:
    if not subject.corpora:
        return "Not recorded."
    rows = [
        (
            _title(corpus.corpora, corpus.name),
            f"{corpus.utterances:,}",
            f"{corpus.hours:.2f}",
            "unknown" if corpus.speakers is None else f"{corpus.speakers:,}",
            _licences(corpus.corpora),
        )
        for corpus in subject.corpora
    ]
    return _table(("corpus", "utterances", "hours", "speakers", "its licence"), rows)


def _title(corpora: Sequence[str], folder: str) -> str:
    """The full names of corpora of the catalog; of others there is only that of their folder."""
    titles = [_CATALOG[name].title if name in _CATALOG else "" for name in corpora]
    return ", ".join(titles) if titles and all(titles) else folder


def _licences(corpora: Sequence[str]) -> str:
    licences = [_CATALOG[name].licence if name in _CATALOG else "" for name in corpora]
    if len(corpora) == 1:
        return licences[0] or "unknown"
    named = zip(corpora, licences, strict=True)
    return (
        "; ".join(f"{_title([name], name)}: {one or 'unknown'}" for name, one in named) or "unknown"
    )


def _results(subject: _Subject) -> str:
    paragraphs = []
    if subject.own:
        paragraphs.append(_evaluation_table(subject.own))
    if subject.of_run:
        paragraphs += [
            "Measured with the run that it was exported from, in PyTorch:",
            _evaluation_table(subject.of_run),
        ]
    rates = [
        f"{name} {value}"
        for name, value in sorted(subject.origin.results.items())
        if name.endswith("crr") and not name.startswith("train") and "beam" not in name
    ]
    if rates:
        paragraphs.append(
            f"While it was trained, without a beam, in %: {', '.join(rates)}; ctc is the CTC head "
            "alone, the others are the speller alone."
        )
    if not paragraphs:
        return "None are recorded: measure it with `sorigeul evaluate`."
    return "\n\n".join(
        [
            *paragraphs,
            "They say nothing of other kinds of recordings: measure yours with "
            "`sorigeul evaluate`.",
        ]
    )


def _evaluation_table(evaluations: Sequence[StoredEvaluation]) -> str:
    header = (
        "test data",
        "utterances",
        "policy",
        "search",
        *(f"{_SHOWN[rate]} (%)" for rate in RATES),
    )
    rows = [
        (
            f"{_title(one.corpora, one.data)}, {one.split}",
            f"{one.utterances:,}",
            one.policy,
            f"{one.search}; {one.precision}",
            *(_rate(one, rate) for rate in RATES),
        )
        for one in evaluations
    ]
    units = " and ".join(dict.fromkeys(f"{one.resampled}s" for one in evaluations))
    return (
        f"{_table(header, rows)}\n\nIn brackets: 95 % bootstrap intervals over {units}. CRR is the "
        "character recognition rate, spaces left out; higher is better."
    )


def _rate(evaluation: StoredEvaluation, rate: str) -> str:
    value = f"{evaluation.rates[rate]:.2f}"
    if rate not in evaluation.intervals:
        return value
    low, high = evaluation.intervals[rate]
    return f"{value} ({low:.2f} to {high:.2f})"


def _limits(subject: _Subject) -> Iterator[str]:
    heard = {name for corpus in subject.corpora for name in corpus.corpora}
    if heard == {DEMO.name}:
        yield "It has heard synthesised voices only: an example, of little use for those of people."
    yield "Korean only, as it was trained on; other accents, rooms and subjects are harder."
    yield "It writes no punctuation unless its training text has it, and nothing of who spoke."
    yield (
        "It may write words that nobody said, above all in noise; such segments are mostly marked "
        "as doubtful, and each has a confidence."
    )
    yield "It can write the characters of its vocabulary only."


def _licence(subject: _Subject) -> Iterator[str]:
    yield f"Of this model: {_plain(subject.license) or 'not stated'}."
    config = subject.description.config
    if config.is_pretrained:
        yield f"Of its listener, which began as {config.listener}: that of its publisher."
    yield (
        "Of its data: see the table above. Whether that allows what you want to do with the model "
        "is for you to find out."
    )


def _environment(subject: _Subject) -> Iterator[str]:
    record = subject.origin.record
    names = {
        "command": "command",
        "version": "sorigeul",
        "commit": "commit",
        "torch": "PyTorch",
        "python": "Python",
        "machine": "machine",
        "memory_gib": "memory (GiB)",
        "processes": "processes",
        "threads": "threads of each",
        "seed": "seed",
        "started": "begun",
    }
    for key, name in names.items():
        value = record.get(key)
        if value is not None:
            yield f"{name}: `{value}`" if key == "command" else f"{name}: {value}"
    seconds = record.get("training_seconds")
    if isinstance(seconds, int | float) and seconds > 0:
        yield f"time of training: {timedelta(seconds=round(seconds))}"
    for facts in record.get("earlier", []):
        if command := facts.get("command"):
            yield f"before: `{command}`"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    """A text that stays in its cell."""
    return " ".join(_plain(text).replace("|", "\\|").split())


def _plain(text: str) -> str:
    """A text that Markdown does not take for HTML."""
    return html.escape(text, quote=False)
