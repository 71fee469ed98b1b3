"""The CTC alignment is the best of all paths; texts that do not fit are not aligned."""

import itertools

import pytest
import torch
from helpers.ctc_paths import BLANK, collapse

from sorigeul.model.ctc_alignment import ctc_align, ctc_spans


@pytest.mark.parametrize("seed", range(8))
def test_the_alignment_is_the_best_of_all_paths(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(3, 6, 5, generator=generator)
    tokens = torch.tensor([[0, 1, 1], [1, 0, BLANK], [0, BLANK, BLANK]])
    token_lengths, lengths = torch.tensor([3, 2, 1]), torch.tensor([6, 5, 3])
    positions, aligned = ctc_align(logits, lengths, tokens, token_lengths, BLANK)
    spans = ctc_spans(logits, lengths, tokens, token_lengths, BLANK)
    assert torch.equal(spans.aligned, aligned)
    log_probabilities = logits.log_softmax(2)
    for row, (frames, size) in enumerate(
        zip(lengths.tolist(), token_lengths.tolist(), strict=True)
    ):
        text = tokens[row, :size].tolist()
        all_paths = itertools.product((0, 1, BLANK), repeat=frames)
        best_path = max(
            (path for path in all_paths if collapse(path) == text),
            key=lambda path: sum(
                float(log_probabilities[row, frame, unit]) for frame, unit in enumerate(path)
            ),
        )
        runs = itertools.groupby(enumerate(best_path), key=lambda numbered: numbered[1])
        frames_by_character = [[frame for frame, _ in run] for unit, run in runs if unit != BLANK]
        means = [sum(numbers) / len(numbers) for numbers in frames_by_character]
        assert positions[row, :size].tolist() == pytest.approx(means)
        assert aligned[row].tolist() == [True] * size + [False] * (3 - size)
        assert spans.first[row, :size].tolist() == [numbers[0] for numbers in frames_by_character]
        assert spans.last[row, :size].tolist() == [numbers[-1] for numbers in frames_by_character]
        assert spans.probability[row, :size].tolist() == pytest.approx(
            [
                float(log_probabilities[row, numbers, unit].mean().exp())
                for unit, numbers in zip(text, frames_by_character, strict=True)
            ]
        )


def test_a_text_that_needs_more_frames_is_not_aligned() -> None:
    """0 1 1 needs a blank between the equal characters, so four frames."""
    logits = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(13))
    tokens, token_lengths = torch.tensor([[0, 1, 1], [0, 1, 1]]), torch.tensor([3, 3])
    _, aligned = ctc_align(logits, torch.tensor([3, 4]), tokens, token_lengths, BLANK)
    assert aligned.tolist() == [[False] * 3, [True] * 3]


def test_an_empty_text_is_not_aligned() -> None:
    logits, lengths = torch.randn(1, 4, 5), torch.tensor([4])
    _, aligned = ctc_align(logits, lengths, torch.tensor([[BLANK]]), torch.tensor([0]), BLANK)
    assert not aligned.any()
