"""`sorigeul splice`: from a prepared corpus to one of new utterances, of pieces of its own.

Reads top to bottom: find the words of train in time, draw new utterances of each speaker, write
them, prepare a corpus of them. What is known of the words is kept, so that an interrupted call goes
on from there.
"""

import hashlib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.base.locks import locked_folder
from sorigeul.base.outputs import Output, refuse_overwriting
from sorigeul.base.printable import printable
from sorigeul.base.process_pool import map_in_order, with_progress
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.corpus_files import refuse_archives, refuse_unusable_places
from sorigeul.corpora.cut_corpus import write_piece
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.report import Report
from sorigeul.corpora.written_table import WrittenTable
from sorigeul.data import manifests
from sorigeul.prepared.corpus import PreparedCorpus
from sorigeul.recognition.fingerprints import model_fingerprint
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.sound.audio import SAMPLE_RATE, AudioError
from sorigeul.splicing.drawing import Placed, Splice, draw_splices
from sorigeul.splicing.joining import join
from sorigeul.splicing.kept_words import find_words
from sorigeul.splicing.options import SpliceOptions
from sorigeul.splicing.utterances import Utterance, longest_seconds, read_utterances
from sorigeul.splicing.word_places import WordPlaces

log = logging.getLogger(__name__)

TABLE, MEMORY, AUDIO = "splices.tsv", ".splices", "audio"
_VERSION = 1  # increases whenever the same pieces would be joined in another way
_HEADER = ("audio", "text", "speaker", "pieces")
_SHORTEST_WORD = 0.05  # seconds; the sound of a shorter one lies on the other side of a cut
_FEW = 0.7  # share of the words; with fewer that are sure, the model is not good enough
_FILES = 8  # sent to a process at a time
_NAMED = 5  # recordings that could not be read
_FASTEST = 1000.0  # syllables a second: how fast somebody speaks was judged before
# The file of a splice, or what a killed call has left of it.
_OWN = re.compile(r"[0-9a-f]{16}\.flac|\.[0-9a-f]{16}\.\w{8}\.flac")

Splices = Mapping[Path, Splice]
"""by where they are, from the folder of their corpus"""


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
    train = read_utterances(cuts, data)
    _refuse_to_lose_recordings(cuts, data, out)
    recognizer = Recognizer.from_pretrained(run)
    recognizer.refuse_without_ctc_alignment(run)
    model_key = model_fingerprint(recognizer.pretrained)
    with locked_folder(out):
        if not overwrite:
            table.refuse_to_lose()  # another call may have been quicker
        words, faults = find_words(recognizer, model_key, train, out / MEMORY / "words.jsonl")
        splices = {_path(one, train, model_key): one for one in _draw(train, words, options)}
        faults |= _write(splices, train, out, jobs)
        _report_unreadable(faults)
        written = {path: one for path, one in splices.items() if (out / path).is_file()}
        if not written:
            raise UserError(_nothing_written(data, splices, faults, len(train)))
        table.write(_rows(written, train))
    preparation = replace(
        PrepareOptions.for_normalized(manifests.normalizer(cuts), overwrite),
        max_duration=longest_seconds(train) + 1,
        max_syllable_rate=_FASTEST,
        check="header",  # what was written here is not damaged
        jobs=jobs,
    )
    report = prepare(CORPORA["table"], table.path, out, preparation)
    with locked_folder(out):
        _remove_others(out, table)
    if faults:
        raise UserError(
            f"{len(faults):,} of {len(train):,} utterances could not be read, as said above; the "
            f"corpus in {out} is of all the others"
        )
    return report


def _usable_table(out: Path, inputs: Sequence[Path], overwrite: bool) -> WrittenTable:
    """The table of the splices. Raises UserError if something in `out` is in the way."""
    table = WrittenTable(out / TABLE, out / MEMORY)
    refuse_unusable_places(inputs, out, overwrite)
    refuse_archives(out)
    begins = "\t".join(_HEADER).encode()
    refuse_overwriting([Output(table.path, "the table", begins)], inputs, overwrite)
    for folder in (out / AUDIO, out / MEMORY):
        if os.path.lexists(folder) and not folder.is_dir():
            raise UserError(f"{folder}: is no folder, and is needed as one: choose another place")
    if not overwrite:
        table.refuse_to_lose()
    return table


def _refuse_to_lose_recordings(train: CutSet, data: Path, out: Path) -> None:
    """Raise UserError if recordings of `data` lie among what is written, and would be removed.

    Those of `train` may have moved; others are looked for where the manifests say.
    """
    own = os.path.realpath(out / AUDIO) + os.sep
    moved = (str(manifests.audio_source(cut).source) for cut in train)
    for path in chain(moved, (str(item.audio) for item in PreparedCorpus(data))):
        if os.path.realpath(path).startswith(own):
            raise UserError(
                f"{data} has recordings in {out / AUDIO}, where the splices are written: choose "
                "another place for these"
            )


