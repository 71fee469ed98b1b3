"""Text prepared for language models: character ids in two files, for training and held out.

The text is streamed: neither the sources nor the result are ever in memory as a whole. What grows
with the text is one 64-bit hash for each distinct line, by which duplicates are found: about 70
bytes a line, 0.7 GB for ten million lines.
"""

import heapq
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing, write_text
from sorigeul.base.ranges import SEED, Range, check_ranges
from sorigeul.base.records import read_object
from sorigeul.lm.line_cleaning import NORMALIZER, READ_OUT, CleanLine, Ids, LineCleaner, id_type
from sorigeul.lm.text_sources import TextSource, all_lines, find_sources, kept_out_transcripts
from sorigeul.text.vocabulary import Vocabulary

_FORMAT = "sorigeul-text/1"
_MOST_HELDOUT = 5000  # lines


@dataclass(frozen=True)
class TextOptions:
    """How text is prepared for language models."""

    exclude: tuple[Path, ...] = ()
    """prepared corpora whose dev and test transcripts must not get into the text"""
    heldout_share: Annotated[float, Range(0, 1, above=True, below=True)] = 0.01
    """share of the lines that is held out: at least one line, at most 5,000"""
    seed: Annotated[int, SEED] = 0
    """decides which lines are held out"""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_ranges(self)


@dataclass(frozen=True)
class TextData:
    """Lines of text as ids of a vocabulary, one after another, each ended by `eos_id`.

    `pad_id` stands for a character that the vocabulary does not have. There is no `sos_id`.
    """

    vocabulary: Vocabulary
    train: Ids
    """memory-mapped; uint16, or uint32 for a vocabulary of more than 65,536 units"""
    heldout: Ids
    """lines that are not in `train`, in the same form"""
    report: dict[str, Any]
    """how much was read, kept and left out: see `prepare_text`"""


