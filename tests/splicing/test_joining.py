"""Pieces of sound that are joined."""

import numpy as np

from sorigeul.splicing.joining import join


def test_pieces_follow_each_other_and_meet_in_silence() -> None:
    pieces = [np.full(count, level, np.float32) for count, level in ((900, 0.5), (700, -0.3))]
    joined = join(pieces)
    assert joined.dtype == np.float32
    assert len(joined) == 1600
    assert (joined[:820] == 0.5).all()
    assert (joined[980:] == np.float32(-0.3)).all()
    assert joined[899] == 0 == joined[900]
    assert (np.diff(joined[820:900]) < 0).all()
    assert (np.diff(joined[900:980]) < 0).all()
    assert (pieces[0] == 0.5).all()  # they are still what they were


def test_a_piece_may_be_shorter_than_what_is_faded() -> None:
    tiny = np.full(3, 0.5, np.float32)
    assert np.array_equal(join([tiny]), tiny)
    joined = join([tiny, np.full(900, 0.5, np.float32), np.empty(0, np.float32)])
    assert len(joined) == 903
    assert np.abs(np.diff(joined)).max() <= 0.5
