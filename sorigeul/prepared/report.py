"""The statistics of a prepared corpus as a page: one HTML file that needs nothing beside it."""

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sorigeul.base.files import write_text
from sorigeul.base.html_page import render_page
from sorigeul.prepared.statistics import SCRIPTS, CorpusStatistics, SplitStatistics, table_rows
from sorigeul.text import jamo

_BARS = 16  # of a histogram
_SPEAKERS, _CHARACTERS, _SENTENCES, _NAMES = 20, 20, 20, 200
_DIGITS = 3
_NO_FINAL = "–"


def write_report(path: Path, name: str, statistics: CorpusStatistics) -> None:
    """Write the page of a corpus of this name; the same statistics give the same bytes."""
    write_text(path, render_page("sorigeul.prepared", contents(name, statistics)))


def contents(name: str, statistics: CorpusStatistics) -> dict[str, Any]:
    """Everything that the page shows, by name."""
    splits = list(statistics.splits.values())
    seconds = sum(one.counts.seconds for one in splits)
    said, leaks = statistics.overlap
    characters = statistics.characters
    speakers = sorted(statistics.seconds_of.items(), key=lambda one: (-one[1], one[0]))
    once = sorted(one for one, times in characters.items() if times == 1)
    return {
        "version": version("sorigeul"),
        "name": name,
        "overlap": said,
        "leaks": leaks,
        "utterances": sum(one.counts.utterances for one in splits),
        "seconds": round(seconds, _DIGITS),
        "speakers": len(statistics.seconds_of),
        "characters": characters.total(),
        "different": len(characters),
        "listened": statistics.listened,
        "table": table_rows(statistics),
        "histograms": _histograms(splits),
        "longest_speakers": [
            {"name": speaker, "minutes": round(own / 60, _DIGITS)}
            for speaker, own in speakers[:_SPEAKERS]
        ],
        "frequent": [
            {"name": one, "share": _percent(times, characters.total())}
            for one, times in characters.most_common(_CHARACTERS + 1)
            if one != " "
        ],
        "jamo": jamo_shares(characters),
        "once": _counted(once),
        "scripts": [
            {
                "name": script,
                "utterances": sum(one.scripts[script] for one in splits),
                "examples": statistics.examples[script],
            }
            for script in SCRIPTS
            if script in statistics.examples
        ],
        "repeated": [
            {"text": text, "times": dict(times)}
            for text, times in statistics.most_repeated(_SENTENCES)
        ],
        "clipped": _counted(statistics.clipped),
        "unreadable": _counted(statistics.unreadable),
    }


def _counted(names: Sequence[str]) -> dict[str, Any]:
    """How many there are, and as many of them as a page shows."""
    return {"count": len(names), "names": names[:_NAMES]}


def _histograms(splits: Sequence[SplitStatistics]) -> dict[str, list[list[float]]]:
    """Of each measure, bars of (low, high, how many), of all splits together."""
    measures = [measure for one in splits for measure in one.measures]
    values: dict[str, Sequence[float]] = {
        "seconds": [value for one in splits for value in one.durations],
        "rate": [value for one in splits for value in one.rates],
        "length": [value for one in splits for value in one.lengths],
        "level": [one.level for one in measures],
        "silence": [one.silence for one in measures],
        "signal_to_noise": [one.signal_to_noise for one in measures],
    }
    return {name: histogram(own) for name, own in values.items() if len(own)}


def histogram(values: Sequence[float]) -> list[list[float]]:
    """Bars of (low, high, how many) between the hundredths at both ends, which the last ones hold.

    Their width is a round number.
    """
    low, high = np.percentile(values, (1, 99))
    rough = max(high - low, 1e-3) / _BARS
    power = 10 ** np.floor(np.log10(rough))
    width = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    edges = np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
    edges = edges if len(edges) > 1 else np.array([edges[0], edges[0] + width])
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(places, minlength=len(edges) - 1)
    return [
        [round(float(edge), _DIGITS), round(float(edge + width), _DIGITS), int(count)]
        for edge, count in zip(edges, counts, strict=False)
    ]


def jamo_shares(characters: Counter[str]) -> dict[str, list[dict[str, Any]]]:
    """The share of each jamo at each place of a syllable, in %, as a dictionary orders them."""
    counts = {position: [0] * len(letters) for position, letters in jamo.LETTERS.items()}
    for character, times in characters.items():
        if jamo.is_syllable(character):
            for own, number in zip(counts.values(), jamo.positions(character), strict=True):
                own[number] += times
    total = sum(counts["initial"])
    return {
        position: [
            {"name": letter or _NO_FINAL, "share": _percent(count, total)}
            for letter, count in zip(letters, counts[position], strict=True)
        ]
        for position, letters in jamo.LETTERS.items()
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / max(whole, 1), _DIGITS)
