"""Figures of attention: 1 where it follows the speech, lower for each way in which it does not."""

import pytest
import torch
from torch import Tensor

from sorigeul.evaluation.attention_metrics import AttentionMetrics, mean_metrics, measure_attention


def at(*places: int, frames: int) -> Tensor:
    """Attention (U, S) of characters that each look at one frame."""
    return torch.eye(frames)[list(places)]


def figures(attention: Tensor, energy: Tensor | None = None) -> AttentionMetrics:
    found = measure_attention(
        attention, torch.ones(attention.shape[1]) if energy is None else energy
    )
    assert found is not None
    return found


def random_attention(seed: int, characters: int = 7, frames: int = 20) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(characters, frames, generator=generator).mul(2).softmax(-1)


def test_attention_that_follows_the_speech_has_all_figures() -> None:
    found = figures(at(1, 4, 7, 10, 13, frames=15))
    assert vars(found) == pytest.approx({"diagonality": 1, "coverage": 1, "focus": 1})
    assert found.formed


def test_attention_to_everything_covers_it_without_order_or_focus() -> None:
    found = figures(torch.full((6, 15), 1 / 15))
    assert vars(found) == pytest.approx({"diagonality": 0, "coverage": 1, "focus": 0}, abs=1e-6)
    assert not found.formed


def test_a_drift_too_slight_to_mean_anything_is_no_order() -> None:
    """The centres of attention move forward at every character, and all by a thousandth."""
    frames = torch.linspace(-1, 1, 15)
    attention = torch.stack([(1 + 0.001 * u * frames) / 15 for u in range(8)])
    centres = attention @ frames
    assert (centres.diff() > 0).all()
    assert figures(attention).diagonality < 0.01


def test_pauses_and_haste_are_no_disorder() -> None:
    """All of it is said in the first and last fifth, at a distance from the diagonal."""
    found = figures(at(0, 1, 2, 3, 17, 18, 19, frames=20))
    assert found.diagonality == pytest.approx(1)


@pytest.mark.parametrize("pairs", [0, 3, 10, 21])
def test_diagonality_is_kendalls_correlation(pairs: int) -> None:
    """Of 21 pairs of seven characters so many are heard in the wrong order."""
    order, swaps = list(range(7)), pairs
    while swaps:
        for at_ in range(6):
            if swaps and order[at_] < order[at_ + 1]:
                order[at_], order[at_ + 1] = order[at_ + 1], order[at_]
                swaps -= 1
    expected = max(0.0, 1 - 2 * pairs / 21)
    assert figures(at(*order, frames=7)).diagonality == pytest.approx(expected)


def test_diagonality_is_the_chance_that_draws_fall_in_order() -> None:
    attention = random_attention(0, 4, 9)
    generator = torch.Generator().manual_seed(1)
    drawn = torch.multinomial(attention, 40_000, replacement=True, generator=generator)
    signs = [
        (drawn[later] - drawn[earlier]).sign().float().mean()
        for later in range(4)
        for earlier in range(later)
    ]
    expected = max(0.0, float(torch.stack(signs).mean()))
    assert figures(attention).diagonality == pytest.approx(expected, abs=0.01)


def test_what_is_skipped_is_not_covered_unless_it_is_silent() -> None:
    attention = at(1, 3, 5, 7, 29, frames=30)  # nothing between the frames 7 and 29
    assert 0.5 < figures(attention).coverage < 0.9
    energy = torch.ones(30)
    energy[10:24] = 0
    assert figures(attention, energy).coverage == pytest.approx(1)
    energy = torch.zeros(30)
    energy[15:20] = 1
    assert figures(attention, energy).coverage == pytest.approx(0, abs=1e-6)


def test_attention_stuck_in_one_place_covers_little() -> None:
    found = figures(at(*[10] * 10, frames=50))
    assert found.coverage < 0.25
    assert found.focus == pytest.approx(1)
    assert not found.formed


def test_focus_is_one_less_the_share_of_the_entropy() -> None:
    two = torch.zeros(2, 16)
    two[:, 3:5] = 0.5
    assert figures(two).focus == pytest.approx(1 - 1 / 4)  # one bit of four


def test_backwards_is_no_order() -> None:
    forwards = at(1, 4, 7, 10, 13, frames=15)
    assert figures(forwards.flip(1)).diagonality == 0
    assert figures(forwards.flip(0)).diagonality == 0


@pytest.mark.parametrize("seed", range(5))
def test_figures_lie_between_0_and_1_and_loudness_changes_nothing(seed: int) -> None:
    attention, energy = random_attention(seed), torch.rand(20)
    found = figures(attention, energy)
    assert all(0 <= figure <= 1 for figure in vars(found).values())
    louder = figures(attention, 400 * energy)
    assert vars(louder) == pytest.approx(vars(found))
    assert figures(attention, torch.zeros(20)) == figures(attention)  # total silence


@pytest.mark.parametrize("shape", [(0, 5), (1, 5), (5, 1), (0, 0)])
def test_order_means_nothing_for_less_than_two(shape: tuple[int, int]) -> None:
    assert measure_attention(torch.ones(shape), torch.ones(shape[1])) is None


def test_means_are_over_those_that_have_figures() -> None:
    one, other = AttentionMetrics(0.2, 0.4, 0.0), AttentionMetrics(0.6, 1.0, 0.5)
    assert mean_metrics([one, None, other]) == AttentionMetrics(
        pytest.approx(0.4), pytest.approx(0.7), pytest.approx(0.25)
    )
    assert mean_metrics([None]) is None
    assert mean_metrics([]) is None


def test_figures_read_as_a_line() -> None:
    assert str(AttentionMetrics(0.123, 1, 0)) == "diagonality 0.12, coverage 1.00, focus 0.00"