def _nothing_written(
    data: Path, splices: Splices, faults: Mapping[int, str], utterances: int
) -> str:
    """Why there is no splice."""
    if len(faults) == utterances:
        return "none of the utterances could be read, as said above"
    if splices:
        return f"what could be read of {data} is too little to be joined: see what is said above"
    return (
        f"no two pieces of a speaker in {data} can be joined: lower --min_score, or splice with a "
        "better model"
    )


def _draw(
    train: Sequence[Utterance], words: Sequence[WordPlaces | None], options: SpliceOptions
) -> list[Splice]:
    """New utterances of each speaker; says how much of the speech can be used."""
    speakers: dict[str, list[Placed]] = {}
    for number, (one, places) in enumerate(zip(train, words, strict=True)):
        if places is not None:
            seconds = [end - start for start, end in pairwise(places.edges)]
            is_sure = [
                score >= options.min_score and length >= _SHORTEST_WORD
                for score, length in zip(places.scores, seconds, strict=True)
            ]
            placed = Placed(number, places.texts, places.edges, is_sure)
            speakers.setdefault(one.speaker, []).append(placed)
    sure = [is_sure for own in speakers.values() for one in own for is_sure in one.is_sure]
    share = sum(sure) / max(len(sure), 1)
    log.info(
        f"utterances: {len(train):,}, speakers: {len(speakers):,}, words that were heard where "
        f"they should be: {share:.0%} of {len(sure):,}"
    )
    if sure and share < _FEW:
        log.warning("the model hears too little of the texts: a better one finds more words")
    return list(draw_splices(speakers, options.copies, longest_seconds(train), options.seed))


def _path(splice: Splice, train: Sequence[Utterance], model_key: str) -> Path:
    """Where a splice is, from the folder of the corpus; the same for the same sound."""
    pieces = (f"{train[one.number].key} {one.start} {one.end}" for one in splice.pieces)
    parts = " ".join([str(_VERSION), model_key, *pieces])
    name = hashlib.sha256(parts.encode()).hexdigest()[:16]
    return Path(AUDIO, name[:2], f"{name}.flac")


def _write(splices: Splices, train: Sequence[Utterance], out: Path, jobs: int) -> dict[int, str]:
    """Write the splices that no earlier call has written.

    Returns why utterances could not be read, by their numbers; their splices are not there then.
    """
    missing = [path for path in splices if not (out / path).is_file()]
    work = partial(_write_splice, splices, train, out)
    written = map_in_order(work, missing, jobs, _FILES, str)
    with closing(with_progress(written, "joining", len(missing))) as results:
        return dict(fault for _, fault in results if fault is not None)


def _write_splice(
    splices: Splices, train: Sequence[Utterance], out: Path, path: Path
) -> tuple[int, str] | None:
    """Write one; or return the number of an utterance that could not be read, and why."""
    pieces = []
    for piece in splices[path].pieces:
        try:
            samples = train[piece.number].recording.samples()
        except AudioError as error:
            return piece.number, str(error)
        pieces.append(samples[round(piece.start * SAMPLE_RATE) : round(piece.end * SAMPLE_RATE)])
    write_piece(out / path, join(pieces))
    return None


def _report_unreadable(faults: Mapping[int, str]) -> None:
    """Name some of the utterances that could not be read."""
    different = list(dict.fromkeys(faults.values()))
    for fault in different[:_NAMED]:
        log.warning("%s", fault)
    if len(different) > _NAMED:
        log.warning("and %s more", f"{len(different) - _NAMED:,}")


def _rows(splices: Splices, train: Sequence[Utterance]) -> str:
    """The content of the table."""
    rows = [_HEADER]
    for path, one in splices.items():
        pieces = (
            f"{printable(train[piece.number].recording.id)} {piece.start:.3f}-{piece.end:.3f}"
            for piece in one.pieces
        )
        rows.append((str(path), one.text, one.speaker, " + ".join(pieces)))
    return "".join("\t".join(row) + "\n" for row in rows)


def _remove_others(out: Path, table: WrittenTable) -> None:
    """Remove the splices of an earlier call that are in the table no longer."""
    kept = {line.split("\t")[0] for line in table.content.splitlines()}
    for path in (out / AUDIO).glob("??/*.flac"):
        if _OWN.fullmatch(path.name) and path.relative_to(out).as_posix() not in kept:
            path.unlink()
