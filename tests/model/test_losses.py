"""Losses by hand: the speller's, CTC's over every path, the mix, the guide of the attention."""

import itertools
import math

import pytest
import torch
from torch import nn

from sorigeul.model.config import LASConfig
from sorigeul.model.ctc_alignment import ctc_align
from sorigeul.model.las import LASOutput, ListenAttendSpell
from sorigeul.model.losses import GUIDE_WIDTH, joint_losses, speller_targets

BLANK = 4  # and padding; after the characters 0 and 1, the start mark 2 and the end mark 3


def small(ctc_weight: float = 0.25, guide_weight: float = 0.0) -> ListenAttendSpell:
    return ListenAttendSpell(
        LASConfig(
            hidden_size=2,
            conv_channels=1,
            n_mels=4,
            vocabulary_size=5,
            ctc_weight=ctc_weight,
            guide_weight=guide_weight,
        )
    )


def scores(places: int, heard: int, *ctc_lengths: int) -> LASOutput:
    """Scores of chance for as many utterances as there are `ctc_lengths`."""
    generator = torch.Generator().manual_seed(13)
    batch = len(ctc_lengths)
    return LASOutput(
        torch.randn(batch, places, 5, generator=generator).requires_grad_(),
        torch.rand(batch, places, 3, generator=generator).softmax(2).requires_grad_(),
        torch.randn(batch, heard, 5, generator=generator).requires_grad_(),
        torch.tensor(ctc_lengths),
    )


TEXT = torch.tensor([[0, 1, 1], [1, 4, 4]])
SIZES = torch.tensor([3, 1])


def test_targets_end_with_the_end_mark() -> None:
    assert speller_targets(small().config, TEXT, SIZES).tolist() == [[0, 1, 1, 3], [1, 3, 4, 4]]
    assert speller_targets(small().config, TEXT[:, :0], torch.tensor([0, 0])).tolist() == [[3], [3]]


def test_speller_loss_by_hand() -> None:
    spelled = scores(4, 6, 6, 6)
    chances = spelled.logits.log_softmax(2)
    wanted = [(0, 0, 0), (0, 1, 1), (0, 2, 1), (0, 3, 3), (1, 0, 1), (1, 1, 3)]
    by_hand = -sum(chances[place] for place in wanted) / 6
    loss = joint_losses(small().config, spelled, TEXT, SIZES).speller
    torch.testing.assert_close(loss, by_hand)


def test_label_smoothing_by_hand() -> None:
    """A share of every target goes to all characters alike (Szegedy et al. 2016, section 7)."""
    spelled = scores(4, 6, 6, 6)
    chances = spelled.logits.log_softmax(2)
    wanted = [(0, 0, 0), (0, 1, 1), (0, 2, 1), (0, 3, 3), (1, 0, 1), (1, 1, 3)]
    by_hand = -sum(0.9 * chances[p] + 0.1 * chances[p[:2]].mean() for p in wanted) / 6
    loss = joint_losses(small().config, spelled, TEXT, SIZES, label_smoothing=0.1).speller
    torch.testing.assert_close(loss, by_hand)


def read(path: tuple[int, ...]) -> list[int]:
    """What a CTC path says: repeats merged, then blanks removed."""
    return [unit for unit, _ in itertools.groupby(path) if unit != BLANK]


def test_ctc_loss_by_hand() -> None:
    """The sum over every path of the valid frames that reads as the text."""
    spelled = scores(4, 6, 5, 3)
    chances = spelled.ctc_logits.softmax(2).detach()
    by_hand = 0.0
    for row, (frames, size) in enumerate(zip((5, 3), SIZES.tolist(), strict=True)):
        text = TEXT[row, :size].tolist()
        total = sum(
            math.prod(float(chances[row, frame, unit]) for frame, unit in enumerate(path))
            for path in itertools.product(range(5), repeat=frames)
            if read(path) == text
        )
        by_hand -= math.log(total)
    loss = joint_losses(small().config, spelled, TEXT, SIZES).ctc
    assert float(loss.detach()) == pytest.approx(by_hand / 6, rel=1e-4)


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.9])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_total_mixes_the_two(weight: float, smoothing: float) -> None:
    spelled = scores(4, 6, 6, 6)
    if not weight:
        spelled = spelled._replace(ctc_logits=None)
    losses = joint_losses(small(weight).config, spelled, TEXT, SIZES, smoothing)
    torch.testing.assert_close(losses.total, (1 - weight) * losses.speller + weight * losses.ctc)
    assert (losses.ctc > 0) == (weight > 0)


def test_an_utterance_too_short_for_its_text_adds_nothing_to_ctc() -> None:
    """Two equal characters need a blank between them: 0 1 1 needs four frames, not three."""
    model = small()
    both = scores(4, 6, 3, 6)
    losses = joint_losses(model.config, both, TEXT, SIZES)
    losses.total.backward()
    assert both.ctc_logits.grad is not None
    assert both.ctc_logits.grad.isfinite().all()
    assert not both.ctc_logits.grad[0].any()
    assert both.ctc_logits.grad[1].any()
    alone = both._replace(
        logits=both.logits[1:], ctc_logits=both.ctc_logits[1:], ctc_lengths=both.ctc_lengths[1:]
    )
    feasible = joint_losses(model.config, alone, TEXT[1:], SIZES[1:]).ctc * 2
    torch.testing.assert_close(losses.ctc * 6, feasible)
    enough = joint_losses(model.config, scores(4, 6, 4, 6), TEXT, SIZES).ctc
    assert enough > losses.ctc


