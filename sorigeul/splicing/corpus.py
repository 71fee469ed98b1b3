"""`sorigeul splice`: from a prepared corpus to one of new utterances, of pieces of its own.

Reads top to bottom: find the words of train in time, draw new utterances speaker by speaker, write
them, prepare a corpus of them. What is known of the words is kept, so that an interrupted call goes
on from there.
"""

import hashlib
import logging
import re
from collections.abc import Container, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.base.locks import locked_folder
from sorigeul.base.outputs import Output, refuse_overwriting
from sorigeul.base.process_pool import map_in_order, with_progress
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.corpus_files import refuse_archives, refuse_unusable_places
from sorigeul.corpora.cut_corpus import write_piece
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.report import Report
from sorigeul.corpora.written_table import WrittenTable
from sorigeul.data import manifests
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.recording_list import RecordingEntry
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.splicing.drawing import Placed, Splice, draw_splices
from sorigeul.splicing.joining import join
from sorigeul.splicing.kept_words import KeptWords, Utterance
from sorigeul.splicing.options import SpliceOptions
from sorigeul.splicing.word_places import WordPlaces

log = logging.getLogger(__name__)

TABLE, MEMORY = "splices.tsv", ".splices"
_HEADER = ("audio", "text", "speaker", "pieces")
_FILES = 8  # sent to a process at a time
_FEW = 0.7  # share of the words; with fewer that are sure, the model is not good enough


def splice(
    run: str,
    data: Path,
    out: Path,
    options: SpliceOptions,
    audio_root: str = "",
    overwrite: bool = False,
    jobs: int = 1,
) -> Report:
    """Join pieces of the utterances of train to new ones; prepare a corpus of them in `out`.

    `run` finds the words in time. Pieces are joined to those of the same speaker only. Raises
    UserError if something cannot be used, if there is nothing to join, and, after everything else,
    for recordings that could not be read.
    """
    cuts = manifests.required_manifest(data, "train", audio_root)
    table = _usable_table(out, manifests.as_lazy_cuts(cuts).files, overwrite)
    train = _read(cuts, data)
    recognizer = Recognizer.from_pretrained(run)
    recognizer.refuse_without_ctc_alignment(run)
    with locked_folder(out):
        words = KeptWords(out / MEMORY / "words.jsonl", recognizer, train)
        splices = _draw(train, words.find(), options)
        if not splices:
            raise UserError(
                f"no two pieces of a speaker in {data} can be joined: lower --min_score, or splice "
                "with a better model"
            )
        paths = {_path(one, words.key): one for one in splices}
        _write(paths, [one.recording for one in train], out, jobs)
        table.write(_rows(paths))
        _remove_others(out, paths)
    preparation = PrepareOptions.for_normalized(manifests.normalizer(cuts), overwrite)
    # Nothing is longer than what was there before; and what was written here is not damaged.
    longest = _longest(train) + 1
    preparation = replace(preparation, max_duration=longest, check="header", jobs=jobs)
    report = prepare(CORPORA["table"], table.path, out, preparation)
    if words.unreadable:
        raise UserError(
            f"{words.unreadable:,} of {len(train):,} recordings could not be read, as said above; "
            f"the corpus in {out} is of all the others"
        )
    return report


def _usable_table(out: Path, inputs: Sequence[Path], overwrite: bool) -> WrittenTable:
    """The table of the splices. Raises UserError if something in `out` is in the way."""
    table = WrittenTable(out / TABLE, out / MEMORY)
    refuse_unusable_places(inputs, out, overwrite)
    refuse_archives(out)
    begins = "\t".join(_HEADER).encode()
    refuse_overwriting([Output(table.path, "the table", begins)], inputs, overwrite)
    if not overwrite:
        table.refuse_to_lose()
    return table


def _read(cuts: CutSet, data: Path) -> list[Utterance]:
    """The utterances of train. Raises UserError if none has a speaker."""
    train = [
        Utterance(
            RecordingEntry.from_cut(cut, data), manifests.transcript(cut), manifests.speaker(cut)
        )
        for cut in cuts
    ]
    if not any(one.speaker for one in train):
        raise UserError(
            f"{data} does not say who speaks, and pieces of two voices are no utterance: name the "
            "speakers in a table, and prepare it"
        )
    return train


