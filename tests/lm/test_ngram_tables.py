"""Packed n-grams, compared with tuples."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sorigeul.lm.ngram_tables import NgramTable, Packing, with_line_starts


def test_packed_sequences_are_in_the_order_of_their_tokens() -> None:
    packing = Packing(9)
    sequences = list(itertools.product(range(9), repeat=3))
    packed = [packing.pack(sequence) for sequence in sequences]
    assert packed == sorted(packed)
    assert len(set(packed)) == len(sequences)


@pytest.mark.parametrize("size", [4, 5, 256, 257, 894, 2896, 65536])
def test_the_longest_sequence_fits_into_an_integer(size: int) -> None:
    packing = Packing(size)
    highest = packing.pack([size - 1] * packing.longest)
    assert highest <= np.iinfo(np.int64).max
    assert packing.mask(packing.longest) >= highest
    assert packing.bits * (packing.longest + 1) > 63


def test_windows_are_the_last_tokens_at_each_place() -> None:
    ids = np.random.default_rng(0).integers(0, 30, 50).astype(np.uint16)
    packing = Packing(30)
    windows = packing.windows(ids, 4)
    for end in range(len(ids)):
        assert windows[end] == packing.pack(ids[max(0, end - 3) : end + 1].tolist())
    assert packing.windows(ids[:2], 4).tolist() == windows[:2].tolist()


def test_every_line_gets_a_start() -> None:
    ids = np.array([1, 2, 9, 9, 3, 9], np.uint16)
    assert with_line_starts(ids, 8, 9).tolist() == [8, 1, 2, 9, 8, 9, 8, 3, 9]
    assert with_line_starts(ids[:-1], 8, 9).tolist() == [8, 1, 2, 9, 8, 9, 8, 3]
    assert with_line_starts(ids[:0], 8, 9).tolist() == [8]


def test_n_grams_are_found_by_context_and_by_token() -> None:
    generator = np.random.default_rng(1)
    contexts = np.unique(generator.integers(0, 10**6, 40))
    sizes = generator.integers(1, 90, len(contexts))
    continuations = [np.unique(generator.integers(0, 500, size)) for size in sizes]
    starts = np.cumsum([0, *map(len, continuations)])
    table = NgramTable(
        contexts=contexts,
        starts=starts.astype(np.uint32),
        backoffs=generator.random(len(contexts), np.float32),
        tokens=np.concatenate(continuations).astype(np.uint16),
        codes=generator.integers(0, 256, starts[-1]).astype(np.uint8),
        values=generator.random(256, np.float32),
    )
    expected = {}
    for place, context in enumerate(contexts.tolist()):
        ngrams = slice(starts[place], starts[place + 1])
        values = table.values[table.codes[ngrams]].astype(float)
        weights = values / values.sum() * (1 - table.backoffs[place])
        own_tokens = table.tokens[ngrams].tolist()
        expected |= {(context, token): w for token, w in zip(own_tokens, weights, strict=True)}
    asked = np.concatenate((generator.permutation(contexts), [-1, 10**7], contexts + 1))
    rows, places = table.find(asked)
    assert rows.tolist() == [row for row, context in enumerate(asked) if context in set(contexts)]
    assert contexts[places].tolist() == asked[rows].tolist()

    lengths, tokens, weights = table.continuations(places)
    owners = np.repeat(contexts[places], lengths).tolist()
    found = dict(zip(zip(owners, tokens.tolist(), strict=True), weights, strict=True))
    assert found == pytest.approx(expected, rel=1e-5)

    pairs = [(place, token) for place in range(len(contexts)) for token in range(500)]
    some_places, some_tokens = np.array(pairs).T
    of_tokens = table.weights_of(some_places, some_tokens)
    for (place, token), weight in zip(pairs, of_tokens, strict=True):
        assert weight == found.get((int(contexts[place]), token), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": np.array([1, 9], np.uint8)}, "do not exist"),
        ({"codes": np.array([0, 1], np.uint8)}, "do not exist"),
        ({"starts": np.array([1, 0, 2], np.uint32)}, "not in order"),
        ({"contexts": np.array([5, 3], np.int64)}, "not in order"),
        ({"backoffs": np.array([0.5, 1.5], np.float32)}, "no probabilities"),
        ({"backoffs": np.array([0.5, np.nan], np.float32)}, "no probabilities"),
        ({"values": np.zeros(1, np.float32)}, "not above 0"),
        ({"tokens": np.array([1, 2], np.float32)}, "tokens are of type float32"),
    ],
)
def test_a_table_of_a_stranger_is_checked(change: dict[str, Any], message: str) -> None:
    table = NgramTable(
        contexts=np.array([3, 5], np.int64),
        starts=np.array([0, 1, 2], np.uint32),
        backoffs=np.array([0.5, 0.5], np.float32),
        tokens=np.array([1, 2], np.uint8),
        codes=np.zeros(2, np.uint8),
        values=np.ones(1, np.float32),
    )
    table.check(9)
    with pytest.raises(ValueError, match=message):
        replace(table, **change).check(9)


def test_arrays_of_different_lengths_are_refused() -> None:
    def table(*starts: int) -> NgramTable:
        one, two = np.ones(1, np.float32), np.zeros(2, np.uint8)
        bounds = np.array(starts, np.uint32)
        return NgramTable(np.zeros(1, np.int64), bounds, one, two, two, one)

    assert len(table(0, 2).tokens) == 2
    for starts in ((0, 1), (0, 2, 2), (0, 3)):
        with pytest.raises(ValueError, match="same length"):
            table(*starts)