def test_padding_adds_nothing_to_the_losses() -> None:
    spelled = scores(4, 6, 6, 5)
    longer = LASOutput(
        nn.functional.pad(spelled.logits, (0, 0, 0, 2), value=7.0),
        nn.functional.pad(spelled.alignments, (0, 0, 0, 2)),
        nn.functional.pad(spelled.ctc_logits, (0, 0, 0, 3), value=7.0),
        spelled.ctc_lengths,
    )
    padded = nn.functional.pad(TEXT, (0, 2), value=4)
    expected, found = (
        joint_losses(small().config, *each, SIZES, label_smoothing=0.1)
        for each in ((spelled, TEXT), (longer, padded))
    )
    for name in ("total", "speller", "ctc"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))


def test_the_losses_of_the_parts_of_a_batch_add_up_to_its_own() -> None:
    model = small(guide_weight=2.0)
    both = scores(4, 6, 6, 5)
    whole = joint_losses(model.config, both, TEXT, SIZES, label_smoothing=0.1)
    parts = [
        joint_losses(
            model.config,
            LASOutput(*(part[row : row + 1] for part in both)),
            TEXT[row : row + 1],
            SIZES[row : row + 1],
            label_smoothing=0.1,
            total_characters=6,
        )
        for row in (0, 1)
    ]
    for name in ("total", "speller", "ctc", "guide"):
        together = sum(getattr(part, name) for part in parts)
        torch.testing.assert_close(together, getattr(whole, name))
        assert getattr(whole, name).item() > 0


# Where CTC hears each character, and the attention it guides


@pytest.mark.parametrize("seed", range(8))
def test_the_best_path_is_the_best_of_all_paths(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(3, 6, 5, generator=generator)
    text, sizes = torch.tensor([[0, 1, 1], [1, 0, 4], [0, 4, 4]]), torch.tensor([3, 2, 1])
    lengths = torch.tensor([6, 5, 3])
    places, known = ctc_align(logits, lengths, text, sizes, BLANK)
    chances = logits.log_softmax(2)
    for row, (frames, size) in enumerate(zip(lengths.tolist(), sizes.tolist(), strict=True)):
        best = max(
            (
                path
                for path in itertools.product((0, 1, BLANK), repeat=frames)
                if read(path) == text[row, :size].tolist()
            ),
            key=lambda path: sum(float(chances[row, t, unit]) for t, unit in enumerate(path)),
        )
        runs = itertools.groupby(enumerate(best), key=lambda frame: frame[1])
        times = [[frame for frame, _ in run] for unit, run in runs if unit != BLANK]
        middles = [sum(run) / len(run) for run in times]
        assert places[row, :size].tolist() == pytest.approx(middles)
        assert known[row].tolist() == [True] * size + [False] * (3 - size)


def test_a_text_too_long_for_its_frames_lies_nowhere() -> None:
    logits = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(13))
    _, known = ctc_align(logits, torch.tensor([3, 4]), TEXT[:1].expand(2, -1), SIZES[[0, 0]], BLANK)
    assert known.tolist() == [[False] * 3, [True] * 3]


def test_an_empty_text_lies_nowhere() -> None:
    _, known = ctc_align(
        torch.randn(1, 4, 5), torch.tensor([4]), torch.tensor([[BLANK]]), torch.tensor([0]), BLANK
    )
    assert not known.any()


def test_guide_by_hand() -> None:
    """The attention off each character's place, weighed by how sure CTC is of its text."""
    model = small(guide_weight=2.0)
    spelled = scores(4, 6, 6, 5)
    losses = joint_losses(model.config, spelled, TEXT, SIZES)
    places, _ = ctc_align(spelled.ctc_logits, spelled.ctc_lengths, TEXT, SIZES, BLANK)
    by_hand = 0.0
    for row, size in enumerate(SIZES.tolist()):
        alone = spelled._replace(
            logits=spelled.logits[row : row + 1],
            ctc_logits=spelled.ctc_logits[row : row + 1],
            ctc_lengths=spelled.ctc_lengths[row : row + 1],
        )
        one = joint_losses(small().config, alone, TEXT[row : row + 1], SIZES[row : row + 1]).ctc
        sure = math.exp(-((float(one.detach()) * (size + 1) / size / 2.5) ** 4))
        for place in range(size):
            for frame in range(3):  # each covers two of CTC's
                distance = (2 * frame + 0.5 - float(places[row, place])) / GUIDE_WIDTH
                weight = float(spelled.alignments[row, place, frame].detach())
                by_hand += sure * weight * (1 - math.exp(-(distance**2) / 2))
    assert float(losses.guide.detach()) == pytest.approx(by_hand / 6, rel=1e-4)
    mixed = 0.75 * losses.speller + 0.25 * losses.ctc + 2 * losses.guide
    torch.testing.assert_close(losses.total, mixed)


def test_the_guide_moves_the_attention_and_not_ctc() -> None:
    spelled = scores(4, 6, 6, 5)
    joint_losses(small(guide_weight=1.0).config, spelled, TEXT, SIZES).guide.backward()
    assert spelled.ctc_logits.grad is None
    assert spelled.alignments.grad is not None
    assert spelled.alignments.grad[0, :3].any()
    assert not spelled.alignments.grad[0, 3:].any()  # the end mark is nowhere in the sound
    assert not spelled.alignments.grad[1, 1:].any()


def test_a_text_that_ctc_cannot_align_guides_nothing() -> None:
    spelled = scores(4, 6, 3, 5)
    joint_losses(small(guide_weight=1.0).config, spelled, TEXT, SIZES).guide.backward()
    assert spelled.alignments.grad is not None
    assert not spelled.alignments.grad[0].any()
    assert spelled.alignments.grad[1].any()
