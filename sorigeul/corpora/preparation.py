"""Prepares a corpus: reads and checks it, assigns splits, writes manifests, archives and report.

`prepare` does all of it; `prepare_shard` does the share of one of several machines. Does not know
about tensors.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing
from sorigeul.base.locks import locked_folder
from sorigeul.base.process_pool import map_in_order, with_progress
from sorigeul.corpora import archives
from sorigeul.corpora.archives import Archive, UnreadableRecording
from sorigeul.corpora.checking import check, chosen_normalizer
from sorigeul.corpora.corpus_files import (
    archives_in,
    manifest_paths,
    refuse_unusable_places,
    remove_temporary_files,
)
from sorigeul.corpora.counts import SplitCounts, compare_with_published, summary, total
from sorigeul.corpora.duration_cache import DurationCache, open_duration_cache
from sorigeul.corpora.lhotse_cuts import cut_line
from sorigeul.corpora.options import CORPORA_OF_OPTIONS, PrepareOptions, Shard
from sorigeul.corpora.reading import CorpusContents, read_corpus
from sorigeul.corpora.recording_access import RecordingReader
from sorigeul.corpora.report import Report, named_characters, overlap, warnings
from sorigeul.corpora.splits import SPLITS, SplitAssignment, assign_splits
from sorigeul.corpora.spool import Spool, open_spool
from sorigeul.corpora.utterances import Corpus, Layout, Rejected, Utterance
from sorigeul.text.normalization import Normalizer


def prepare(
    corpus: Corpus,
    source: Path | None,
    out: Path,
    options: PrepareOptions | None = None,
) -> Report:
    """Read a corpus and write ``out/<split>.jsonl`` (lhotse cuts) and ``out/report.json``.

    Every item ends up in exactly one split or among the report's rejected items, with one
    exception: KsponSpeech's ``test`` is ``eval_clean`` and ``eval_other`` together. Splits that the
    corpus lacks are drawn from its train. A split without utterances has no file. With
    ``options.shards`` archives are written beside the manifests, in ``out/<split>.shar``.

    The same input gives the same bytes, whatever the number of processes, and no file is replaced
    until everything has been written. Until then measured durations are cached in ``out``, so that
    an interrupted call resumes when it is repeated.

    Raises:
        UserError: if the source is not such a corpus or nothing in it can be used.
    """
    with _open_preparation(corpus, source, out, options or PrepareOptions()) as preparation:
        remove_temporary_files(out)
        contents = preparation.read(preparation.items())
        if not contents.ids:
            preparation.cache.remove()
            raise UserError(_nothing_usable(source, contents))
        assignment = preparation.assign_splits(contents)
        unreadable = preparation.write_archives(preparation.archives(assignment), contents)
        with ExitStack() as replaced_at_exit:
            # Entered first, so replaced last: where there is a report, its manifests are complete.
            report_file = replaced_at_exit.enter_context(replacing(out / "report.json"))
            counts = preparation.write_manifests(assignment, replaced_at_exit)
            report = preparation.report(contents, assignment, counts, unreadable)
            report_file.write_text(report.to_json(), encoding="utf-8")
            preparation.finish_archives(counts)
        preparation.cache.remove()
        preparation.remove_other_splits(counts)
    return report


def prepare_shard(
    corpus: Corpus,
    source: Path | None,
    out: Path,
    shard: Shard,
    options: PrepareOptions | None = None,
) -> str:
    """Do one machine's share of the work of `prepare`, in a folder ``out`` that all machines share.

    The first call measures the recordings of this share. When all shares have been measured, a
    second call writes this share of the archives, if ``options`` ask for any. `prepare` then has
    little left to do. Returns a message that says what has been done and what comes next. Raises
    UserError as `prepare` does.
    """
    options = options or PrepareOptions()
    with _open_preparation(corpus, source, out, options, shard) as preparation:
        cache = preparation.cache
        if cache.unfinished_shards(shard.of):
            preparation.read(_share_of(preparation.items(), shard))
            cache.mark_finished()
        elif options.shards:
            contents = preparation.read(preparation.items())
            planned = preparation.archives(preparation.assign_splits(contents))
            share = (
                archive for archive in planned if archive.number % shard.of == shard.number - 1
            )
            preparation.write_archives(share, contents)
            return f"archives of part {shard} written; when all are: the same without --shard"
        if unfinished := cache.unfinished_shards(shard.of):
            return f"part {shard} is measured; not yet: {', '.join(unfinished)}"
        if options.shards:
            return f"all {shard.of} parts are measured: the same again on each machine for archives"
        return f"all {shard.of} parts are measured: once more, without --shard, for the manifests"


@dataclass
class _Preparation:
    """One call of `prepare` or `prepare_shard`: its arguments, its open files and its steps."""

    corpus: Corpus
    source: Path | None
    out: Path
    options: PrepareOptions
    normalizer: Normalizer
    """of the texts in `accepted`"""
    accepted: Spool
    """the usable utterances, once `read` has returned"""
    cache: DurationCache

    def items(self) -> Iterator[Utterance | Rejected | Layout]:
        """Return all items of the corpus."""
        return self.corpus.read(self.source, self.out, self.options)

    def read(self, items: Iterator[Utterance | Rejected | Layout]) -> CorpusContents:
        """Check ``items`` and collect the usable utterances in `accepted`.

        Where transcripts with and without punctuation are mixed, it is dropped from all of them.
        """
        with closing(RecordingReader()) as recordings:
            check_task = partial(check, self.normalizer.name, self.options, recordings)
            contents = read_corpus(items, check_task, self.options.jobs, self.cache, self.accepted)
        if self.options.punctuation == "auto" and contents.sentence_ends.mixed:
            contents.punctuation_dropped = True
            self.normalizer = replace(self.normalizer, punctuation="drop")
            self.accepted.change_texts(self.normalizer.rewritten)
        return contents

    def assign_splits(self, contents: CorpusContents) -> SplitAssignment:
        """Draw the splits that the corpus lacks."""
        return assign_splits(self.accepted, contents.counts.keys(), self.options)

    def archives(self, assignment: SplitAssignment) -> Iterator[Archive]:
        """Yield the archives to write: the utterances of each split, in their order."""
        if not self.options.shards:
            return
        pending: dict[str, list[Utterance]] = defaultdict(list)
        numbers: Counter[str] = Counter()

        def archive(split: str) -> Archive:
            number = numbers[split]
            numbers[split] += 1
            return Archive(
                folder=self.out / f"{split}.shar",
                number=number,
                utterances=pending.pop(split),
                normalizer=str(self.normalizer),
                format=self.options.shard_format,
            )

        for utterance in self.accepted:
            for split in assignment.splits_of(utterance):
                pending[split].append(utterance)
                if len(pending[split]) == self.options.shards:
                    yield archive(split)
        yield from map(archive, list(pending))

    def write_archives(
        self, planned: Iterator[Archive], contents: CorpusContents
    ) -> list[UnreadableRecording]:
        """Write archives in several processes; return the recordings that cannot be decoded."""
        unreadable: dict[str, UnreadableRecording] = {}  # by id: one may be in two splits
        written = map_in_order(archives.write_archive, planned, self.options.jobs, 1, str)
        utterances = len(contents.ids)
        with closing(
            with_progress(written, "archives", utterances, lambda archive: len(archive.utterances))
        ) as results:
            for _, recordings in results:
                unreadable.update({recording.id: recording for recording in recordings})
        return list(unreadable.values())

    def write_manifests(
        self, assignment: SplitAssignment, replaced_at_exit: ExitStack
    ) -> dict[str, SplitCounts]:
        """Write each utterance to the manifests of its splits; return the counts of each split.

        The old manifests are replaced when ``replaced_at_exit`` is closed.
        """
        manifests = manifest_paths(self.out)
        files: dict[str, TextIO] = {}
        counts: dict[str, SplitCounts] = {}
        for utterance in self.accepted:
            line = cut_line(utterance, str(self.normalizer))
            for split in assignment.splits_of(utterance):
                if split not in files:
                    temporary = replaced_at_exit.enter_context(replacing(manifests[split]))
                    file = temporary.open("w", encoding="utf-8")
                    files[split] = replaced_at_exit.enter_context(file)
                    counts[split] = SplitCounts()
                files[split].write(line)
                counts[split].add(utterance)
        return {split: counts[split] for split in SPLITS if split in counts}

    def report(
        self,
        contents: CorpusContents,
        assignment: SplitAssignment,
        counts: dict[str, SplitCounts],
        unreadable: list[UnreadableRecording],
    ) -> Report:
        """Return the report. ``counts`` are those of the splits as written."""
        options = asdict(self.options)
        seed = options.pop("seed")
        del options["overwrite"], options["jobs"]  # what is written does not depend on them
        shared_with_train, leaks = overlap(counts)
        return Report(
            corpus=self.corpus.name,
            corpora=(self.corpus.name,),
            overlap=shared_with_train,
            leaks=leaks,
            source=None if self.source is None else str(self.source.absolute()),
            layout=contents.layout.name,
            normalizer=str(self.normalizer),
            seed=seed,
            options=options,
            split_by=assignment.split_by,
            total=total(contents.counts.values()),
            splits=summary(counts),
            published=compare_with_published(contents.layout.published, contents.counts),
            sentence_ends=asdict(contents.sentence_ends),
            sound=None if self.options.check == "header" else contents.faulty,
            invisible_characters=named_characters(contents.invisible),
            notes=contents.layout.notes,
            warnings=tuple(
                warnings(
                    contents, assignment.split_by, counts, unreadable, self.options.unwanted_splits
                )
            ),
            rejected=tuple(contents.rejected),
        )

    def finish_archives(self, counts: dict[str, SplitCounts]) -> None:
        """Give the folders of the archives their final names."""
        if self.options.shards:
            for split, count in counts.items():
                archives_needed = -(-count.utterances // self.options.shards)
                archives.finish_folder(self.out / f"{split}.shar", archives_needed)

    def remove_other_splits(self, counts: dict[str, SplitCounts]) -> None:
        """Remove manifests and archives of splits that only an earlier run had."""
        manifests = manifest_paths(self.out)
        for split in manifests.keys() - counts.keys():
            manifests[split].unlink(missing_ok=True)
            archives.finish_folder(self.out / f"{split}.shar", 0)


@contextmanager
def _open_preparation(
    corpus: Corpus,
    source: Path | None,
    out: Path,
    options: PrepareOptions,
    shard: Shard | None = None,
) -> Iterator[_Preparation]:
    """Check the arguments, lock `out`, open the temporary files; UserError if anything is wrong."""
    refuse_unusable_places([] if source is None else [source], out, options.overwrite)
    _refuse_stale_archives(out, options)
    _refuse_ignored_options(corpus, options)
    if corpus.makes_recordings:
        options = replace(options, check="header")
    with (
        locked_folder(out, str(shard) if shard else ""),
        open_spool(out) as accepted,
        open_duration_cache(out, shard) as cache,
    ):
        yield _Preparation(
            corpus=corpus,
            source=source,
            out=out,
            options=options,
            normalizer=chosen_normalizer(corpus.normalizer_name(options), options),
            accepted=accepted,
            cache=cache,
        )


def _refuse_stale_archives(out: Path, options: PrepareOptions) -> None:
    """Training would read them instead of the manifests that are about to be written."""
    stale = archives_in(out)
    if stale and not options.shards:
        raise UserError(
            f"{out} holds archives ({', '.join(stale)}): give --shards as before, or remove them"
        )


def _refuse_ignored_options(corpus: Corpus, options: PrepareOptions) -> None:
    if options.text_file and corpus.name not in CORPORA_OF_OPTIONS["text_file"]:
        raise UserError(
            f"text {options.text_file}: only the demo corpus reads a text file aloud; "
            "for kspon, aihub and table, text is pronunciation or spelling"
        )
    for name, corpora in CORPORA_OF_OPTIONS.items():
        value = getattr(options, name)
        if value and corpus.name not in corpora:
            readers = " and ".join(filter(None, (", ".join(corpora[:-1]), corpora[-1])))
            raise UserError(
                f"{name} {value}: goes with {readers} only, and {corpus.name} would ignore it: "
                "leave it out"
            )
    default = PrepareOptions()
    if corpus.makes_recordings:
        for name in ("dev_share", "test_share"):
            if (value := getattr(options, name)) != getattr(default, name):
                raise UserError(
                    f"{name} {value:g}: the {corpus.name} corpus has splits of its own, and would "
                    "ignore it: leave it out"
                )
    if options.shard_format != default.shard_format and not options.shards:
        raise UserError(
            f"shard_format {options.shard_format}: is of archives, which only --shards writes: "
            "give --shards too, or leave it out"
        )


def _share_of(
    items: Iterable[Utterance | Rejected | Layout], shard: Shard
) -> Iterator[Utterance | Layout]:
    """The utterances of one machine's share, and the layout."""
    for item in items:
        if isinstance(item, Layout):
            yield replace(item, items=item.items and item.items // shard.of)
        elif isinstance(item, Utterance) and shard.holds(item.id):
            yield item


def _nothing_usable(source: Path | None, contents: CorpusContents) -> str:
    if not contents.rejected:
        return f"{source}: no utterance in it; it should hold {contents.layout.name}"
    first = contents.rejected[0]
    return (
        f"{source}: none of its {len(contents.rejected)} items can be used; "
        f"the first, {first.where}: {first.reason}"
    )
