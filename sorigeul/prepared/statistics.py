"""Statistics of a prepared corpus: lengths, rates, characters, speakers, sound, repeats."""

import unicodedata
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

import numpy as np
from lhotse import MonoCut

from sorigeul.base.process_pool import map_in_order, with_progress
from sorigeul.corpora.checking import syllables
from sorigeul.corpora.counts import SplitCounts, sentence
from sorigeul.corpora.report import overlap
from sorigeul.corpora.splits import EVALUATION_SPLITS
from sorigeul.prepared.corpus import Item, PreparedCorpus
from sorigeul.prepared.recording_measures import RecordingMeasures, measure_recording
from sorigeul.text.jamo import is_syllable

_CHUNK_SIZE = 8  # recordings sent to a process at a time
_REMEMBERED = 40  # characters of a text that is shown as an example

SCRIPTS = ("Latin", "digits", "Han", "Kana", "others")
"""scripts besides Hangul"""
_SCRIPT_BY_NAME = {
    "HANGUL": "Hangul",
    "LATIN": "Latin",
    "CJK": "Han",
    "IDEOGRAPHIC": "Han",
    "HIRAGANA": "Kana",
    "KATAKANA": "Kana",
}
"""by the first word of the name that Unicode gives a character"""
_SYLLABLES = frozenset((" ", ".", *map(chr, range(ord("가"), ord("힣") + 1))))


def script_of(character: str) -> str:
    """The script of a character: Hangul, one of `SCRIPTS`, or empty for punctuation and spaces."""
    if is_syllable(character):
        return "Hangul"
    if not character.isalnum():
        return ""
    if character.isdigit() or (character.isnumeric() and not character.isalpha()):
        return "digits"
    word = unicodedata.name(character, "").split(" ")[0]
    return _SCRIPT_BY_NAME.get(word, "others")


def scripts_in(text: str) -> set[str]:
    """The scripts in a text besides Hangul."""
    # Most texts have nothing else, and there may be a million of them.
    beyond = set(text).difference(_SYLLABLES)
    return {script_of(one) for one in beyond} - {"", "Hangul"} if beyond else set()


@dataclass
class SplitStatistics:
    """What is counted of the texts of a split, and measured of its recordings."""

    counts: SplitCounts = field(default_factory=SplitCounts)
    durations: "array[float]" = field(default_factory=lambda: array("d"))
    """in seconds, of each utterance"""
    rates: "array[float]" = field(default_factory=lambda: array("d"))
    """syllables a second"""
    lengths: "array[int]" = field(default_factory=lambda: array("l"))
    """characters of each text, spaces counted"""
    scripts: Counter[str] = field(default_factory=Counter)
    """utterances with characters of each script besides Hangul"""
    measures: list[RecordingMeasures] = field(default_factory=list)
    """of the recordings that were listened to"""

    def add(self, item: Item) -> None:
        """Count an utterance."""
        utterance = item.utterance
        text, seconds = utterance.text, utterance.duration
        self.counts.add(utterance)
        self.durations.append(seconds)
        self.rates.append(syllables(text) / seconds if seconds else 0.0)
        self.lengths.append(len(text))
        self.scripts.update(scripts_in(text))

    @property
    def repeated(self) -> int:
        """Utterances whose sentence another one of the split has before them."""
        return self.counts.utterances - len(self.counts.sentences)

    @property
    def once(self) -> list[str]:
        """Characters that occur once, in their order."""
        return sorted(one for one, times in self.counts.characters.items() if times == 1)

    def sound(self, value: Callable[[RecordingMeasures], float]) -> list[float]:
        """A measure of each recording that was listened to."""
        return [value(one) for one in self.measures]


@dataclass
class CorpusStatistics:
    """The statistics of a prepared corpus."""

    splits: dict[str, SplitStatistics] = field(default_factory=dict)
    seconds_of: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """seconds of each speaker who is named"""
    said_again: dict[int, list[str]] = field(default_factory=dict)
    """by sentence that is there more than once: a text of it, and the split of each utterance"""
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """texts with characters of each script besides Hangul"""
    unreadable: list[str] = field(default_factory=list)
    """reasons"""
    clipped: list[str] = field(default_factory=list)
    """ids, of the recordings that were listened to"""

    def note_sentence(self, item: Item) -> None:
        """Keep the sentence of an utterance that is about to be counted, if it was there before.

        Texts of all sentences of a large corpus would fill the memory.
        """
        key = sentence(item.text)
        if key not in self.said_again:
            before = [name for name, one in self.splits.items() if key in one.counts.sentences]
            if not before:
                return
            self.said_again[key] = [item.text[:_REMEMBERED], *before]
        self.said_again[key].append(item.split)

    @cached_property
    def overlap(self) -> tuple[str, bool]:
        """What of dev and test is in train too, and whether that is more than chance."""
        return overlap({split: one.counts for split, one in self.splits.items()})

    def most_repeated(self, most: int) -> list[tuple[str, Counter[str]]]:
        """The sentences that are said most, and how often in each split; only what is repeated."""
        repeated = sorted(self.said_again.values(), key=lambda one: (-len(one), one[0]))
        return [(text, Counter(splits)) for text, *splits in repeated[:most]]

    @property
    def characters(self) -> Counter[str]:
        """Of all splits."""
        return sum((one.counts.characters for one in self.splits.values()), Counter())

    @property
    def listened(self) -> int:
        """Recordings that were read."""
        return sum(len(one.measures) for one in self.splits.values())


