"""Statistics of a manifest: counts, durations, a random sample, utterances too fast for CTC."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import eq
from random import Random

import numpy as np
from lhotse import CutSet, MonoCut

from sorigeul.data.manifests import as_lazy_cuts
from sorigeul.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class ManifestStatistics:
    """Counts and durations from one pass over the training manifest."""

    utterances: int
    seconds: float
    characters: Counter[str]
    """of the NFC text"""
    longest: float
    """seconds of the longest utterance"""
    long_utterance: float
    """seconds; 99 % of the utterances are no longer"""
    most_characters: int
    """in one utterance"""


def manifest_statistics(cuts: CutSet) -> ManifestStatistics:
    """Count the utterances of a manifest, their seconds and their characters."""
    seconds, most_characters = 0.0, 0
    characters: Counter[str] = Counter()
    durations = array("d")  # 8 MB for a million utterances
    for _, text, duration in as_lazy_cuts(cuts).transcripts():
        seconds += duration
        durations.append(duration)
        characters.update(text)
        most_characters = max(most_characters, len(text))
    return ManifestStatistics(
        utterances=len(durations),
        seconds=seconds,
        characters=characters,
        longest=max(durations, default=0.0),
        long_utterance=float(np.quantile(durations, 0.99)) if durations else 0.0,
        most_characters=most_characters,
    )


def draw_sample(cuts: CutSet, size: int, total: int, seed: int) -> list[MonoCut]:
    """Draw `size` cuts from a manifest of `total` cuts, in random order; both depend on `seed`."""
    random = Random(seed)
    numbers = set(random.sample(range(total), min(size, total)))
    sample = list(as_lazy_cuts(cuts).select(numbers))
    random.shuffle(sample)
    return sample


def too_fast_for_ctc(
    cuts: CutSet, vocabulary: Vocabulary, frames_per_second: float
) -> Iterator[tuple[str, str]]:
    """Utterances that CTC cannot align at this frame rate, as (id, reason)."""
    for utterance_id, text, seconds in as_lazy_cuts(cuts).transcripts():
        frames = int(seconds * frames_per_second)
        # Encoding is slow, and leaves out unknown characters and joins others, which never
        # increases the count, but that a space may come before them. So only the few texts that
        # need too many frames before it are encoded.
        if _min_ctc_frames(vocabulary.split(text)) + 1 > frames:
            needed = _min_ctc_frames(vocabulary.encode(text))
            if needed > frames:
                yield utterance_id, f"{needed} CTC frames needed for its text, {frames} there"


def _min_ctc_frames(units: Sequence[object]) -> int:
    """Frames that CTC needs at least: one for each unit, and a blank between equal neighbours."""
    repeats: int = sum(map(eq, units, islice(units, 1, None)))
    return len(units) + repeats
