"""Plots of attention and of learning curves, checked by the pixels of the PNG files."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from sorigeul.base import plots

EPOCH: dict[str, Any] = {
    "epoch": 0,
    "train_loss": 2.5,
    "train_crr": 12.345,
    "valid_crr": 6.789,
    "test_crr": -3.2,
}


def read_png(path: Path) -> np.ndarray[Any, Any]:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels: np.ndarray[Any, Any] = mpl.image.imread(path)
    return pixels


def test_learning_curves_may_have_gaps(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    plots.learning_curves(path, [{**EPOCH, "train_crr": None}, {"epoch": 1, "train_loss": 1.0}])
    read_png(path)
    plots.learning_curves(path, [{"epoch": 0}])
    read_png(path)


def test_learning_curves_show_the_alignment_if_it_was_measured(tmp_path: Path) -> None:
    plots.learning_curves(tmp_path / "without.png", [EPOCH])
    alignment = {"valid_diagonality": 0.9, "valid_coverage": 1.0, "valid_focus": 0.8}
    plots.learning_curves(tmp_path / "with.png", [{**EPOCH, **alignment}])
    without, with_alignment = read_png(tmp_path / "without.png"), read_png(tmp_path / "with.png")
    assert with_alignment.shape[1] == pytest.approx(1.5 * without.shape[1], abs=1)


def test_attention_is_plotted_with_time_to_the_right_and_characters_upwards(tmp_path: Path) -> None:
    """The first character's attention to the first frame is bright in the lower left corner."""
    alignment = np.zeros((2, 4), np.float32)
    alignment[0, 0] = 1
    plots.attention(tmp_path / "a.png", alignment, ["가", " "], 2.0, "제목")
    pixels = read_png(tmp_path / "a.png")
    yellow = (pixels[..., 0] > 0.9) & (pixels[..., 1] > 0.8) & (pixels[..., 2] < 0.3)
    rows, columns = np.nonzero(yellow[:, : pixels.shape[1] // 2])  # the colour bar is on the right
    assert len(rows)
    assert rows.min() > 0.4 * pixels.shape[0]
    assert columns.max() < 0.4 * pixels.shape[1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("characters", [[], ["힣"], list("가나다라마바사") * 20])
def test_attention_of_any_number_of_characters_is_plotted(
    tmp_path: Path, characters: list[str]
) -> None:
    """Hangul has its glyphs: matplotlib would warn of each that the font lacks."""
    alignment = np.full((len(characters), 3), 1 / 3)
    plots.attention(tmp_path / "a.png", alignment, characters, 1.0, "한글 <제목> $x^$ 100%")
    assert read_png(tmp_path / "a.png").shape[:2] == (495, 880)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
