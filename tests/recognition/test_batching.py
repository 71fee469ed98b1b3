"""Batches of similar length, and an even division of them among processes."""

import numpy as np
import pytest

from sorigeul.recognition.batching import (
    assign_batches,
    group_by_seconds,
    length_batches,
    segments_in_batches,
)
from sorigeul.sound.segments import SpeechSegment


@pytest.mark.parametrize(
    ("seconds", "max_seconds", "sizes"),
    [
        ([], 10, []),
        ([3, 3, 3, 3], 9, [3, 1]),
        ([5, 4, 3, 3], 10, [2, 2]),
        ([1, 1, 1, 4], 8, [3, 1]),  # four times the longest would be 16
        ([20, 1, 1], 8, [1, 2]),
        ([1, 20, 1], 8, [1, 1, 1]),
    ],
)
def test_padding_counts_in_a_group(
    seconds: list[float], max_seconds: float, sizes: list[int]
) -> None:
    positions = list(range(len(seconds)))
    groups = [positions[group] for group in group_by_seconds(seconds, max_seconds)]
    assert [len(group) for group in groups] == sizes
    assert [position for group in groups for position in group] == positions
    segments = [
        SpeechSegment(np.zeros(second * 16_000, np.float32), position, position + 1)
        for position, second in enumerate(seconds)
    ]
    batches = list(segments_in_batches(iter(segments), max_seconds))
    assert [[segment.start for segment in batch] for batch in batches] == groups


def test_recordings_of_similar_length_are_batched_the_longest_first() -> None:
    batches = length_batches([2, 9, 3, 30, 0, 9, 2, 0.1], 18)
    assert batches == [[3], [1, 5], [2, 0, 6, 7, 4]]


def test_a_batch_has_a_limited_number_of_recordings_of_unknown_length() -> None:
    assert len(length_batches([0.0] * 100, 10)) == 10


@pytest.mark.parametrize("processes", [1, 2, 5, 64])
def test_each_batch_is_assigned_once_and_the_processes_have_equal_work(processes: int) -> None:
    seconds = np.random.default_rng(0).lognormal(1, 1, 1000).tolist()
    batches = length_batches(seconds, 60)
    assigned = assign_batches(batches, seconds, processes)
    assert len(assigned) == processes
    assert sorted(batch for own_batches in assigned for batch in own_batches) == sorted(batches)
    loads = [
        sum(seconds[position] for batch in own_batches for position in batch)
        for own_batches in assigned
    ]
    largest_batch = max(sum(seconds[position] for position in batch) for batch in batches)
    assert max(loads) - min(loads) <= largest_batch


@pytest.mark.parametrize("processes", [1, 2, 5, 64])
def test_each_process_begins_with_its_longest_batch(processes: int) -> None:
    seconds = np.random.default_rng(0).lognormal(1, 1, 1000).tolist()
    assigned = assign_batches(length_batches(seconds, 60), seconds, processes)
    first = [
        max(seconds[position] for position in own_batches[0])
        for own_batches in assigned
        if own_batches
    ]
    assert max(first) == max(seconds)
    for own_batches in assigned:
        longest = [seconds[batch[0]] for batch in own_batches]
        assert longest[:1] == [max(longest)][: len(longest)]


def test_the_other_batches_are_not_ordered_by_length() -> None:
    """So the speed of the first half predicts the time that the second half takes."""
    seconds = np.random.default_rng(0).lognormal(1, 1, 1000).tolist()
    (assigned,) = assign_batches(length_batches(seconds, 60), seconds, 1)
    first_half, second_half = np.array_split([seconds[batch[0]] for batch in assigned[1:]], 2)
    assert 0.7 < np.mean(first_half) / np.mean(second_half) < 1.4
