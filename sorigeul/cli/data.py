"""The commands `sorigeul data stats`, `merge`, `filter`, `split`, `head` and `check`.

They import what they need when they run, so that `sorigeul --help` does not wait for torch.
"""

import logging
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, UseAppendAction

from sorigeul.base.capacity import processes
from sorigeul.base.errors import UserError
from sorigeul.base.printable import printable
from sorigeul.base.ranges import COUNT, COUNT_OR_NONE, PROCESSES, SECONDS
from sorigeul.base.stopping import interrupted_by_stop_signals
from sorigeul.cli.arguments import parse_and_run, positional
from sorigeul.cli.command_group import choose_command
from sorigeul.cli.options import File, flattened
from sorigeul.cli.prepare import print_splits
from sorigeul.corpora.ranges import PART, SPLIT_SEED, SYLLABLE_RATE_OR_NONE

if TYPE_CHECKING:
    from sorigeul.corpora.report import Report

log = logging.getLogger(__name__)

Split = Literal["train", "dev", "test", "eval_clean", "eval_other"]
_NAMED = 5  # recordings that could not be read

_Out = Annotated[Positional[Path], positional("OUT")]
_New = Annotated[Positional[Path], positional("NEW")]


def data(arguments: Sequence[str]) -> None:
    """Prepared corpora: data stats, merge, filter, split, head, check."""
    chosen = choose_command("data", "Prepared corpora", _COMMANDS, arguments)
    if chosen is not None:
        name, rest = chosen
        with interrupted_by_stop_signals():
            parse_and_run(_COMMANDS[name], f"data {name}", rest)


def stats(
    out: _Out,
    report: File = None,
    sample: Annotated[int, COUNT_OR_NONE] = 1000,
    jobs: Annotated[int, PROCESSES] = 0,
    audio_root: str = "",
    overwrite: bool = False,
) -> None:
    """Show what is in a corpus: lengths, speaking rates, characters, speakers, sound, repeats.

    Where recordings could not be read the exit status is 2; everything is printed and written.

    Args:
        out: folder of manifests, made by 'sorigeul prepare'
        report: HTML file for all of it, with figures
        sample: recordings to listen to, drawn by chance; 0: all
        jobs: processes that listen; 0: one a core
        audio_root: folder that holds the recordings now, if they have moved
        overwrite: replace FILE even if it is no such page
    """
    from sorigeul.base.html_page import BEGINS
    from sorigeul.base.outputs import Output, refuse_overwriting
    from sorigeul.base.tables import markdown_table
    from sorigeul.prepared.corpus import PreparedCorpus
    from sorigeul.prepared.report import write_report
    from sorigeul.prepared.statistics import corpus_statistics, table_rows

    corpus = PreparedCorpus(out, audio_root)
    if report is not None:
        refuse_overwriting([Output(report, "--report", BEGINS)], corpus.files, overwrite)
    statistics = corpus_statistics(corpus, sample, processes(jobs))
    said, leaks = statistics.overlap
    if leaks:
        log.warning("%s", said)
    elif said:
        print(said)
    print(markdown_table(table_rows(statistics)), end="")
    if report is not None:
        write_report(report, out.absolute().name, statistics)
    if unreadable := statistics.unreadable:
        for reason in unreadable[:_NAMED]:
            log.warning("%s", reason)
        if len(unreadable) > _NAMED:
            log.warning("and %s more", f"{len(unreadable) - _NAMED:,}")
        listened = statistics.listened + len(unreadable)
        raise UserError(
            f"{len(unreadable):,} of {listened:,} recordings could not be read: 'sorigeul data "
            "check' finds all there are"
        )


def merge(
    places: Annotated[Positional[tuple[Path, ...]], positional("OUT… NEW")] = (),
    audio_root: str = "",
    overwrite: bool = False,
) -> None:
    """Put several corpora together, each split with its like.

    Where an id is in two of them, ids of the later corpus get the name of its folder before them.

    Args:
        places: folders of manifests, made by 'sorigeul prepare'; then the folder for the new ones
        audio_root: folder that holds the recordings now, if they have moved
        overwrite: replace files in NEW that have the name of a manifest or of the report
    """
    from sorigeul.prepared.corpus import PreparedCorpus
    from sorigeul.prepared.derivation import merge

    if len(places) < 3:
        raise UserError(
            "Missing from sorigeul data merge: OUT, OUT and NEW (sorigeul data merge --help)"
        )
    *sources, new = places
    _print_report(
        merge([PreparedCorpus(source, audio_root) for source in sources], new, overwrite), new
    )


