"""Where words begin and end, from where CTC or the attention places their characters.

CTC says in which order characters come and about when, not how long they last: mostly it fires in
one frame of 80 ms, and says nothing in the rest. So a boundary between two words lies in the middle
between their characters, unless there is a pause: then it is where the sound stops or begins.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from sorigeul.recognition.character_times import Spans
from sorigeul.sound.audio import SAMPLE_RATE, Samples

Flags = np.ndarray[Any, np.dtype[np.bool_]]

_HOP = 160  # samples, for each of which the sound is loud or quiet
_PEAK, _FLOOR = 95, 5  # percentiles of the level, of speech and of the noise
_SPEECH_RANGE = 30.0  # dB below the peak: what is quieter is no speech
_ABOVE_FLOOR = 4.0  # dB above the noise; with more, soft speech in noise counts as a pause
_BELOW_PEAK = 10.0  # dB below the peak: louder is speech, however loud the noise
_MIN_PAUSE = 10  # hops; the closure of a plosive is shorter
_LATENESS = 0.02  # seconds by which characters come too late, between two trained models
_REACH = (
    0.5  # seconds around its characters that a word may reach; what is further is unread speech
)
_CORE = 0.1  # share of a word, on either side of its middle, that no boundary enters


def word_ranges(units: Sequence[str]) -> list[tuple[int, int]]:
    """First character of each word, and one after its last: words are divided by spaces."""
    ranges, first = [], 0
    for is_space, group in groupby(units, str.isspace):
        end = first + len(list(group))
        if not is_space:
            ranges.append((first, end))
        first = end
    return ranges


def settle_boundaries(spans: Spans, units: Sequence[str], samples: Samples) -> Spans:
    """Widen the spans of characters to the sound they stand for.

    Parameters
    ----------
    spans : start and end of each character in seconds (U, 2), in order
    units : the characters (U)
    samples : the sound (N,) at 16 kHz

    Returns
    -------
    spans (U, 2) in order, within the sound. Those of a word's characters follow each other without
    gaps; a space takes what is left between two words, if anything
    """
    words = word_ranges(units)
    seconds = len(samples) / SAMPLE_RATE
    if not words:
        return spans.clip(0, seconds)
    settled = spans.copy()
    for (first, end), (start, stop) in zip(words, word_spans(spans, words, samples), strict=True):
        inner = ((spans[first : end - 1, 1] + spans[first + 1 : end, 0]) / 2).clip(start, stop)
        settled[first:end, 0] = np.append(start, inner)
        settled[first:end, 1] = np.append(inner, stop)
    is_space = np.array([unit.isspace() for unit in units])
    before = np.maximum.accumulate(np.where(is_space, 0.0, settled[:, 1]))
    after = np.minimum.accumulate(np.where(is_space, seconds, settled[:, 0])[::-1])[::-1]
    settled[is_space] = np.stack((before, after), axis=1)[is_space]
    return settled


def word_spans(spans: Spans, words: Sequence[tuple[int, int]], samples: Samples) -> Spans:
    """Start and end of each word (W, 2): of its sound, up to a pause or to the next word.

    Parameters
    ----------
    spans : start and end of each character, or other unit, in seconds (U, 2), in order
    words : first character of each of the W words, and one after its last
    samples : the sound (N,) at 16 kHz
    """
    seconds = len(samples) / SAMPLE_RATE
    starts = np.array([spans[first, 0] for first, _ in words])
    ends = np.array([spans[end - 1, 1] for _, end in words])
    loud = _is_loud(samples, starts[0], ends[-1])
    quiet_runs = _quiet_runs(loud) * (_HOP / SAMPLE_RATE)
    last_characters = np.array([spans[end - 1, 0] for _, end in words])
    first_characters = np.array([spans[first, 1] for first, _ in words])
    centres, margins = (starts + ends) / 2, _CORE * (ends - starts)
    # There is a gap before each word, and one after the last. It opens where the word before it
    # ends and closes where the next one starts.
    opens, closes = np.append(0.0, ends), np.append(starts, seconds)
    middles = (opens + closes) / 2 - _LATENESS
    middles[0], middles[-1] = starts[0] - _LATENESS, ends[-1]
    earliest = np.append(0.0, centres + margins)
    latest = np.append(centres - margins, seconds)
    search_from, search_to = np.append(0.0, last_characters), np.append(first_characters, seconds)
    for gap in range(len(words) + 1):
        pause = _longest_pause(quiet_runs, search_from[gap], search_to[gap])
        edges = np.repeat(middles[gap], 2) if pause is None else pause
        edges = edges.clip(earliest[gap], latest[gap])
        opens[gap], closes[gap] = (
            min(edges[0], opens[gap] + _REACH),
            max(edges[1], closes[gap] - _REACH),
        )
    return np.stack((closes[:-1], opens[1:]), axis=1)


def _is_loud(samples: Samples, start: float, end: float) -> Flags:
    """Whether each hop of the sound is loud enough to be speech (H,).

    The noise is measured between the first and the last character, in the closures and pauses of
    the speech. Around it may be digital silence, and then the noise of the room before a word.

    Parameters
    ----------
    samples : (N,) at 16 kHz
    start, end : seconds between which the text is spoken
    """
    hops = max(-(-len(samples) // _HOP), 1)
    padded = np.pad(samples, (0, hops * _HOP - len(samples))).reshape(hops, _HOP)
    levels = 10 * np.log10(np.mean(padded.astype(np.float64) ** 2, axis=1) + 1e-10)
    first = min(int(start * SAMPLE_RATE / _HOP), hops - 1)
    peak = np.percentile(levels, _PEAK)
    floor = np.percentile(levels[first : max(int(end * SAMPLE_RATE / _HOP), first + 1)], _FLOOR)
    above_noise = min(floor + _ABOVE_FLOOR, peak - _BELOW_PEAK)
    return np.asarray(levels > max(peak - _SPEECH_RANGE, above_noise))


def _quiet_runs(loud: Flags) -> Spans:
    """First hop of each stretch without loud ones, and one after its last (R, 2)."""
    changes = np.flatnonzero(np.diff(np.concatenate(([True], loud, [True]))))
    runs = changes.reshape(-1, 2).astype(np.float64)
    return runs[runs[:, 1] - runs[:, 0] >= _MIN_PAUSE]


def _longest_pause(runs: Spans, first: float, last: float) -> Spans | None:
    """The longest of the runs (R, 2) that touch the time from `first` to `last`, if any does."""
    touching = runs[(runs[:, 0] < last) & (runs[:, 1] > first)]
    if not len(touching):
        return None
    longest: Spans = touching[(touching[:, 1] - touching[:, 0]).argmax()]
    return longest
