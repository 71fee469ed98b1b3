"""Corpora on disk to manifests. Knows folders and file formats, nothing of tensors."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TextIO

from sorigeul.audio import AudioError, probe
from sorigeul.corpora.items import Layout, PrepareOptions, Reader, Rejected, Utterance
from sorigeul.corpora.manifest import Spool, cut_line, spool
from sorigeul.corpora.report import (
    Report,
    Tally,
    compare,
    differences,
    repeated_sentences,
    summary,
    total,
)
from sorigeul.corpora.splits import hold_out
from sorigeul.errors import UserError
from sorigeul.files import replacing
from sorigeul.progress import progress_bar
from sorigeul.text import Normalizer, TranscriptError, normalizer

__all__ = [
    "READERS",
    "Layout",
    "PrepareOptions",
    "Reader",
    "Rejected",
    "Report",
    "Utterance",
    "prepare",
    "reader",
]

READERS = {
    "kspon": "sorigeul.corpora.kspon",
    "zeroth": "sorigeul.corpora.zeroth",
    "pansori": "sorigeul.corpora.pansori",
    "clovacall": "sorigeul.corpora.clovacall",
    "commonvoice": "sorigeul.corpora.commonvoice",
    "fleurs": "sorigeul.corpora.fleurs",
    "table": "sorigeul.corpora.table",
    "demo": "sorigeul.corpora.demo",
}
"""The module of each corpus; its function ``read`` is the reader."""

MIN_DURATION = 0.1
SPLITS = ("train", "dev", "test", "eval_clean", "eval_other")
EVALUATION = ("eval_clean", "eval_other")


def reader(corpus: str) -> Reader:
    """Return the reader of ``corpus``; UserError if there is none."""
    if corpus not in READERS:
        raise UserError(f"no corpus '{corpus}'; choose one of {', '.join(READERS)}")
    read: Reader = import_module(READERS[corpus]).read
    return read


def prepare(
    corpus: str, source: Path | None, out: Path, options: PrepareOptions | None = None
) -> Report:
    """Read a corpus and write ``out/<split>.jsonl`` (lhotse cuts) and ``out/report.json``.

    Every item ends in exactly one split or among the report's rejected, with one exception:
    KsponSpeech's ``test`` is ``eval_clean`` and ``eval_other`` together. Splits the corpus lacks
    are drawn from its train. A split without utterances has no file. The same input gives the same
    bytes, and nothing is replaced unless everything has been written. Raises UserError if the
    source is not such a corpus or nothing in it can be used.
    """
    options = options or PrepareOptions()
    read = reader(corpus)
    outputs = {split: out / f"{split}.jsonl" for split in SPLITS}
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; the manifests need a folder")
    if source is not None and source.absolute() in (path.absolute() for path in outputs.values()):
        raise UserError(f"{source}: would be overwritten by the manifests; choose another OUT")

    rules = normalizer(f"kspon-{options.text}" if corpus == "kspon" else "plain")
    with spool(out) as accepted:
        found = _read(_watched(read(source, out, options), corpus), rules, options, accepted)
        if not found.ids:
            raise UserError(_nothing(source, found))
        split_by, held = _held_out(accepted, found, options)
        with ExitStack() as stack:
            # Entered first, so replaced last: where there is a report, its manifests are there.
            report_file = stack.enter_context(replacing(out / "report.json"))
            tallies = _write(accepted, held, rules, outputs, stack)
            report = Report(
                corpus=corpus,
                source=None if source is None else str(source.absolute()),
                layout=found.layout.name,
                normalizer=str(rules),
                seed=options.seed,
                options={name: value for name, value in asdict(options).items() if name != "seed"},
                split_by=split_by,
                total=total(found.own.values()),
                splits=summary(tallies),
                published=compare(found.layout.published, found.own),
                notes=found.layout.notes,
                warnings=tuple(_warnings(found, split_by, tallies)),
                rejected=tuple(found.rejected),
            )
            report_file.write_text(report.to_json(), encoding="utf-8")
    for split in outputs.keys() - tallies.keys():  # of an earlier run with other splits
        outputs[split].unlink(missing_ok=True)
    return report


@dataclass
class _Found:
    """What one reading of a corpus showed, but for the utterances themselves."""

    layout: Layout = field(default_factory=lambda: Layout("unknown"))
    ids: set[str] = field(default_factory=set)
    own: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    """By the corpus's own split; "" where it gives none."""
    rejected: list[Rejected] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    """Ids of headerless recordings with half a sample at their end."""


def _read(
    items: Iterable[Utterance | Rejected | Layout],
    rules: Normalizer,
    options: PrepareOptions,
    accepted: Spool,
) -> _Found:
    """Check every item; put the good ones on the spool, account for all."""
    found = _Found()
    for item in items:
        if isinstance(item, Layout):
            found.layout = item
            continue
        if isinstance(item, Utterance) and item.id in found.ids:
            item = Rejected(item.id, "duplicate id", item.where)
        checked = _checked(item, rules, options) if isinstance(item, Utterance) else item
        if isinstance(checked, Rejected):
            found.rejected.append(checked)
            continue
        found.ids.add(checked.id)
        found.own[checked.split or ""].add(checked)
        if checked.audio.suffix == ".pcm" and checked.audio.stat().st_size % 2:
            found.odd.append(checked.id)
        accepted.add(checked)
    return found


