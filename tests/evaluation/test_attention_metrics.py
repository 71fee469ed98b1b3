"""Attention metrics: 1 if the attention follows the speech, lower for each kind of deviation."""

import pytest
import torch
from torch import Tensor

from sorigeul.evaluation.attention_metrics import AttentionMetrics, mean_metrics, measure_attention


def at(*positions: int, frames: int) -> Tensor:
    """Attention (U, S) of characters that each attend to a single frame."""
    return torch.eye(frames)[list(positions)]


def metrics_of(attention: Tensor, energy: Tensor | None = None) -> AttentionMetrics:
    """The metrics of attention (U, S), over frames of equal energy if none is given."""
    even_energy = torch.ones(attention.shape[1])
    metrics = measure_attention(attention, even_energy if energy is None else energy)
    assert metrics is not None
    return metrics


def random_attention(seed: int, characters: int = 7, frames: int = 20) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(characters, frames, generator=generator).mul(2).softmax(-1)


def test_attention_that_follows_the_speech_has_full_metrics() -> None:
    metrics = metrics_of(at(1, 4, 7, 10, 13, frames=15))
    assert vars(metrics) == pytest.approx({"diagonality": 1, "coverage": 1, "focus": 1})
    assert metrics.aligned


def test_even_attention_has_coverage_but_neither_order_nor_focus() -> None:
    metrics = metrics_of(torch.full((6, 15), 1 / 15))
    assert vars(metrics) == pytest.approx({"diagonality": 0, "coverage": 1, "focus": 0}, abs=1e-6)
    assert not metrics.aligned


def test_a_negligible_drift_of_the_attention_is_not_order() -> None:
    """The centre of attention moves forward with every character, but only by a thousandth."""
    frames = torch.linspace(-1, 1, 15)
    attention = torch.stack([(1 + 0.001 * u * frames) / 15 for u in range(8)])
    centres = attention @ frames
    assert (centres.diff() > 0).all()
    assert metrics_of(attention).diagonality < 0.01


def test_pauses_and_fast_speech_do_not_reduce_diagonality() -> None:
    """All characters are spoken in the first and the last fifth, far from the diagonal."""
    metrics = metrics_of(at(0, 1, 2, 3, 17, 18, 19, frames=20))
    assert metrics.diagonality == pytest.approx(1)


@pytest.mark.parametrize("swapped", [0, 3, 10, 21])
def test_diagonality_is_kendalls_correlation(swapped: int) -> None:
    """Seven characters, of whose 21 pairs `swapped` are in the wrong order."""
    order, remaining = list(range(7)), swapped
    while remaining:
        for index in range(6):
            if remaining and order[index] < order[index + 1]:
                order[index], order[index + 1] = order[index + 1], order[index]
                remaining -= 1
    expected = max(0.0, 1 - 2 * swapped / 21)
    assert metrics_of(at(*order, frames=7)).diagonality == pytest.approx(expected)


def test_diagonality_is_how_often_frames_drawn_from_the_attention_are_in_order() -> None:
    attention = random_attention(0, 4, 9)
    generator = torch.Generator().manual_seed(1)
    frames = torch.multinomial(attention, 40_000, replacement=True, generator=generator)
    signs = [
        (frames[later] - frames[earlier]).sign().float().mean()
        for later in range(4)
        for earlier in range(later)
    ]
    expected = max(0.0, float(torch.stack(signs).mean()))
    assert metrics_of(attention).diagonality == pytest.approx(expected, abs=0.01)


def test_skipped_frames_are_not_covered_unless_they_are_silent() -> None:
    attention = at(1, 3, 5, 7, 29, frames=30)  # nothing between the frames 7 and 29
    assert 0.5 < metrics_of(attention).coverage < 0.9
    energy = torch.ones(30)
    energy[10:24] = 0
    assert metrics_of(attention, energy).coverage == pytest.approx(1)
    energy = torch.zeros(30)
    energy[15:20] = 1
    assert metrics_of(attention, energy).coverage == pytest.approx(0, abs=1e-6)


def test_attention_that_stays_at_one_frame_covers_little() -> None:
    metrics = metrics_of(at(*[10] * 10, frames=50))
    assert metrics.coverage < 0.25
    assert metrics.focus == pytest.approx(1)
    assert not metrics.aligned


def test_focus_is_one_minus_the_normalized_entropy() -> None:
    attention = torch.zeros(2, 16)
    attention[:, 3:5] = 0.5
    assert metrics_of(attention).focus == pytest.approx(1 - 1 / 4)  # one bit of four


def test_attention_that_runs_backwards_has_no_order() -> None:
    forwards = at(1, 4, 7, 10, 13, frames=15)
    assert metrics_of(forwards.flip(1)).diagonality == 0
    assert metrics_of(forwards.flip(0)).diagonality == 0


@pytest.mark.parametrize("seed", range(5))
def test_metrics_lie_between_0_and_1_and_do_not_depend_on_the_loudness(seed: int) -> None:
    attention, energy = random_attention(seed), torch.rand(20)
    metrics = metrics_of(attention, energy)
    assert all(0 <= value <= 1 for value in vars(metrics).values())
    louder = metrics_of(attention, 400 * energy)
    assert vars(louder) == pytest.approx(vars(metrics))
    assert metrics_of(attention, torch.zeros(20)) == metrics_of(attention)  # total silence


@pytest.mark.parametrize("shape", [(0, 5), (1, 5), (5, 1), (0, 0)])
def test_less_than_two_characters_or_frames_have_no_metrics(shape: tuple[int, int]) -> None:
    assert measure_attention(torch.ones(shape), torch.ones(shape[1])) is None


def test_means_are_over_the_utterances_that_have_metrics() -> None:
    first, second = AttentionMetrics(0.2, 0.4, 0.0), AttentionMetrics(0.6, 1.0, 0.5)
    assert mean_metrics([first, None, second]) == AttentionMetrics(
        pytest.approx(0.4), pytest.approx(0.7), pytest.approx(0.25)
    )
    assert mean_metrics([None]) is None
    assert mean_metrics([]) is None


def test_metrics_are_printed_in_one_line() -> None:
    assert str(AttentionMetrics(0.123, 1, 0)) == "diagonality 0.12, coverage 1.00, focus 0.00"
