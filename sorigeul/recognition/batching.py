"""Batches of recordings of similar length, and how several processes share them."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random

from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.segments import SpeechSegment

_MIN_SECONDS = 1.0  # shorter recordings count as this long, so that no batch has thousands of them

Batch = list[int]
"""recordings that are recognised together: their positions in the list of all recordings"""


def group_by_seconds(seconds: Sequence[float], max_seconds: float) -> Iterator[slice]:
    """Group recordings of these lengths, in their order, into batches of at most `max_seconds`.

    Padding counts: each recording counts as long as the longest of its batch. A recording longer
    than `max_seconds` is a batch of its own.
    """
    first, longest = 0, 0.0
    for position, length in enumerate(seconds):
        longest = max(longest, length)
        if position > first and longest * (position + 1 - first) > max_seconds:
            yield slice(first, position)
            first, longest = position, length
    if seconds:
        yield slice(first, len(seconds))


def segments_in_batches(
    segments: Iterable[SpeechSegment], max_seconds: float
) -> Iterator[list[SpeechSegment]]:
    """Successive segments in such batches, as soon as one is full.

    So a recording of any length is never in memory as a whole.
    """
    batch: list[SpeechSegment] = []
    longest = 0.0
    for segment in segments:
        seconds = len(segment.samples) / SAMPLE_RATE
        if batch and max(longest, seconds) * (len(batch) + 1) > max_seconds:
            yield batch
            batch, longest = [], 0.0
        batch.append(segment)
        longest = max(longest, seconds)
    if batch:
        yield batch


def length_batches(seconds: Sequence[float], batch_seconds: float) -> list[Batch]:
    """All recordings of these lengths in batches of similar length, the longest first."""
    order = sorted(range(len(seconds)), key=lambda position: -seconds[position])
    counted_seconds = [max(seconds[position], _MIN_SECONDS) for position in order]
    return [order[group] for group in group_by_seconds(counted_seconds, batch_seconds)]


def assign_batches(
    batches: Sequence[Batch], seconds: Sequence[float], processes: int
) -> list[list[Batch]]:
    """The batches of each process, so that all processes have about as many seconds of audio.

    `batches` are those of `length_batches` for recordings of these lengths. Each process begins
    with its longest batch, so that too little memory shows at once. The order of the others is
    random, so that the remaining time can be estimated.
    """
    loads = [0.0] * processes
    assigned: list[list[Batch]] = [[] for _ in range(processes)]
    for batch in batches:  # the longest first: the short ones at the end even out the differences
        least_loaded = loads.index(min(loads))
        loads[least_loaded] += sum(seconds[position] for position in batch)
        assigned[least_loaded].append(batch)
    for own_batches in assigned:
        rest = own_batches[1:]
        Random(0).shuffle(rest)
        own_batches[1:] = rest
    return assigned
