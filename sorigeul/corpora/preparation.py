"""`prepare`: read a corpus, check every item, assign splits, write manifests and the report."""

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
from sorigeul.corpora.utterances import Corpus, Layout, Rejected, Utterance
from sorigeul.text import normalization
from sorigeul.text.normalization import Normalizer

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

    Every item ends up in exactly one split or among the rejected items of the report, with one
    exception: KsponSpeech's ``test`` is ``eval_clean`` and ``eval_other`` together. Splits that the
    corpus lacks are drawn from its train. A split without utterances has no file. With
    ``options.shards`` archives are written beside the manifests, in ``out/<split>.shar``.

    The same input gives the same bytes, whatever the number of processes (``jobs``). No file is
    replaced before all are written. Measured durations are cached until then, so that the same call
    resumes an interrupted one. Raises UserError if ``source`` is not such a corpus, or nothing in
    it can be used.
    """
    options = options or PrepareOptions()
    outputs = _manifest_paths(source, out)
    _refuse_stale_archives(out, options)
    normalizer = _normalizer(corpus, options)
    for path in (*outputs.values(), out / "report.json"):  # left by a killed process
        for temporary in out.glob(f".{path.stem}.????????{path.suffix}"):
            temporary.unlink()
    with spool(out) as spooled, open_duration_cache(out) as cache:
        reading = _read(
            corpus.read(source, out, options), normalizer, options, jobs, cache, spooled
        )
        if not reading.ids:
            cache.remove()
            raise UserError(_nothing_usable(source, reading))
        split_by, assigned = _assign_splits(spooled, reading, options)
        planned = _plan_archives(spooled, assigned, normalizer, out, options)
        unreadable = _write_archives(planned, reading, jobs)
        with ExitStack() as open_files:
            # Entered first, so replaced last: a report never lies beside older manifests.
            report_file = open_files.enter_context(replacing(out / "report.json"))
            counts = _write(spooled, assigned, normalizer, outputs, open_files)
            report = Report(
                corpus=corpus.name,
                source=None if source is None else str(source.absolute()),
                layout=reading.layout.name,
                normalizer=str(normalizer),
                seed=options.seed,
                options={name: value for name, value in asdict(options).items() if name != "seed"},
                split_by=split_by,
                total=total(reading.counts_by_own_split.values()),
                splits=summary(counts),
                published=compare(reading.layout.published, reading.counts_by_own_split),
                notes=reading.layout.notes,
                warnings=tuple(_warnings(reading, split_by, counts, unreadable)),
                rejected=tuple(reading.rejected),
            )
            report_file.write_text(report.to_json(), encoding="utf-8")
            for split, split_counts in counts.items() if options.shards else ():
                archives.finish(
                    out / f"{split}.shar", -(-split_counts.utterances // options.shards)
                )
        cache.remove()
    for split in outputs.keys() - counts.keys():  # from an earlier call with other splits
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
    """Do the part of `prepare` that belongs to one of several machines, which share ``out``.

    The first call measures the recordings of this part. Once all parts are measured, a second call
    writes this part of the archives, if ``options`` ask for any. `prepare` then has little left to
    do. Returns a line that says what is done and what comes next. Raises UserError as `prepare`.
    """
    options = options or PrepareOptions()
    _manifest_paths(source, out)
    _refuse_stale_archives(out, options)
    normalizer = _normalizer(corpus, options)
    with spool(out) as spooled, open_duration_cache(out, shard) as cache:
        items = corpus.read(source, out, options)
        if cache.missing(shard.of):
            _read(_items_of_shard(items, shard), normalizer, options, jobs, cache, spooled)
            cache.finish()
        elif options.shards:
            reading = _read(items, normalizer, options, jobs, cache, spooled)
            _, assigned = _assign_splits(spooled, reading, options)
            planned = _plan_archives(spooled, assigned, normalizer, out, options)
            own = (each for each in planned if each.number % shard.of == shard.number - 1)
            _write_archives(own, reading, jobs)
            return f"archives of part {shard} written; when all are: the same without --shard"
        if missing := cache.missing(shard.of):
            return f"part {shard} is measured; not yet: {', '.join(missing)}"
        if options.shards:
            return f"all {shard.of} parts are measured: the same again on each machine for archives"
        return f"all {shard.of} parts are measured: once more, without --shard, for the manifests"


def _items_of_shard(
    items: Iterable[Utterance | Rejected | Layout], shard: Shard
) -> Iterator[Utterance | Rejected | Layout]:
    for item in items:
        if isinstance(item, Layout):
            yield replace(item, items=item.items and item.items // shard.of)
        elif isinstance(item, Utterance) and shard.holds(item.id):
            yield item


def _manifest_paths(source: Path | None, out: Path) -> dict[str, Path]:
    """Return the manifest path of each split; UserError if it cannot be written."""
    outputs = {split: out / f"{split}.jsonl" for split in SPLITS}
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; the manifests need a folder")
    if source is not None and source.absolute() in (path.absolute() for path in outputs.values()):
        raise UserError(f"{source}: would be overwritten by the manifests; choose another OUT")
    return outputs


def _refuse_stale_archives(out: Path, options: PrepareOptions) -> None:
    """Raise UserError for archives of an earlier call: training would read them instead."""
    stale = [f"{split}.shar" for split in SPLITS if (out / f"{split}.shar").exists()]
    if stale and not options.shards:
        raise UserError(
            f"{out} holds archives ({', '.join(stale)}): give --shards as before, or remove them"
        )


def _normalizer(corpus: Corpus, options: PrepareOptions) -> Normalizer:
    if options.text_file and not corpus.reads_text_file:
        raise UserError(
            f"text {options.text_file}: only the demo corpus says a text file; "
            "for kspon, text is pronunciation or spelling"
        )
    return normalization.normalizer(corpus.normalizer_name(options))


@dataclass
class _ReadingResult:
    """Everything found in a corpus except the utterances, which are spooled to disk."""

    layout: Layout = field(default_factory=lambda: Layout("unknown"))
    ids: set[str] = field(default_factory=set)
    counts_by_own_split: dict[str, SplitCounts] = field(
        default_factory=lambda: defaultdict(SplitCounts)
    )
    """Counts for each split of the corpus's own; "" for utterances without one."""
    rejected: list[Rejected] = field(default_factory=list)
    odd_length: list[str] = field(default_factory=list)
    """Ids of headerless recordings that end in half a sample."""

    def add(self, utterance: Utterance) -> None:
        self.ids.add(utterance.id)
        self.counts_by_own_split[utterance.split or ""].add(utterance)
        if utterance.audio.suffix == ".pcm" and utterance.size % 2:
            self.odd_length.append(utterance.id)


