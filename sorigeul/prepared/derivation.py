"""New prepared corpora from others: merged, filtered, split anew."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from sorigeul.base.errors import UserError
from sorigeul.base.files import given_twice
from sorigeul.base.ranges import SECONDS, check_ranges
from sorigeul.corpora.checking import syllables
from sorigeul.corpora.corpus_files import refuse_unusable_places
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.ranges import SYLLABLE_RATE_OR_NONE
from sorigeul.corpora.report import Report
from sorigeul.corpora.splits import SPLITS, assign_splits
from sorigeul.corpora.utterances import Rejected
from sorigeul.prepared.checks import refuse_faults
from sorigeul.prepared.corpus import Derivation, Item, PreparedCorpus, write_corpus
from sorigeul.text.file_encoding import read_text_file


@dataclass(frozen=True)
class FilterOptions:
    """Which utterances stay; by default all of them."""

    min_duration: Annotated[float, SECONDS] = 0.0
    """in seconds"""
    max_duration: Annotated[float, SECONDS] = 0.0
    """in seconds; 0: no limit"""
    min_rate: Annotated[float, SYLLABLE_RATE_OR_NONE] = 0.0
    """syllables a second"""
    max_rate: Annotated[float, SYLLABLE_RATE_OR_NONE] = 0.0
    """syllables a second; 0: no limit"""
    text: str = ""
    """regular expression that must be found in the text"""
    not_text: str = ""
    """regular expression that must not be found in the text"""
    speakers: tuple[str, ...] = ()
    """none: all"""
    splits: tuple[str, ...] = ()
    """none: all"""
    ids: str = ""
    """text file of ids, one a line, of which alone utterances stay"""
    not_ids: str = ""
    """text file of ids, one a line, that are left out"""

    def __post_init__(self) -> None:
        check_ranges(self)
        for low, high in (("min_duration", "max_duration"), ("min_rate", "max_rate")):
            if 0 < getattr(self, high) < getattr(self, low):
                raise UserError(
                    f"{low} is {getattr(self, low):g}, but must be at most {high}, which is "
                    f"{getattr(self, high):g}"
                )
        for name in ("text", "not_text"):
            try:
                re.compile(getattr(self, name))
            except (re.error, RecursionError, OverflowError) as error:
                raise UserError(
                    f"{name} {getattr(self, name)}: is no regular expression ({error})"
                ) from error
        if unknown := set(self.splits) - set(SPLITS):
            raise UserError(f"splits: {', '.join(sorted(unknown))} is none of {', '.join(SPLITS)}")


def merge(sources: Sequence[PreparedCorpus], out: Path, overwrite: bool = False) -> Report:
    """Write a corpus whose splits are those of all `sources`, one after another.

    Where an id is in two corpora, all ids of the later one get the name of its folder before them.
    Raises UserError if a corpus is given twice, by whatever path.
    """
    if (again := given_twice([source.folder for source in sources])) is not None:
        raise UserError(
            f"{again} is given twice: all its utterances would be there twice; leave it out once"
        )
    prefixes, warnings = _prefixes(sources)
    derivation = Derivation("merged", sources, {}, warnings=warnings)

    def items() -> Iterator[Item]:
        for split in SPLITS:
            for source, prefix in zip(sources, prefixes, strict=True):
                if split in source.splits:
                    for fields in source.splits[split].fields():
                        if prefix:
                            fields["id"] = f"{prefix}{fields['id']}"
                            fields["supervisions"][0]["id"] = fields["id"]
                        yield Item(split, fields)

    return write_corpus(out, items(), derivation, overwrite)


def _prefixes(sources: Sequence[PreparedCorpus]) -> tuple[list[str], list[str]]:
    """What comes before the ids of each corpus, and warnings."""
    prefixes: list[str] = []
    ids: set[str] = set()
    speakers: set[str] = set()
    warnings: list[str] = []
    for source in sources:
        own = {item.id: item.speaker for item in source}
        own_speakers = {speaker for speaker in own.values() if speaker is not None}
        if both := speakers & own_speakers:
            warnings.append(
                f"{len(both)} speakers of {source.folder} have the name of one in a corpus before "
                f"it, and count as the same: {', '.join(sorted(both)[:5])}"
            )
        prefix, number = "", 1
        while any(prefix + id_ in ids for id_ in own):
            numbered = f"-{number}" if number > 1 else ""
            prefix, number = f"{source.folder.absolute().name}{numbered}/", number + 1
        prefixes.append(prefix)
        ids |= {prefix + id_ for id_ in own}
        speakers |= own_speakers
    return prefixes, warnings


def filter_corpus(
    source: PreparedCorpus, out: Path, options: FilterOptions, overwrite: bool = False
) -> Report:
    """Write a corpus of the utterances that `options` let stay; the report names all others."""
    ids, not_ids = _listed(options.ids), _listed(options.not_ids)
    derivation = Derivation("filtered", [source], asdict(options))
    unseen = {
        "speakers": {*options.speakers},
        "ids": ids - {""},
        "not_ids": not_ids - {""},
    }

    def reason(item: Item) -> str:
        rate = syllables(item.text) / item.duration if item.duration else 0.0
        longest, fastest = options.max_duration or item.duration, options.max_rate or rate
        if not options.min_duration <= item.duration <= longest:
            return f"{item.duration:.2f} s long"
        if not options.min_rate <= rate <= fastest:
            return f"{rate:.1f} syllables a second"
        if options.text and not re.search(options.text, item.text):
            return f"text without {options.text}"
        if options.not_text and re.search(options.not_text, item.text):
            return f"text with {options.not_text}"
        if options.speakers and item.speaker not in options.speakers:
            return f"speaker {item.speaker or 'not named'}"
        if options.splits and item.split not in options.splits:
            return f"in {item.split}"
        if options.ids and item.id not in ids:
            return "id not listed"
        return "id listed as one to leave out" if item.id in not_ids else ""

    def items() -> Iterator[Item]:
        for item in source:
            unseen["speakers"].discard(item.speaker or "")
            unseen["ids"].discard(item.id)
            unseen["not_ids"].discard(item.id)
            if why_not := reason(item):
                derivation.rejected.append(Rejected(item.id, why_not, f"{item.split}.jsonl"))
            else:
                yield item
        for name, missing in unseen.items():
            if missing:
                names = ", ".join(sorted(missing)[:5]) + (", ..." if len(missing) > 5 else "")
                derivation.warnings.append(
                    f"{name}: {len(missing):,} of them are not in {source.folder}: {names}"
                )

    return write_corpus(out, items(), derivation, overwrite)


def _listed(path: str) -> set[str]:
    """The lines of a text file; UserError if there is none."""
    if not path:
        return set()
    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such file of ids")
    return {line.strip() for line in read_text_file(Path(path)).splitlines()}


def split_corpus(
    source: PreparedCorpus,
    out: Path,
    options: PrepareOptions,
    overwrite: bool = False,
    jobs: int = 1,
) -> Report:
    """Write a corpus whose dev and test are drawn anew from all utterances.

    As `prepare` draws them: by speaker, and by sentence if they repeat. Of `options` the shares and
    the seed count. So many processes check the corpus first; UserError if it has faults.
    """
    refuse_unusable_places(source.files, out, overwrite)
    refuse_faults(source, jobs)
    assignment = assign_splits((item.utterance for item in _pooled(source)), {""}, options)
    shares = {"dev_share": options.dev_share, "test_share": options.test_share}
    derivation = Derivation("split", [source], shares, options.seed, assignment.split_by)
    drawn = assignment.drawn
    items = (item._replace(split=drawn.get(item.id, "train")) for item in _pooled(source))
    return write_corpus(out, items, derivation, overwrite)


def _pooled(source: PreparedCorpus) -> Iterator[Item]:
    """Each utterance once, as one of train."""
    seen: set[str] = set()
    for item in source:
        if item.id not in seen:
            seen.add(item.id)
            yield item._replace(split="train")
