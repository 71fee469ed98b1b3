"""Losses calculated by hand: cross entropy, CTC over all paths, guided attention, their sum."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.ctc_paths import BLANK, collapse
from torch import nn

from sorigeul.model.config import LASConfig
from sorigeul.model.ctc_alignment import ctc_spans
from sorigeul.model.las import LASOutput
from sorigeul.model.losses import GUIDE_WIDTH, joint_losses, speller_targets

# Two texts of the characters 0 and 1; 2 is the start mark, 3 the end mark, 4 padding and blank.
TOKENS = torch.tensor([[0, 1, 1], [1, 4, 4]])
TOKEN_LENGTHS = torch.tensor([3, 1])
# Where the targets of their characters and end marks are in the speller's probabilities.
TARGET_INDICES = [(0, 0, 0), (0, 1, 1), (0, 2, 1), (0, 3, 3), (1, 0, 1), (1, 1, 3)]


def small_config(ctc_weight: float = 0.25, guide_weight: float = 0.0) -> LASConfig:
    return LASConfig(
        hidden_size=2,
        conv_channels=1,
        n_mels=4,
        vocabulary_size=5,
        ctc_weight=ctc_weight,
        guide_weight=guide_weight,
    )


def random_output(*ctc_lengths: int) -> LASOutput:
    """Random scores of `TOKENS`, for three listener frames and six CTC frames."""
    generator = torch.Generator().manual_seed(13)
    batch = len(ctc_lengths)
    return LASOutput(
        torch.randn(batch, 4, 5, generator=generator).requires_grad_(),
        torch.rand(batch, 4, 3, generator=generator).softmax(2).requires_grad_(),
        torch.randn(batch, 6, 5, generator=generator).requires_grad_(),
        torch.tensor(ctc_lengths),
    )


# Speller


def test_targets_end_with_the_end_mark() -> None:
    config = small_config()
    assert speller_targets(config, TOKENS, TOKEN_LENGTHS).tolist() == [[0, 1, 1, 3], [1, 3, 4, 4]]
    assert speller_targets(config, TOKENS[:, :0], torch.tensor([0, 0])).tolist() == [[3], [3]]


def test_speller_loss_by_hand() -> None:
    output = random_output(6, 6)
    log_probabilities = output.logits.log_softmax(2)
    expected = -sum(log_probabilities[index] for index in TARGET_INDICES) / 6
    loss = joint_losses(small_config(), output, TOKENS, TOKEN_LENGTHS).speller
    torch.testing.assert_close(loss, expected)


def test_label_smoothing_by_hand() -> None:
    """A share of every target is spread over all characters (Szegedy et al. 2016, section 7)."""
    output = random_output(6, 6)
    log_probabilities = output.logits.log_softmax(2)
    smoothed = [
        0.9 * log_probabilities[index] + 0.1 * log_probabilities[index[:2]].mean()
        for index in TARGET_INDICES
    ]
    losses = joint_losses(small_config(), output, TOKENS, TOKEN_LENGTHS, label_smoothing=0.1)
    torch.testing.assert_close(losses.speller, -sum(smoothed) / 6)


# CTC


def test_ctc_loss_by_hand() -> None:
    """The sum over all paths of the valid frames whose text is the target."""
    output = random_output(5, 3)
    probabilities = output.ctc_logits.softmax(2).detach()
    expected = 0.0
    for row, (frames, size) in enumerate(zip((5, 3), TOKEN_LENGTHS.tolist(), strict=True)):
        text = TOKENS[row, :size].tolist()
        text_probability = sum(
            math.prod(float(probabilities[row, frame, unit]) for frame, unit in enumerate(path))
            for path in itertools.product(range(5), repeat=frames)
            if collapse(path) == text
        )
        expected -= math.log(text_probability)
    loss = joint_losses(small_config(), output, TOKENS, TOKEN_LENGTHS).ctc
    assert float(loss.detach()) == pytest.approx(expected / 6, rel=1e-4)


def test_an_utterance_too_short_for_its_text_adds_nothing_to_ctc() -> None:
    """Two equal characters need a blank between them: 0 1 1 needs four frames, not three."""
    config = small_config()
    output = random_output(3, 6)
    losses = joint_losses(config, output, TOKENS, TOKEN_LENGTHS)
    losses.total.backward()
    assert output.ctc_logits.grad is not None
    assert output.ctc_logits.grad.isfinite().all()
    assert not output.ctc_logits.grad[0].any()
    assert output.ctc_logits.grad[1].any()
    second = output._replace(
        logits=output.logits[1:],
        ctc_logits=output.ctc_logits[1:],
        ctc_lengths=output.ctc_lengths[1:],
    )
    ctc_of_second = joint_losses(config, second, TOKENS[1:], TOKEN_LENGTHS[1:]).ctc * 2
    torch.testing.assert_close(losses.ctc * 6, ctc_of_second)
    with_enough_frames = joint_losses(config, random_output(4, 6), TOKENS, TOKEN_LENGTHS).ctc
    assert with_enough_frames > losses.ctc


# Joint loss


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.9])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_total_is_the_weighted_sum_of_speller_and_ctc(weight: float, smoothing: float) -> None:
    output = random_output(6, 6)
    if not weight:
        output = output._replace(ctc_logits=None)
    losses = joint_losses(small_config(weight), output, TOKENS, TOKEN_LENGTHS, smoothing)
    torch.testing.assert_close(losses.total, (1 - weight) * losses.speller + weight * losses.ctc)
    assert (losses.ctc > 0) == (weight > 0)


def test_padding_does_not_change_the_losses() -> None:
    output = random_output(6, 5)
    padded_output = LASOutput(
        nn.functional.pad(output.logits, (0, 0, 0, 2), value=7.0),
        nn.functional.pad(output.alignments, (0, 0, 0, 2)),
        nn.functional.pad(output.ctc_logits, (0, 0, 0, 3), value=7.0),
        output.ctc_lengths,
    )
    padded_tokens = nn.functional.pad(TOKENS, (0, 2), value=BLANK)
    expected, losses = (
        joint_losses(small_config(), *output_and_tokens, TOKEN_LENGTHS, label_smoothing=0.1)
        for output_and_tokens in ((output, TOKENS), (padded_output, padded_tokens))
    )
    for name in ("total", "speller", "ctc"):
        torch.testing.assert_close(getattr(losses, name), getattr(expected, name))


def test_losses_of_the_rows_of_a_batch_add_up_to_those_of_the_batch() -> None:
    config = small_config(guide_weight=2.0)
    output = random_output(6, 5)
    losses = joint_losses(config, output, TOKENS, TOKEN_LENGTHS, label_smoothing=0.1)
    losses_by_row = [
        joint_losses(
            config,
            LASOutput(*(tensor[row : row + 1] for tensor in output[:4])),
            TOKENS[row : row + 1],
            TOKEN_LENGTHS[row : row + 1],
            label_smoothing=0.1,
            total_characters=6,
        )
        for row in (0, 1)
    ]
    for name in ("total", "speller", "ctc", "guide"):
        total = sum(getattr(row_losses, name) for row_losses in losses_by_row)
        torch.testing.assert_close(total, getattr(losses, name))
        assert getattr(losses, name).item() > 0


# Guided attention


@pytest.mark.parametrize(
    ("changes", "width"),
    [
        ({}, GUIDE_WIDTH),
        # Two CTC frames for each of the speller's again, but each a quarter as long.
        ({"listener": "hf:any", "time_reduction": 4}, 4 * GUIDE_WIDTH),
    ],
)
def test_guide_by_hand(changes: dict[str, Any], width: float) -> None:
    """Attention away from a character's position, weighted by CTC's certainty about the text."""
    output = random_output(6, 5)
    config = replace(small_config(guide_weight=2.0), **changes)
    losses = joint_losses(config, output, TOKENS, TOKEN_LENGTHS)
    spans = ctc_spans(output.ctc_logits, output.ctc_lengths, TOKENS, TOKEN_LENGTHS, BLANK)
    expected = 0.0
    for row, size in enumerate(TOKEN_LENGTHS.tolist()):
        alone = output._replace(
            logits=output.logits[row : row + 1],
            ctc_logits=output.ctc_logits[row : row + 1],
            ctc_lengths=output.ctc_lengths[row : row + 1],
        )
        tokens, token_lengths = TOKENS[row : row + 1], TOKEN_LENGTHS[row : row + 1]
        ctc = float(joint_losses(small_config(), alone, tokens, token_lengths).ctc.detach())
        certainty = math.exp(-((ctc * (size + 1) / size / 2.5) ** 4))
        for character in range(size):
            for frame in range(3):  # each covers two CTC frames
                distance = (2 * frame + 0.5 - float(spans.middle[row, character])) / width
                attention = float(output.alignments[row, character, frame].detach())
                expected += certainty * attention * (1 - math.exp(-(distance**2) / 2))
    assert float(losses.guide.detach()) == pytest.approx(expected / 6, rel=1e-4)
    total = 0.75 * losses.speller + 0.25 * losses.ctc + 2 * losses.guide
    torch.testing.assert_close(losses.total, total)


def test_the_guide_has_a_gradient_for_the_attention_but_not_for_ctc() -> None:
    output = random_output(6, 5)
    config = small_config(guide_weight=1.0)
    joint_losses(config, output, TOKENS, TOKEN_LENGTHS).guide.backward()
    assert output.ctc_logits.grad is None
    assert output.alignments.grad is not None
    assert output.alignments.grad[0, :3].any()
    assert not output.alignments.grad[0, 3:].any()  # the end mark has no position in the audio
    assert not output.alignments.grad[1, 1:].any()


def test_a_text_that_ctc_cannot_align_is_not_guided() -> None:
    output = random_output(3, 5)
    config = small_config(guide_weight=1.0)
    joint_losses(config, output, TOKENS, TOKEN_LENGTHS).guide.backward()
    assert output.alignments.grad is not None
    assert not output.alignments.grad[0].any()
    assert output.alignments.grad[1].any()