def _read(
    items: Iterator[Utterance | Rejected | Layout],
    normalizer: Normalizer,
    options: PrepareOptions,
    jobs: int,
    cache: DurationCache,
    spooled: Spool,
) -> _ReadingResult:
    """Check every item; spool the good ones and record why the others are rejected."""
    reading = _ReadingResult()
    first = next(items, None)
    if isinstance(first, Layout):
        reading.layout = first
    elif first is not None:
        items = chain((first,), items)
    work = partial(check, normalizer.name, options.max_duration)
    with closing(
        map_in_order(work, _with_cached_durations(items, cache), jobs, _CHUNK, _item_name)
    ) as checked:
        first_result = list(
            islice(checked, 1)
        )  # forks the workers before the progress bar starts a thread
        with progress_bar("measuring", reading.layout.items) as advance:
            for (item, probe), result in chain(first_result, checked):
                advance(1, "")
                if isinstance(item, Rejected):
                    reading.rejected.append(item)
                    continue
                if item.id in reading.ids:
                    result = "duplicate id"
                if isinstance(result, str):
                    reading.rejected.append(Rejected(item.id, result, item.where))
                    continue
                if result[1:] != probe:
                    cache.add(item.audio, result[1:])
                utterance = replace(item, **result._asdict())
                reading.add(utterance)
                spooled.add(utterance)
    return reading


def _with_cached_durations(
    items: Iterable[Utterance | Rejected | Layout], cache: DurationCache
) -> Iterator[Task]:
    for item in items:
        if isinstance(item, Utterance):
            item = replace(item, audio=item.audio.absolute())
            yield item, cache.take(item.audio)
        elif isinstance(item, Rejected):
            yield item, None


def _item_name(task: Task) -> str:
    return str(task[0].audio) if isinstance(task[0], Utterance) else task[0].item


def _assign_splits(
    spooled: Spool, reading: _ReadingResult, options: PrepareOptions
) -> tuple[str, dict[str, str]]:
    """Draw the splits that the corpus lacks; return the unit they are drawn by, and id -> split.

    Splits are drawn by speaker if there are enough of them, so that no voice is in two splits;
    otherwise by utterance.
    """
    shares = {"dev": options.dev_share, "test": options.test_share}
    if not reading.counts_by_own_split.keys().isdisjoint(EVALUATION):
        del shares["test"]
    shares = {
        split: share for split, share in shares.items() if split not in reading.counts_by_own_split
    }
    if not shares:
        return "corpus", {}
    seconds: dict[str, float] = {}
    speaker: dict[str, str] = {}
    by_speaker: dict[str, float] = defaultdict(float)
    for utterance in spooled:
        if utterance.split in (None, "train"):
            seconds[utterance.id] = utterance.duration
            speaker[utterance.id] = (
                utterance.speaker or ""
            )  # utterances without a speaker count as one speaker
            by_speaker[utterance.speaker or ""] += utterance.duration
    if not seconds:
        return "corpus", {}
    if len(by_speaker) <= len(shares):
        return "utterance", hold_out(seconds, shares, options.seed)
    drawn = hold_out(by_speaker, shares, options.seed)
    return "speaker", {key: drawn[name] for key, name in speaker.items() if name in drawn}


