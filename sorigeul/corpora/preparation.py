"""Corpora on disk to manifests. Knows folders and file formats, nothing of tensors."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing
from sorigeul.base.process_pool import map_in_order
from sorigeul.base.progress import progress_bar
from sorigeul.corpora import archives
from sorigeul.corpora.archives import Archive, Unreadable
from sorigeul.corpora.checking import Task, check
from sorigeul.corpora.duration_cache import DurationCache, open_duration_cache
from sorigeul.corpora.items import Corpus, Layout, Rejected, Utterance
from sorigeul.corpora.lhotse_cuts import cut_line
from sorigeul.corpora.options import PrepareOptions, Shard
from sorigeul.corpora.report import (
    Report,
    SplitCounts,
    compare,
    differences,
    repeated_sentences,
    summary,
    total,
)
from sorigeul.corpora.splits import hold_out
from sorigeul.corpora.spool import Spool, spool
from sorigeul.text.normalization import Normalizer, normalizer

SPLITS = ("train", "dev", "test", "eval_clean", "eval_other")
EVALUATION = ("eval_clean", "eval_other")
_CHUNK = 64  # items that a process looks at before it answers


def prepare(
    corpus: Corpus,
    source: Path | None,
    out: Path,
    options: PrepareOptions | None = None,
    jobs: int = 1,
) -> Report:
    """Read a corpus and write ``out/<split>.jsonl`` (lhotse cuts) and ``out/report.json``.

    Every item ends in exactly one split or among the report's rejected, with one exception:
    KsponSpeech's ``test`` is ``eval_clean`` and ``eval_other`` together. Splits the corpus lacks
    are drawn from its train. A split without utterances has no file. With ``options.shards`` there
    are archives beside the manifests, in ``out/<split>.shar``.

    The same input gives the same bytes, whatever the number of processes (``jobs``), and nothing is
    replaced unless everything has been written. What was measured is kept in a journal until then,
    so that an interrupted call goes on when it is repeated. Raises UserError if the source is not
    such a corpus or nothing in it can be used.
    """
    options = options or PrepareOptions()
    outputs = _outputs(source, out)
    _refuse_stale_archives(out, options)
    rules = _rules(corpus, options)
    for path in (*outputs.values(), out / "report.json"):  # what a run that was killed left
        for temporary in out.glob(f".{path.stem}.????????{path.suffix}"):
            temporary.unlink()
    with spool(out) as accepted, open_duration_cache(out) as known:
        found = _read(corpus.read(source, out, options), rules, options, jobs, known, accepted)
        if not found.ids:
            known.remove()
            raise UserError(_nothing(source, found))
        split_by, held = _held_out(accepted, found, options)
        wanted = _archives(accepted, held, rules, out, options)
        unreadable = _write_archives(wanted, found, jobs)
        with ExitStack() as stack:
            # Entered first, so replaced last: where there is a report, its manifests are there.
            report_file = stack.enter_context(replacing(out / "report.json"))
            tallies = _write(accepted, held, rules, outputs, stack)
            report = Report(
                corpus=corpus.name,
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
                warnings=tuple(_warnings(found, split_by, tallies, unreadable)),
                rejected=tuple(found.rejected),
            )
            report_file.write_text(report.to_json(), encoding="utf-8")
            for split, tally in tallies.items() if options.shards else ():
                archives.finish(out / f"{split}.shar", -(-tally.utterances // options.shards))
        known.remove()
    for split in outputs.keys() - tallies.keys():  # of an earlier run with other splits
        outputs[split].unlink(missing_ok=True)
        archives.finish(out / f"{split}.shar", 0)
    return report


def prepare_shard(
    corpus: Corpus,
    source: Path | None,
    out: Path,
    shard: Shard,
    options: PrepareOptions | None = None,
    jobs: int = 1,
) -> str:
    """Do one machine's part of what `prepare` does, in a folder ``out`` that all machines share.

    First that is to measure the recordings of this part. Once all parts are measured, it is to
    write this part of the archives, if ``options`` ask for any. `prepare` then has little left to
    do. Returns what is done and what is next. Raises UserError as `prepare` does.
    """
    options = options or PrepareOptions()
    _outputs(source, out)
    _refuse_stale_archives(out, options)
    rules = _rules(corpus, options)
    with spool(out) as accepted, open_duration_cache(out, shard) as known:
        items = corpus.read(source, out, options)
        if known.missing(shard.of):
            _read(_share(items, shard), rules, options, jobs, known, accepted)
            known.finish()
        elif options.shards:
            found = _read(items, rules, options, jobs, known, accepted)
            _, held = _held_out(accepted, found, options)
            wanted = _archives(accepted, held, rules, out, options)
            mine = (each for each in wanted if each.number % shard.of == shard.number - 1)
            _write_archives(mine, found, jobs)
            return f"archives of part {shard} written; when all are: the same without --shard"
        if missing := known.missing(shard.of):
            return f"part {shard} is measured; not yet: {', '.join(missing)}"
        if options.shards:
            return f"all {shard.of} parts are measured: the same again on each machine for archives"
        return f"all {shard.of} parts are measured: once more, without --shard, for the manifests"


def _share(
    items: Iterable[Utterance | Rejected | Layout], shard: Shard
) -> Iterator[Utterance | Rejected | Layout]:
    for item in items:
        if isinstance(item, Layout):
            yield replace(item, items=item.items and item.items // shard.of)
        elif isinstance(item, Utterance) and shard.holds(item.id):
            yield item


def _outputs(source: Path | None, out: Path) -> dict[str, Path]:
    """Return the manifest of each split; UserError if they cannot be written there."""
    outputs = {split: out / f"{split}.jsonl" for split in SPLITS}
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; the manifests need a folder")
    if source is not None and source.absolute() in (path.absolute() for path in outputs.values()):
        raise UserError(f"{source}: would be overwritten by the manifests; choose another OUT")
    return outputs


def _refuse_stale_archives(out: Path, options: PrepareOptions) -> None:
    """Training would read them in place of the manifests that are about to be written."""
    stale = [f"{split}.shar" for split in SPLITS if (out / f"{split}.shar").exists()]
    if stale and not options.shards:
        raise UserError(
            f"{out} holds archives ({', '.join(stale)}): give --shards as before, or remove them"
        )


def _rules(corpus: Corpus, options: PrepareOptions) -> Normalizer:
    if options.text_file and not corpus.reads_text_file:
        raise UserError(
            f"text {options.text_file}: only the demo corpus says a text file; "
            "for kspon, text is pronunciation or spelling"
        )
    return normalizer(corpus.normalizer_name(options))


@dataclass
class _Found:
    """What one reading of a corpus showed, but for the utterances themselves."""

    layout: Layout = field(default_factory=lambda: Layout("unknown"))
    ids: set[str] = field(default_factory=set)
    own: dict[str, SplitCounts] = field(default_factory=lambda: defaultdict(SplitCounts))
    """By the corpus's own split; "" where it gives none."""
    rejected: list[Rejected] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    """Ids of headerless recordings with half a sample at their end."""

    def add(self, utterance: Utterance) -> None:
        self.ids.add(utterance.id)
        self.own[utterance.split or ""].add(utterance)
        if utterance.audio.suffix == ".pcm" and utterance.size % 2:
            self.odd.append(utterance.id)


