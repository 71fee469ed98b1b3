"""Batches of lines: each character is a target once, line starts, long lines, order, resuming."""

from collections import Counter

import numpy as np
import pytest
import torch

from sorigeul.text.vocabulary import SPECIALS, Vocabulary
from sorigeul.training.text_batches import TextBatch, TextBatches

VOCABULARY = Vocabulary((*map(chr, range(0xAC00, 0xAC00 + 300)), *SPECIALS))
START, END, PAD = VOCABULARY.sos_id, VOCABULARY.eos_id, VOCABULARY.pad_id


def text_of(lines: int, longest: int = 60) -> np.ndarray:
    """Random lines, a few of their characters unknown."""
    random = np.random.default_rng(0)
    ids = []
    for _ in range(lines):
        line = random.integers(0, 300, random.integers(1, longest))
        ids += [*np.where(random.random(len(line)) < 0.05, PAD, line), END]
    return np.array(ids, np.uint16)


TEXT = text_of(500)


def batches_of(text: np.ndarray, batch_characters: int = 400, max_length: int = 25) -> TextBatches:
    return TextBatches(text, VOCABULARY, batch_characters, max_length)


def pairs(batches: list[TextBatch]) -> Counter[tuple[int, int]]:
    """How often each character is the target after each other one."""
    return Counter(
        tuple(pair)
        for batch in batches
        for pair in torch.stack([batch.inputs, batch.targets], -1).flatten(0, 1).tolist()
        if pair[1] != PAD
    )


def test_every_known_character_is_a_target_once_after_the_one_before_it() -> None:
    before = np.concatenate([[END], TEXT[:-1]])
    before = np.where(before == END, START, before)
    expected = Counter(
        pair for pair in zip(before.tolist(), TEXT.tolist(), strict=True) if pair[1] != PAD
    )
    batches = batches_of(TEXT)
    assert pairs(list(batches.in_order())) == expected
    assert pairs(list(batches.shuffled(seed=0, epoch=0))) == expected
    assert batches.characters == len(TEXT)
    assert sum(batch.characters for batch in batches.shuffled(0, 0)) == len(TEXT)


def test_batches_keep_their_size_and_long_lines_are_cut_evenly() -> None:
    for batch in batches_of(TEXT).shuffled(0, 0):
        assert batch.inputs.shape == batch.targets.shape
        assert batch.targets.numel() <= 400
        assert batch.targets.shape[1] <= 25
    (batch,) = batches_of(np.array([*range(50), END], np.uint16)).in_order()
    assert (batch.targets != PAD).sum(1).tolist() == [17, 17, 17]
    assert sorted(batch.inputs[:, 0].tolist()) == [16, 33, START]


def test_little_of_a_batch_is_padding() -> None:
    batches = list(batches_of(text_of(5000), 1000, 60).shuffled(0, 0))
    padded = sum(batch.targets.numel() for batch in batches)
    assert sum(batch.characters for batch in batches) > 0.95 * padded


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        return [b.targets.flatten().tolist() for b in batches_of(TEXT).shuffled(seed, epoch)]

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


@pytest.mark.parametrize("skip", [0, 1, 17, 10_000])
def test_an_epoch_goes_on_after_the_batches_that_were_read(skip: int) -> None:
    batches = batches_of(TEXT)
    whole, rest = list(batches.shuffled(3, 1)), list(batches.shuffled(3, 1, skip))
    assert len(rest) == max(0, len(whole) - skip)
    for one, other in zip(whole[skip:], rest, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