def prepare_text(
    sources: Sequence[Path], folder: Path, vocabulary: Vocabulary, options: TextOptions
) -> TextData:
    """Clean text and write it to `folder` as `train.npy`, `heldout.npy` and `report.json`.

    A source is a text file, a folder (its `.txt` files, at any depth), or a prepared corpus: its
    training transcripts are taken, and its other transcripts kept out of the text. Whether a line
    is held out depends on a hash of its characters, not on the order of the sources.

    In the report, `lines_read` + `lines_split_off` = `train_lines` + `heldout_lines` + the sum of
    `left_out`, which counts lines by reason.

    Raises:
        UserError: if a source is missing or is no text, or if fewer than two lines remain.
    """
    found = find_sources(sources)
    cleaner = LineCleaner(vocabulary)
    excluded = _excluded_hashes(found, options, cleaner)
    counts: Counter[str] = Counter()
    left_out: Counter[str] = Counter()

    def distinct_lines() -> Iterator[tuple[int, bytes]]:
        """Hash and ids of each line that is kept."""
        eos = np.array([vocabulary.eos_id], id_type(vocabulary)).tobytes()
        seen: set[int] = set()
        for raw, is_transcript in all_lines(found, "preparing text"):
            lines = cleaner.clean(raw, read_out=not is_transcript)
            counts["lines_read"] += 1
            counts["lines_split_off"] += len(lines) - 1
            for line in lines:
                if isinstance(line, str):
                    left_out[line] += 1
                elif (identity := _hash(line.text, options.seed)) in seen:
                    left_out["duplicate"] += 1
                elif excluded and excluded.intersection(_hashes(line, options.seed)):
                    left_out["excluded transcript"] += 1
                else:
                    seen.add(identity)
                    counts["characters"] += len(vocabulary.split(line.text))
                    unknown = line.ids == vocabulary.pad_id
                    counts["unknown_characters"] += int(np.count_nonzero(unknown))
                    yield identity, line.ids.tobytes() + eos

    # Its presence says that the other files are whole: it goes first and is written last.
    (folder / "report.json").unlink(missing_ok=True)
    with (
        _new_id_file(folder / "train.npy", id_type(vocabulary)) as train,
        _new_id_file(folder / "heldout.npy", id_type(vocabulary)) as heldout,
    ):
        for ids, is_heldout in _held_out(distinct_lines(), options.heldout_share):
            counts["heldout_lines" if is_heldout else "train_lines"] += 1
            (heldout if is_heldout else train).write(ids)
        if not counts["train_lines"]:
            names = ", ".join(str(path) for path in sources)
            raise UserError(f"{names}: too little text; fewer than two lines remain: {left_out}")
    report = {
        "format": _FORMAT,
        "vocabulary_hash": vocabulary.hash,
        "normalizer": str(NORMALIZER),
        "read_out": READ_OUT,
        "sources": [str(source.path) for source in found],
        "exclude": [str(path) for path in options.exclude],
        "heldout_share": options.heldout_share,
        "seed": options.seed,
        **counts,
        "left_out": dict(left_out),
    }
    write_text(folder / "report.json", json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    prepared = load_text(folder, vocabulary)
    assert prepared is not None
    return prepared


def load_text(folder: Path, vocabulary: Vocabulary) -> TextData | None:
    """What `prepare_text` wrote to `folder`; None if it wrote nothing there or did not finish.

    Raises UserError if it was written for another vocabulary.
    """
    report_file = folder / "report.json"
    if not report_file.is_file():
        return None
    try:
        report = read_object(report_file)
        left_out = report.get("left_out", {})
        counts = [report.get(f"{name}_lines", 0) for name in ("train", "heldout")]
        counts += [report.get("unknown_characters", 0), *left_out.values()]
        if not all(isinstance(count, int) for count in counts):
            raise ValueError("its counts are no whole numbers")
    except (ValueError, AttributeError) as error:
        raise _damaged_text(report_file, error) from error
    if report.get("vocabulary_hash") != vocabulary.hash:
        raise UserError(f"{folder} holds text for another vocabulary: choose another folder")
    return TextData(
        vocabulary,
        _read_ids(folder / "train.npy", vocabulary),
        _read_ids(folder / "heldout.npy", vocabulary),
        report,
    )


def changes_of_text(text: TextData, sources: Sequence[Path], options: TextOptions) -> Iterator[str]:
    """In what `prepare_text` with these arguments would differ from what has made the text.

    What a report of an earlier version does not say is taken for the same, and corpora that are not
    named any more stay out.
    """
    report = text.report
    known = {os.path.realpath(path) for path in report.get("sources", ())}
    if known and known != _real_sources(sources, known):
        yield "sources"
    kept_out = {os.path.realpath(path) for path in report.get("exclude", options.exclude)}
    if not kept_out.issuperset(map(os.path.realpath, options.exclude)):
        yield "--exclude"
    if options.heldout_share != report.get("heldout_share", options.heldout_share):
        yield "--heldout_share"


def _real_sources(sources: Sequence[Path], known: Set[str]) -> set[str]:
    """The files and corpora of the sources; of what is no longer there, those of it in `known`."""
    there = [source for source in sources if source.exists()]
    gone = [os.path.realpath(source) for source in sources if not source.exists()]
    found = {os.path.realpath(source.path) for source in find_sources(there)}
    for path in gone:
        found |= {name for name in known if Path(name).is_relative_to(path)} or {path}
    return found


def _read_ids(path: Path, vocabulary: Vocabulary) -> Ids:
    try:
        ids: Ids = np.load(path, mmap_mode="r")
        if ids.ndim != 1 or ids.dtype != id_type(vocabulary):
            raise ValueError(f"it holds {ids.dtype} of {ids.ndim} dimensions")
        if len(ids) and (ids[-1] != vocabulary.eos_id or ids.max() >= len(vocabulary)):
            raise ValueError("its ids are not of the vocabulary")
    except (OSError, ValueError, EOFError) as error:
        raise _damaged_text(path, error) from error
    return ids


def _damaged_text(path: Path, error: Exception) -> UserError:
    reason = str(error).partition("\n")[0]
    return UserError(
        f"{path} is damaged ({reason}): begin again with --restart, or choose another folder"
    )


def _held_out(lines: Iterator[tuple[int, bytes]], share: float) -> Iterator[tuple[bytes, bool]]:
    """Each line's ids, and whether it is held out: those with the lowest hashes are.

    A line is held out if its hash is among the lowest `share` of all possible hashes and the
    lowest `_MOST_HELDOUT` of the lines'. The line with the lowest hash always is.
    """
    lowest: list[tuple[int, bytes]] = []  # a heap; negative hashes, so the highest hash is popped
    for identity, ids in lines:
        heapq.heappush(lowest, (-identity, ids))
        if len(lowest) > _MOST_HELDOUT:
            yield heapq.heappop(lowest)[1], False
    lowest.sort(reverse=True)
    for place, (negative, ids) in enumerate(lowest):
        yield ids, place == 0 or -negative < share * 2**64


def _hash(text: str, seed: int) -> int:
    """64 bits of a line without its spaces, since Korean spacing varies."""
    key = seed.to_bytes(8, "little", signed=True)
    digest = blake2b(text.replace(" ", "").encode(), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "little")


def _hashes(line: CleanLine, seed: int) -> set[int]:
    """Hashes of a line and of each of its sentences."""
    return {_hash(text, seed) for text in {line.text, *line.sentences}}


def _excluded_hashes(
    sources: Sequence[TextSource], options: TextOptions, cleaner: LineCleaner
) -> set[int]:
    """Hashes of the transcripts that must not get in, as written and as read out."""
    corpora = {source.path for source in sources if source.is_corpus} | set(options.exclude)
    return {
        _hash(line.text, options.seed)
        for corpus in sorted(corpora)
        for transcript in kept_out_transcripts(corpus)
        for read_out in (False, True)
        for line in cleaner.clean(transcript, read_out)
        if isinstance(line, CleanLine)
    }


@contextmanager
def _new_id_file(path: Path, dtype: np.dtype[Any]) -> Iterator[BinaryIO]:
    """A file in NumPy's format for one-dimensional ids, which are appended as bytes."""

    def write_header(file: BinaryIO, count: int) -> None:
        header = {"descr": dtype.str, "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(file, header)

    with replacing(path) as temporary, temporary.open("wb+") as file:
        write_header(file, 0)
        start = file.tell()
        yield file
        count = (file.tell() - start) // dtype.itemsize
        file.seek(0)
        write_header(file, count)  # NumPy leaves room for the digits of a larger count
        assert file.tell() == start