def _checked(
    utterance: Utterance, rules: Normalizer, options: PrepareOptions
) -> Utterance | Rejected:
    """Return ``utterance`` with normalised text and its duration, or why it cannot be used."""

    def rejected(reason: str) -> Rejected:
        return Rejected(utterance.id, reason, utterance.where)

    try:
        text = rules(utterance.text)
    except TranscriptError as error:
        return rejected(f"malformed transcript: {error}")
    if not text:
        return rejected("empty transcript")
    audio = utterance.audio.absolute()
    if not audio.is_file():
        return rejected(f"transcript without audio: no file {audio}")
    try:
        duration = probe(audio)
    except AudioError as error:
        return rejected(str(error))
    if duration > options.max_duration:
        return rejected(f"{duration:.2f} s long, over {options.max_duration:g} s")
    if duration < MIN_DURATION:
        return rejected(f"{duration:.3f} s long, under {MIN_DURATION:g} s")
    return replace(utterance, text=text, audio=audio, duration=duration)


def _held_out(
    accepted: Spool, found: _Found, options: PrepareOptions
) -> tuple[str, dict[str, str]]:
    """Draw the splits that the corpus lacks; return by what, and the split of each id drawn.

    By speaker where there is one for each split, so that no voice is in two; else by utterance.
    """
    shares = {"dev": options.dev_share, "test": options.test_share}
    if not found.own.keys().isdisjoint(EVALUATION):
        del shares["test"]
    shares = {split: share for split, share in shares.items() if split not in found.own}
    seconds: dict[str, float] = {}
    speaker: dict[str, str] = {}
    by_speaker: dict[str, float] = defaultdict(float)
    for utterance in accepted:
        if utterance.split in (None, "train"):
            seconds[utterance.id] = utterance.duration
            speaker[utterance.id] = utterance.speaker or ""  # the nameless count as one speaker
            by_speaker[utterance.speaker or ""] += utterance.duration
    if not shares or not seconds:
        return "corpus", {}
    if len(by_speaker) <= len(shares):
        return "utterance", hold_out(seconds, shares, options.seed)
    drawn = hold_out(by_speaker, shares, options.seed)
    return "speaker", {key: drawn[name] for key, name in speaker.items() if name in drawn}


def _write(
    accepted: Spool,
    held: Mapping[str, str],
    rules: Normalizer,
    outputs: Mapping[str, Path],
    stack: ExitStack,
) -> dict[str, Tally]:
    """Write each utterance to its split; the files take their places when ``stack`` unwinds."""
    files: dict[str, TextIO] = {}
    tallies: dict[str, Tally] = {}
    for utterance in accepted:
        split = held.get(utterance.id, utterance.split or "train")
        for name in (split, "test") if split in EVALUATION else (split,):
            if name not in files:
                temporary = stack.enter_context(replacing(outputs[name]))
                files[name] = stack.enter_context(temporary.open("w", encoding="utf-8"))
                tallies[name] = Tally()
            files[name].write(cut_line(utterance, str(rules)))
            tallies[name].add(utterance)
    return {split: tallies[split] for split in SPLITS if split in tallies}


def _warnings(found: _Found, split_by: str, tallies: Mapping[str, Tally]) -> Iterator[str]:
    yield from differences(compare(found.layout.published, found.own))
    if found.odd:
        named = ", ".join(found.odd[:5]) + (", ..." if len(found.odd) > 5 else "")
        yield f"{len(found.odd)} .pcm with an odd byte at the end, which is dropped: {named}"
    if split_by == "utterance":
        yield "too few speakers are named to split by: the voices of dev and test may be in train"
    if split_by == "speaker" and (nameless := sum(each.nameless for each in tallies.values())):
        yield f"{nameless} utterances name no speaker; they were kept together as one"
    for split in ("train", "dev", "test"):
        if split not in tallies:
            yield f"no utterance in {split}"
    yield from repeated_sentences(tallies)


def _nothing(source: Path | None, found: _Found) -> str:
    if not found.rejected:
        return f"{source}: no utterance in it; it should hold {found.layout.name}"
    first = found.rejected[0]
    return (
        f"{source}: none of its {len(found.rejected)} items can be used; "
        f"the first, {first.where}: {first.reason}"
    )


def _watched(
    items: Iterator[Utterance | Rejected | Layout], corpus: str
) -> Iterator[Utterance | Rejected | Layout]:
    """Count the items on standard error as they pass, if someone is watching it."""
    with progress_bar(corpus, None) as advance:
        for item in items:
            yield item
            advance(1, "")
