"""Tables of pieces that were cut out of recordings, and the files of the pieces."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sorigeul.base.errors import UserError
from sorigeul.corpora.cut_corpus import CutCorpus, Piece, piece_path, write_piece


@dataclass(frozen=True)
class Scored(Piece):
    """A piece with the only figure."""

    score: float


PIECES = [Scored(0, 1, "가", 0.9), Scored(1, 2, "나", 0.8)]


def files(out: Path) -> CutCorpus:
    return CutCorpus(out, "labels.tsv", "heard.tsv", "plot.png", ".labels", ("score",))


def write(out: Path, pieces: list[Scored], least: float = 0.5) -> bool:
    for piece in pieces:
        write_piece(out / piece_path("a.flac", piece), np.zeros(160, np.float32))
    return files(out).write({"a.flac": pieces}, lambda one: one.score >= least, {})


def test_a_table_that_could_not_be_replaced_is_no_table_changed_by_hand(tmp_path: Path) -> None:
    table = tmp_path / "labels.tsv"
    write(tmp_path, PIECES)
    before = table.read_bytes()
    write(tmp_path, PIECES[:1])
    table.write_bytes(before)  # as a full disk leaves it
    files(tmp_path).refuse_unusable_places([], ["a.flac"], overwrite=False)
    write(tmp_path, PIECES[:1])
    files(tmp_path).refuse_unusable_places([], ["a.flac"], overwrite=False)
    table.write_bytes(before.replace("가".encode(), "다".encode()))
    with pytest.raises(UserError, match="has been changed since it was written"):
        files(tmp_path).refuse_unusable_places([], ["a.flac"], overwrite=False)


def test_only_pieces_of_ours_are_removed_and_only_once_there_are_others(tmp_path: Path) -> None:
    write(tmp_path, PIECES)
    earlier = [tmp_path / piece_path("a.flac", piece) for piece in PIECES]
    folder = earlier[0].parent
    others = [folder / "mine.flac", folder / "b.flac-00000000-00001000.flac"]
    for path in others:
        path.write_bytes(b"")
    new = [Scored(0, 2, "가나", 0.9)]
    assert not write(tmp_path, new, least=1.0)
    assert all(path.exists() for path in earlier)  # their corpus is still there
    assert write(tmp_path, new)
    assert set(folder.iterdir()) == {tmp_path / piece_path("a.flac", new[0]), *others}