def _read(
    items: Iterator[Utterance | Rejected | Layout],
    rules: Normalizer,
    options: PrepareOptions,
    jobs: int,
    known: DurationCache,
    accepted: Spool,
) -> _Found:
    """Check every item; put the good ones on the spool, account for all."""
    found = _Found()
    first = next(items, None)
    if isinstance(first, Layout):
        found.layout = first
    elif first is not None:
        items = chain((first,), items)
    work = partial(check, rules.name, options.max_duration)
    with closing(map_in_order(work, _tasks(items, known), jobs, _CHUNK, _recording)) as checked:
        begun = list(islice(checked, 1))  # the processes, before the bar begins a thread
        with progress_bar("measuring", found.layout.items) as advance:
            for (item, probe), result in chain(begun, checked):
                advance(1, "")
                if isinstance(item, Rejected):
                    found.rejected.append(item)
                    continue
                if item.id in found.ids:
                    result = "duplicate id"
                if isinstance(result, str):
                    found.rejected.append(Rejected(item.id, result, item.where))
                    continue
                if result[1:] != probe:
                    known.add(item.audio, result[1:])
                utterance = replace(item, **result._asdict())
                found.add(utterance)
                accepted.add(utterance)
    return found


def _tasks(items: Iterable[Utterance | Rejected | Layout], known: DurationCache) -> Iterator[Task]:
    for item in items:
        if isinstance(item, Utterance):
            item = replace(item, audio=item.audio.absolute())
            yield item, known.take(item.audio)
        elif isinstance(item, Rejected):
            yield item, None