def _plan_archives(
    spooled: Spool,
    assigned: Mapping[str, str],
    normalizer: Normalizer,
    out: Path,
    options: PrepareOptions,
) -> Iterator[Archive]:
    """Distribute the utterances of each split over archives, in their order."""
    pending: dict[str, list[Utterance]] = defaultdict(list)
    numbers: Counter[str] = Counter()

    def archive(split: str) -> Archive:
        numbers[split] += 1
        folder, number = out / f"{split}.shar", numbers[split] - 1
        return Archive(folder, number, pending.pop(split), str(normalizer), options.shard_format)

    for utterance in spooled if options.shards else ():
        for split in _splits(utterance, assigned):
            pending[split].append(utterance)
            if len(pending[split]) == options.shards:
                yield archive(split)
    yield from map(archive, list(pending))


def _write_archives(
    planned: Iterator[Archive], reading: _ReadingResult, jobs: int
) -> list[Unreadable]:
    """Write the archives in parallel; return the recordings that could not be decoded."""
    unreadable: dict[str, Unreadable] = {}
    with closing(map_in_order(archives.write, planned, jobs, 1, str)) as written:
        first_result = list(islice(written, 1))
        with progress_bar("archives", len(reading.ids)) as advance:
            for archive, undecodable in chain(first_result, written):
                unreadable.update({each.id: each for each in undecodable})
                advance(len(archive.utterances), "")
    return list(unreadable.values())


def _splits(utterance: Utterance, assigned: Mapping[str, str]) -> tuple[str, ...]:
    """Return the splits that ``utterance`` is in."""
    split = assigned.get(utterance.id, utterance.split or "train")
    return (split, "test") if split in EVALUATION else (split,)


def _write(
    spooled: Spool,
    assigned: Mapping[str, str],
    normalizer: Normalizer,
    outputs: Mapping[str, Path],
    open_files: ExitStack,
) -> dict[str, SplitCounts]:
    """Write each utterance to its split; closing ``open_files`` moves the files into place."""
    files: dict[str, TextIO] = {}
    counts: dict[str, SplitCounts] = {}
    for utterance in spooled:
        line = cut_line(utterance, str(normalizer))
        for split in _splits(utterance, assigned):
            if split not in files:
                temporary = open_files.enter_context(replacing(outputs[split]))
                files[split] = open_files.enter_context(temporary.open("w", encoding="utf-8"))
                counts[split] = SplitCounts()
            files[split].write(line)
            counts[split].add(utterance)
    return {split: counts[split] for split in SPLITS if split in counts}


def _warnings(
    reading: _ReadingResult,
    split_by: str,
    counts: Mapping[str, SplitCounts],
    unreadable: Collection[Unreadable],
) -> Iterator[str]:
    yield from differences(compare(reading.layout.published, reading.counts_by_own_split))
    if reading.odd_length:
        yield (
            f"{len(reading.odd_length)} .pcm with an odd byte at the end, which is dropped: "
            f"{_first_five(reading.odd_length)}"
        )
    if unreadable:
        reasons = [f"{each.id} ({each.reason})" for each in unreadable]
        yield (
            f"{len(reasons)} recordings cannot be decoded and are in no archive; training and "
            f"evaluation will name them: {_first_five(reasons)}"
        )
    if split_by == "utterance":
        yield "too few speakers are named to split by: the voices of dev and test may be in train"
    if split_by == "speaker" and (nameless := sum(each.nameless for each in counts.values())):
        yield f"{nameless} utterances name no speaker; they were kept together as one"
    for split in ("train", "dev", "test"):
        if split not in counts:
            yield f"no utterance in {split}"
    yield from repeated_sentences(counts)


def _first_five(items: list[str]) -> str:
    return ", ".join(items[:5]) + (", ..." if len(items) > 5 else "")


def _nothing_usable(source: Path | None, reading: _ReadingResult) -> str:
    if not reading.rejected:
        return f"{source}: no utterance in it; it should hold {reading.layout.name}"
    first = reading.rejected[0]
    return (
        f"{source}: none of its {len(reading.rejected)} items can be used; "
        f"the first, {first.where}: {first.reason}"
    )
