"""The command `sorigeul prepare`: its options, what it prints.

It imports what it needs when it runs, so that `sorigeul --help` does not wait for torch.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional

from sorigeul.base.capacity import processes
from sorigeul.base.errors import UserError
from sorigeul.base.printable import printable
from sorigeul.base.ranges import COUNT_OR_NONE, PROCESSES
from sorigeul.cli.arguments import positional
from sorigeul.corpora.ranges import HOURS, LONGEST, PART, SPLIT_SEED, SYLLABLE_RATE

if TYPE_CHECKING:
    from sorigeul.corpora.report import Report

log = logging.getLogger(__name__)

Corpus = Literal[
    "kspon", "aihub", "zeroth", "pansori", "clovacall", "commonvoice", "fleurs", "table", "demo"
]


def prepare(
    corpus: Positional[Corpus],
    source: Annotated[Positional[Path], positional("SOURCE")],
    out: Annotated[Positional[Path | None], positional("OUT")] = None,
    layout: Annotated[str, positional("NAME|FILE")] = "",
    text: Literal["pronunciation", "spelling"] | Path | None = None,
    numbers: Literal["keep", "spoken", "written"] = "keep",
    punctuation: Literal["auto", "keep", "drop"] = "auto",
    seed: Annotated[int, SPLIT_SEED] = 0,
    audio_root: Annotated[str, positional("FOLDER")] = "",
    max_duration: Annotated[float, LONGEST] = 35.0,
    max_syllable_rate: Annotated[float, SYLLABLE_RATE] = 25.0,
    dev_share: Annotated[float, PART] = 0.1,
    test_share: Annotated[float, PART] = 0.1,
    utterances: Annotated[int, COUNT_OR_NONE] = 0,
    hours: Annotated[float, HOURS] = 0.0,
    check: Literal["audio", "header"] = "audio",
    jobs: Annotated[int, PROCESSES] = 0,
    shards: Annotated[int, COUNT_OR_NONE] = 0,
    shard_format: Literal["flac", "opus"] = "flac",
    shard: str = "",
    overwrite: bool = False,
) -> None:
    """Read a corpus; write its manifests and a report of what was found.

    If interrupted, it keeps what it measured, and the same command goes on from there.

    Args:
        corpus: which corpus; aihub is a set of AI Hub with JSON labels; table is a CSV, TSV, JSONL,
            JSON, Excel or Parquet file with columns audio and text, or a folder of Hugging Face's
            datasets; demo is synthesised speech
        source: its folder or table; demo has none: sorigeul prepare demo OUT
        out: folder for train.jsonl, dev.jsonl, test.jsonl and report.json
        layout: aihub only: how the labels look: freetalk, command, dialogs, broadcast, meeting,
            dialect, lecture, learner or callcenter, or a description of your own in YAML
        text: for kspon, aihub and table: read AI Hub's marks, and keep this side of (70%)/(칠십
            퍼센트); kspon and aihub keep the pronunciation unless told otherwise, table the texts
            as they are. For demo: a text file whose sentences are spoken instead of made-up ones
        numbers: spoken writes numbers, units and Latin letters as they are said (70% as 칠십
            퍼센트), written the other way round; keep leaves them as the transcripts have them
        punctuation: keep it in the texts, or drop it; auto drops it where some transcripts end with
            a full stop and others do not. Corpora that are to be trained together need the same
        seed: seed of the split, and of the voices of demo
        audio_root: table only: folder that holds the recordings, if the paths in the table are of
            another place, such as of a Windows machine
        max_duration: longest utterance in seconds; longer ones are rejected
        max_syllable_rate: fastest speech in syllables a second; a transcript that takes more is
            rejected, since it is not of this recording
        dev_share: share of the speech for dev where the corpus has no dev of its own, as demo has;
            0: no dev
        test_share: share of the speech for test where the corpus has no test of its own, as demo
            has; 0: no test
        utterances: demo only: how many to synthesise; 0: as many as --hours says, else 3,000
        hours: demo only: hours of speech to synthesise, within some 2 %; if a text file has too few
            sentences, they are spoken again in other voices
        check: audio decodes every recording, rejects what is damaged, silent or no number, and
            names what was repaired, holds noise only, is clipped or of another sampling rate than
            it says; some 600 times as fast as the sound is long, on each core. header reads
            durations only
        jobs: processes that measure recordings and write archives; 0: one a core
        shards: also write archives of this many utterances each (1000, say), train.shar beside
            train.jsonl and so on; train and evaluate then read those, in place of many small files;
            0: none
        shard_format: format of the recordings in archives: flac, 16-bit, or opus, a fifth as large
        shard: i/n: do the i-th of n parts of the work, on n machines that see SOURCE and OUT under
            the same paths; each says what to do next; at the end the command without --shard puts
            everything together
        overwrite: replace files in OUT that have the name of a manifest or of the report, even if
            they are none
    """
    from sorigeul.base.stopping import interrupted_by_stop_signals
    from sorigeul.corpora.catalog import CORPORA
    from sorigeul.corpora.options import PrepareOptions, Shard
    from sorigeul.corpora.preparation import prepare, prepare_shard
    from sorigeul.synthesis.demo import DEMO

    source_path: Path | None = source
    if out is None:
        if corpus != "demo":
            raise UserError(f"prepare {corpus} takes two places: SOURCE, then OUT")
        source_path, out = None, source
    options = PrepareOptions(
        layout=layout,
        text="" if text is None or isinstance(text, Path) else text,
        audio_root=audio_root,
        numbers=numbers,
        punctuation=punctuation,
        check=check,
        seed=seed,
        max_duration=max_duration,
        max_syllable_rate=max_syllable_rate,
        dev_share=dev_share,
        test_share=test_share,
        utterances=utterances,
        hours=hours,
        text_file=str(text) if isinstance(text, Path) else "",
        shards=shards,
        shard_format=shard_format,
        overwrite=overwrite,
        jobs=processes(jobs),
    )
    chosen_corpus = DEMO if corpus == "demo" else CORPORA[corpus]
    try:
        with interrupted_by_stop_signals():
            if shard:
                parsed_shard = Shard.parse(shard)
                done = prepare_shard(chosen_corpus, source_path, out, parsed_shard, options)
                print(printable(done))
                return
            report = prepare(chosen_corpus, source_path, out, options)
    except KeyboardInterrupt:
        log.warning("what was done so far is kept: the same command goes on from there")
        raise
    print_report(report, out)


def print_report(report: "Report", out: Path) -> None:
    """Print what a corpus in the folder `out` has, and what there is to know about it."""
    print_splits(report)
    for item in report.rejected[:5]:
        log.warning("rejected %s (%s): %s", item.item, item.where, item.reason)
    for warning in report.warnings:
        log.warning("%s", warning)
    print(
        f"{report.total['utterances']:,} usable utterances, {report.total['hours']:.2f} h, "
        f"{report.total['speakers']} speakers; {len(report.rejected):,} rejected, the reasons are "
        f"in {printable(str(out / 'report.json'))}"
    )


def print_splits(report: "Report") -> None:
    """Print what each split has, and first what of dev and test is in train too."""
    if report.leaks:
        log.warning(
            "%s: error rates there say little about other speakers and sentences", report.overlap
        )
    elif report.overlap:
        print(printable(report.overlap))
    for split, counts in report.splits.items():
        new = f", {counts['characters_not_in_train']:,} of them not in train"
        print(
            f"{split}: {counts['utterances']:,} utterances, {counts['hours']:.2f} h, "
            f"{counts['speakers']} speakers, {counts['characters']:,} characters"
            + (new if split != "train" and "train" in report.splits else "")
        )