def _longest(train: Sequence[Utterance]) -> float:
    return max(one.recording.seconds for one in train)


def _draw(
    train: Sequence[Utterance], places: Sequence[WordPlaces | None], options: SpliceOptions
) -> list[Splice]:
    """New utterances of each speaker; says how much of the speech can be used, and what cannot."""
    placed = _by_speaker(train, places, options.min_score)
    _report_words(train, places, placed)
    return [
        one
        for speaker, own in placed.items()
        for one in draw_splices(speaker, own, options.copies, _longest(train), options.seed)
    ]


def _by_speaker(
    train: Sequence[Utterance], places: Sequence[WordPlaces | None], min_score: float
) -> dict[str, list[Placed]]:
    """The utterances of each speaker that has a name, with the words of those that were placed."""
    placed: dict[str, list[Placed]] = {}
    for number, (one, words) in enumerate(zip(train, places, strict=True)):
        if one.speaker and words is not None:
            is_sure = [score >= min_score for score in words.scores]
            utterance = Placed(number, one.recording.id, words.texts, words.edges, is_sure)
            placed.setdefault(one.speaker, []).append(utterance)
    return placed


def _report_words(
    train: Sequence[Utterance],
    places: Sequence[WordPlaces | None],
    placed: Mapping[str, Sequence[Placed]],
) -> None:
    """Say how much of the speech can be used, and what cannot."""
    sure = [is_sure for of_one in placed.values() for one in of_one for is_sure in one.is_sure]
    share = sum(sure) / max(len(sure), 1)
    log.info(
        f"{sum(map(len, placed.values())):,} utterances of {len(placed):,} speakers: {share:.0%} "
        f"of {len(sure):,} words were heard where they should be"
    )
    if sure and share < _FEW:
        log.warning("the model hears too little of the texts: a better one finds more words")
    if unplaced := sum(one is None for one in places):
        log.warning(f"{unplaced:,} of {len(train):,} texts do not fit what is heard, or are unread")
    if nameless := sum(not one.speaker for one in train):
        log.warning(f"{nameless:,} utterances are left out, since their speakers have no names")


def _path(splice: Splice, key: str) -> Path:
    """Where a splice is, from the folder of the corpus; the same for the same sound."""
    name = hashlib.sha256(f"{key} {splice.origin}".encode()).hexdigest()[:16]
    return Path("audio", name[:2], f"{name}.flac")


def _write(
    splices: Mapping[Path, Splice], recordings: Sequence[RecordingEntry], out: Path, jobs: int
) -> None:
    """Write the splices that no earlier call has written."""
    missing = [path for path in splices if not (out / path).is_file()]
    work = partial(_write_splice, splices, recordings, out)
    written = map_in_order(work, missing, jobs, _FILES, str)
    with closing(with_progress(written, "joining", len(missing))) as results:
        for _ in results:
            pass


def _write_splice(
    splices: Mapping[Path, Splice], recordings: Sequence[RecordingEntry], out: Path, path: Path
) -> None:
    pieces = []
    for piece in splices[path].pieces:
        samples = recordings[piece.number].samples()
        pieces.append(samples[round(piece.start * SAMPLE_RATE) : round(piece.end * SAMPLE_RATE)])
    write_piece(out / path, join(pieces))


def _rows(splices: Mapping[Path, Splice]) -> str:
    rows = [(str(path), one.text, one.speaker, one.origin) for path, one in splices.items()]
    return "".join("\t".join(row) + "\n" for row in (_HEADER, *rows))


def _remove_others(out: Path, paths: Container[Path]) -> None:
    """Remove the splices of an earlier call that are in the table no longer."""
    for path in (out / "audio").glob("??/*.flac"):
        is_splice = re.fullmatch(r"[0-9a-f]{16}", path.stem)
        if is_splice and path.relative_to(out) not in paths:
            path.unlink()