def corpus_statistics(
    corpus: PreparedCorpus, sample: int, jobs: int, seed: int = 0
) -> CorpusStatistics:
    """Count all texts, and listen to `sample` recordings drawn by chance (0: all of them).

    Recordings are read by so many processes. What KsponSpeech has in test comes once, in its
    evaluation splits. Raises UserError for a manifest that cannot be read.
    """
    statistics = CorpusStatistics()
    for item in _once(corpus):
        statistics.note_sentence(item)
        split = statistics.splits.setdefault(item.split, SplitStatistics())
        split.add(item)
        if item.speaker is not None:
            statistics.seconds_of[item.speaker] += item.duration
        for script in scripts_in(item.text):
            if len(statistics.examples[script]) < 5:
                statistics.examples[script].append(item.text[:_REMEMBERED])
    _listen(corpus, statistics, sample, jobs, seed)
    return statistics


def _once(corpus: PreparedCorpus) -> Iterator[Item]:
    has_evaluation = not corpus.splits.keys().isdisjoint(EVALUATION_SPLITS)
    return (item for item in corpus if not (has_evaluation and item.split == "test"))


def _listen(
    corpus: PreparedCorpus, statistics: CorpusStatistics, sample: int, jobs: int, seed: int
) -> None:
    """Measure recordings, and add what was measured to `statistics`."""
    sizes = {split: one.counts.utterances for split, one in statistics.splits.items()}
    total = sum(sizes.values())
    count = min(sample or total, total)
    drawn = Random(seed).sample(range(total), count)
    cuts = _drawn(corpus, sizes, drawn)
    measured = map_in_order(_measure, cuts, jobs, _CHUNK_SIZE, lambda drawn: str(drawn[1].id))
    with closing(with_progress(measured, "recordings", count)) as results:
        for (split, cut), result in results:
            if isinstance(result, str):
                statistics.unreadable.append(result)
                continue
            statistics.splits[split].measures.append(result)
            if result.clipped:
                statistics.clipped.append(cut.id)


def _drawn(
    corpus: PreparedCorpus, sizes: dict[str, int], drawn: Sequence[int]
) -> Iterator[tuple[str, MonoCut]]:
    """The cuts with these numbers, counted through all splits."""
    first = 0
    for split, size in sizes.items():
        own = {number - first for number in drawn if first <= number < first + size}
        yield from ((split, cut) for cut in corpus.splits[split].select(own))
        first += size


def _measure(drawn: tuple[str, MonoCut]) -> RecordingMeasures | str:
    return measure_recording(drawn[1])


def middle(values: Sequence[float], digits: int = 1) -> str:
    """The median, and from where to where nine of ten values lie; a dash if there are none."""
    if not len(values):
        return "-"
    low, median, high = np.percentile(values, (5, 50, 95))
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table_rows(statistics: CorpusStatistics) -> list[list[str]]:
    """A table with a column for each split; the first row is its header."""
    splits = statistics.splits.values()
    train = statistics.splits.get("train", SplitStatistics()).counts.sentences

    def listened(one: SplitStatistics, text: str) -> str:
        return text if one.measures else "-"

    rows: dict[str, list[str]] = {
        "utterances": [f"{one.counts.utterances:,}" for one in splits],
        "hours": [f"{one.counts.seconds / 3600:.2f}" for one in splits],
        "speakers": [f"{len(one.counts.speakers):,}" for one in splits],
        "without a speaker": [f"{one.counts.nameless:,}" for one in splits],
        "seconds": [middle(one.durations) for one in splits],
        "syllables a second": [middle(one.rates) for one in splits],
        "characters": [f"{one.counts.characters.total():,}" for one in splits],
        "different characters": [f"{len(one.counts.characters):,}" for one in splits],
        "characters seen once": [f"{len(one.once):,}" for one in splits],
        "sentences": [f"{len(one.counts.sentences):,}" for one in splits],
        "said before in the split": [f"{one.repeated:,}" for one in splits],
        "sentences also in train": [
            "-" if split == "train" else f"{len(one.counts.sentences & train):,}"
            for split, one in statistics.splits.items()
        ],
        **{
            f"texts with {script}": [f"{one.scripts[script]:,}" for one in splits]
            for script in SCRIPTS
            if any(one.scripts[script] for one in splits)
        },
        "recordings heard": [f"{len(one.measures):,}" for one in splits],
        "clipped": [
            listened(one, f"{sum(heard.clipped for heard in one.measures):,}") for one in splits
        ],
        "level, dB": [middle(one.sound(lambda heard: heard.level)) for one in splits],
        "silence around, s": [middle(one.sound(lambda heard: heard.silence)) for one in splits],
        "signal to noise, dB": [
            middle(one.sound(lambda heard: heard.signal_to_noise)) for one in splits
        ],
    }
    return [["", *statistics.splits], *([name, *cells] for name, cells in rows.items())]