def _recording(task: Task) -> str:
    return str(task[0].audio) if isinstance(task[0], Utterance) else task[0].item


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
    if not shares:
        return "corpus", {}
    seconds: dict[str, float] = {}
    speaker: dict[str, str] = {}
    by_speaker: dict[str, float] = defaultdict(float)
    for utterance in accepted:
        if utterance.split in (None, "train"):
            seconds[utterance.id] = utterance.duration
            speaker[utterance.id] = utterance.speaker or ""  # the nameless count as one speaker
            by_speaker[utterance.speaker or ""] += utterance.duration
    if not seconds:
        return "corpus", {}
    if len(by_speaker) <= len(shares):
        return "utterance", hold_out(seconds, shares, options.seed)
    drawn = hold_out(by_speaker, shares, options.seed)
    return "speaker", {key: drawn[name] for key, name in speaker.items() if name in drawn}


def _archives(
    accepted: Spool, held: Mapping[str, str], rules: Normalizer, out: Path, options: PrepareOptions
) -> Iterator[Archive]:
    """Deal the utterances of each split to archives, in their order."""
    dealt: dict[str, list[Utterance]] = defaultdict(list)
    numbers: Counter[str] = Counter()

    def archive(split: str) -> Archive:
        numbers[split] += 1
        folder, number = out / f"{split}.shar", numbers[split] - 1
        return Archive(folder, number, dealt.pop(split), str(rules), options.shard_format)

    for utterance in accepted if options.shards else ():
        for split in _splits(utterance, held):
            dealt[split].append(utterance)
            if len(dealt[split]) == options.shards:
                yield archive(split)
    yield from map(archive, list(dealt))


def _write_archives(wanted: Iterator[Archive], found: _Found, jobs: int) -> list[Unreadable]:
    """Write archives side by side; return the recordings they could not take in."""
    unreadable: dict[str, Unreadable] = {}
    with closing(map_in_order(archives.write, wanted, jobs, 1, str)) as written:
        begun = list(islice(written, 1))
        with progress_bar("archives", len(found.ids)) as advance:
            for archive, refused in chain(begun, written):
                unreadable.update({each.id: each for each in refused})
                advance(len(archive.utterances), "")
    return list(unreadable.values())


def _splits(utterance: Utterance, held: Mapping[str, str]) -> tuple[str, ...]:
    """Return the splits that ``utterance`` is in."""
    split = held.get(utterance.id, utterance.split or "train")
    return (split, "test") if split in EVALUATION else (split,)


def _write(
    accepted: Spool,
    held: Mapping[str, str],
    rules: Normalizer,
    outputs: Mapping[str, Path],
    stack: ExitStack,
) -> dict[str, SplitCounts]:
    """Write each utterance to its split; the files take their places when ``stack`` unwinds."""
    files: dict[str, TextIO] = {}
    tallies: dict[str, SplitCounts] = {}
    for utterance in accepted:
        line = cut_line(utterance, str(rules))
        for split in _splits(utterance, held):
            if split not in files:
                temporary = stack.enter_context(replacing(outputs[split]))
                files[split] = stack.enter_context(temporary.open("w", encoding="utf-8"))
                tallies[split] = SplitCounts()
            files[split].write(line)
            tallies[split].add(utterance)
    return {split: tallies[split] for split in SPLITS if split in tallies}


def _warnings(
    found: _Found,
    split_by: str,
    tallies: Mapping[str, SplitCounts],
    unreadable: Collection[Unreadable],
) -> Iterator[str]:
    yield from differences(compare(found.layout.published, found.own))
    if found.odd:
        yield (
            f"{len(found.odd)} .pcm with an odd byte at the end, which is dropped: "
            f"{_named(found.odd)}"
        )
    if unreadable:
        reasons = [f"{each.id} ({each.reason})" for each in unreadable]
        yield (
            f"{len(reasons)} recordings cannot be decoded and are in no archive; training and "
            f"evaluation will name them: {_named(reasons)}"
        )
    if split_by == "utterance":
        yield "too few speakers are named to split by: the voices of dev and test may be in train"
    if split_by == "speaker" and (nameless := sum(each.nameless for each in tallies.values())):
        yield f"{nameless} utterances name no speaker; they were kept together as one"
    for split in ("train", "dev", "test"):
        if split not in tallies:
            yield f"no utterance in {split}"
    yield from repeated_sentences(tallies)


def _named(items: list[str]) -> str:
    return ", ".join(items[:5]) + (", ..." if len(items) > 5 else "")


def _nothing(source: Path | None, found: _Found) -> str:
    if not found.rejected:
        return f"{source}: no utterance in it; it should hold {found.layout.name}"
    first = found.rejected[0]
    return (
        f"{source}: none of its {len(found.rejected)} items can be used; "
        f"the first, {first.where}: {first.reason}"
    )
