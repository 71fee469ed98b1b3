"""A prepared corpus on disk: read cut by cut, and written as a whole with its report.

Does not know what a new corpus is made for, or about sound.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing
from sorigeul.base.locks import locked_folder
from sorigeul.corpora.corpus_files import (
    REPORT,
    manifest_paths,
    refuse_archives,
    refuse_unusable_places,
    remove_temporary_files,
)
from sorigeul.corpora.counts import SplitCounts, summary, total
from sorigeul.corpora.json_text import to_json
from sorigeul.corpora.report import DERIVED, Report, overlap, read_contents
from sorigeul.corpora.sentence_ends import SentenceEnds
from sorigeul.corpora.splits import EVALUATION_SPLITS, SPLITS
from sorigeul.corpora.utterances import Rejected, Utterance
from sorigeul.data import manifests
from sorigeul.data.manifests import LazyCuts


class Item(NamedTuple):
    """An utterance of a prepared corpus."""

    split: str
    fields: dict[str, Any]
    """its cut, as in the manifest; the recording has its current path"""

    @property
    def id(self) -> str:
        return str(self.fields["id"])

    @property
    def text(self) -> str:
        return str(self.fields["supervisions"][0]["text"])

    @property
    def speaker(self) -> str | None:
        """None if it is not known."""
        return str(self.fields["supervisions"][0].get("speaker") or "") or None

    @property
    def duration(self) -> float:
        """In seconds."""
        return float(self.fields["duration"])

    @property
    def audio(self) -> Path:
        return Path(self.fields["recording"]["sources"][0]["source"])

    @property
    def normalizer(self) -> str:
        custom = self.fields["supervisions"][0].get("custom") or {}
        return str(custom.get("normalizer", "unknown"))

    @property
    def utterance(self) -> Utterance:
        """The same as `prepare` knows it."""
        return Utterance(
            self.id, self.audio, self.text, self.speaker, self.split, duration=self.duration
        )


@dataclass(frozen=True)
class PreparedCorpus:
    """The manifests in a folder, or the archives that stand for them."""

    folder: Path
    audio_root: str = ""
    """folder that holds the recordings now, if they have moved"""

    @cached_property
    def splits(self) -> dict[str, LazyCuts]:
        """The cuts of each split that the corpus has; UserError if there is none."""
        cuts = {split: manifests.manifest(self.folder, split, self.audio_root) for split in SPLITS}
        found = {name: manifests.as_lazy_cuts(one) for name, one in cuts.items() if one is not None}
        if not found:
            raise UserError(f"{self.folder} has no manifests: make them with 'sorigeul prepare'")
        return found

    def __iter__(self) -> Iterator[Item]:
        """All utterances, split by split. Those of KsponSpeech's test come twice."""
        for split, cuts in self.splits.items():
            for fields in cuts.fields():
                yield Item(split, fields)

    @property
    def files(self) -> list[Path]:
        """The files with the cuts."""
        return [Path(file) for cuts in self.splits.values() for file in cuts.files]


@dataclass
class Derivation:
    """How a corpus comes about from others; its report says so."""

    command: str
    sources: Sequence[PreparedCorpus]
    options: Mapping[str, Any]
    seed: int = 0
    split_by: str = "corpus"
    warnings: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    """what was left out; it may grow until the last item has been written"""


def write_corpus(
    out: Path, items: Iterable[Item], derivation: Derivation, overwrite: bool = False
) -> Report:
    """Write manifests and `report.json`; none of them before all are complete.

    Manifests of other splits that an earlier corpus had in `out` are removed. Raises UserError if
    there are no items, or if something in `out` is in the way.
    """
    inputs = [file for source in derivation.sources for file in source.files]
    refuse_unusable_places(inputs, out, overwrite)
    refuse_archives(out)
    paths = manifest_paths(out)
    counts: dict[str, SplitCounts] = {}
    files: dict[str, TextIO] = {}
    normalizers: dict[str, None] = {}
    sentence_ends = SentenceEnds()
    with locked_folder(out):
        remove_temporary_files(out)
        with ExitStack() as replaced_at_exit:
            # Entered first, so replaced last: where there is a report, its manifests are complete.
            report_file = replaced_at_exit.enter_context(replacing(out / REPORT))
            for item in items:
                if item.split not in files:
                    temporary = replaced_at_exit.enter_context(replacing(paths[item.split]))
                    file = temporary.open("w", encoding="utf-8")
                    files[item.split] = replaced_at_exit.enter_context(file)
                    counts[item.split] = SplitCounts()
                files[item.split].write(to_json(item.fields) + "\n")
                counts[item.split].add(item.utterance)
                normalizers[item.normalizer] = None
                sentence_ends.add(item.text)
            if not counts:
                asked = [f"{name} {value}" for name, value in derivation.options.items() if value]
                raise UserError(
                    f"nothing is left for {out}: not one utterance is as asked for"
                    + (f", by {', '.join(asked)}" if asked else "")
                )
            ordered = {split: counts[split] for split in SPLITS if split in counts}
            report = _report(derivation, ordered, list(normalizers), sentence_ends)
            report_file.write_text(report.to_json(), encoding="utf-8")
        for split in paths.keys() - counts.keys():
            paths[split].unlink(missing_ok=True)
    return report


def _report(
    derivation: Derivation,
    counts: Mapping[str, SplitCounts],
    normalizers: Sequence[str],
    sentence_ends: SentenceEnds,
) -> Report:
    shared_with_train, leaks = overlap(counts)
    warnings = list(derivation.warnings)
    if len(normalizers) > 1:
        warnings.append(f"the texts are not prepared alike: {' and '.join(normalizers)}")
    if sentence_ends.mixed:
        warnings.append(
            f"{sentence_ends.full_stop:,} texts end with a full stop and {sentence_ends.word:,} "
            "with a word: prepare them again, with --punctuation drop"
        )
    warnings += [f"no utterance in {name}" for name in SPLITS[:3] if name not in counts]
    # What is in the evaluation splits is in test too.
    once = [
        count
        for split, count in counts.items()
        if split != "test" or not counts.keys() & set(EVALUATION_SPLITS)
    ]
    return Report(
        corpus=derivation.command,
        overlap=shared_with_train,
        leaks=leaks,
        source=", ".join(str(source.folder.absolute()) for source in derivation.sources),
        layout=DERIVED,
        normalizer=" and ".join(normalizers),
        seed=derivation.seed,
        options=derivation.options,
        split_by=derivation.split_by,
        total=total(once),
        splits=summary(counts),
        published={},
        sentence_ends=asdict(sentence_ends),
        invisible_characters={},
        notes=(),
        warnings=tuple(warnings),
        rejected=tuple(derivation.rejected),
        corpora=tuple(
            dict.fromkeys(
                name
                for source in derivation.sources
                for name in read_contents(source.folder).corpora
            )
        ),
    )