def filter_(
    out: _Out,
    new: _New,
    min_duration: Annotated[float, SECONDS] = 0.0,
    max_duration: Annotated[float, SECONDS] = 0.0,
    min_rate: Annotated[float, SYLLABLE_RATE_OR_NONE] = 0.0,
    max_rate: Annotated[float, SYLLABLE_RATE_OR_NONE] = 0.0,
    text: str = "",
    not_text: str = "",
    speakers: Annotated[tuple[tuple[str, ...], ...], UseAppendAction] = (),
    splits: Annotated[tuple[tuple[Split, ...], ...], UseAppendAction] = (),
    ids: str = "",
    not_ids: str = "",
    audio_root: str = "",
    overwrite: bool = False,
) -> None:
    """Keep some utterances of a corpus; the report of the new one names all others.

    Args:
        out: folder of manifests, made by 'sorigeul prepare'
        new: folder for the new ones
        min_duration: shortest utterance in seconds
        max_duration: longest utterance in seconds; 0: no limit
        min_rate: slowest speech in syllables a second
        max_rate: fastest speech in syllables a second; 0: no limit
        text: regular expression that is found in the texts that stay
        not_text: regular expression that is not found in the texts that stay
        speakers: names of those whose utterances stay; none: all
        splits: splits that stay; none: all
        ids: text file of the ids that stay, one a line
        not_ids: text file of ids that do not stay, one a line
        audio_root: folder that holds the recordings now, if they have moved
        overwrite: replace files in NEW that have the name of a manifest or of the report
    """
    from sorigeul.prepared.corpus import PreparedCorpus
    from sorigeul.prepared.derivation import FilterOptions, filter_corpus

    options = FilterOptions(
        min_duration=min_duration,
        max_duration=max_duration,
        min_rate=min_rate,
        max_rate=max_rate,
        text=text,
        not_text=not_text,
        speakers=flattened(speakers),
        splits=flattened(splits),
        ids=ids,
        not_ids=not_ids,
    )
    _print_report(filter_corpus(PreparedCorpus(out, audio_root), new, options, overwrite), new)


def split(
    out: _Out,
    new: _New,
    dev_share: Annotated[float, PART] = 0.1,
    test_share: Annotated[float, PART] = 0.1,
    seed: Annotated[int, SPLIT_SEED] = 0,
    jobs: Annotated[int, PROCESSES] = 0,
    audio_root: str = "",
    overwrite: bool = False,
) -> None:
    """Draw train, dev and test of a corpus anew, by speaker and by sentence.

    A corpus in which 'sorigeul data check' finds faults is refused.

    Args:
        out: folder of manifests, made by 'sorigeul prepare'
        new: folder for the new ones
        dev_share: share of the speech for dev
        test_share: share of the speech for test
        seed: seed of the draw
        jobs: processes that look at recordings; 0: one a core
        audio_root: folder that holds the recordings now, if they have moved
        overwrite: replace files in NEW that have the name of a manifest or of the report
    """
    from sorigeul.corpora.options import PrepareOptions
    from sorigeul.prepared.corpus import PreparedCorpus
    from sorigeul.prepared.derivation import split_corpus

    options = PrepareOptions(dev_share=dev_share, test_share=test_share, seed=seed)
    corpus = PreparedCorpus(out, audio_root)
    _print_report(split_corpus(corpus, new, options, overwrite, processes(jobs)), new)


def head(out: _Out, lines: Annotated[int, COUNT] = 10, split: Split | None = None) -> None:
    """Print the first utterances of a corpus: split, id, seconds, speaker, text.

    Args:
        out: folder of manifests, made by 'sorigeul prepare'
        lines: how many
        split: only of this one
    """
    from sorigeul.prepared.corpus import PreparedCorpus

    corpus = PreparedCorpus(out)
    if split is not None and split not in corpus.splits:
        raise UserError(f"{out} has no {split}; it has {', '.join(corpus.splits)}")
    items = (item for item in corpus if split in (None, item.split))
    for item in islice(items, lines):
        cells = (item.split, item.id, f"{item.duration:.2f}", item.speaker or "-", item.text)
        print("\t".join(map(printable, cells)))


def check(out: _Out, jobs: Annotated[int, PROCESSES] = 0, audio_root: str = "") -> None:
    """See whether a corpus is whole: recordings, lengths, texts, ids, report.

    Args:
        out: folder of manifests, made by 'sorigeul prepare'
        jobs: processes that look at recordings; 0: one a core
        audio_root: folder that holds the recordings now, if they have moved
    """
    from sorigeul.prepared.checks import refuse_faults
    from sorigeul.prepared.corpus import PreparedCorpus

    result = refuse_faults(PreparedCorpus(out, audio_root), processes(jobs))
    if result.overlap:
        print(result.overlap)
    print(f"{result.utterances:,} utterances: nothing is wrong")


def _print_report(report: "Report", new: Path) -> None:
    """Say what is in a new corpus, as `prepare` does."""
    print_splits(report)
    for warning in report.warnings:
        log.warning("%s", warning)
    left_out = f"; {len(report.rejected):,} left out, the reasons are in {new / 'report.json'}"
    print(
        f"{report.total['utterances']:,} utterances, {report.total['hours']:.2f} h"
        + (printable(left_out) if report.rejected else "")
    )


_COMMANDS: dict[str, Callable[..., None]] = {
    "stats": stats,
    "merge": merge,
    "filter": filter_,
    "split": split,
    "head": head,
    "check": check,
}
