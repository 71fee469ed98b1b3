"""Manifests to lhotse's cuts, and a cut to its sound. Line by line: a thousand hours fit no memory.

Knows where recordings are, in files or in archives; nothing of tensors or batches.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import eq
from random import Random

from lhotse import CutSet, MonoCut

from sorigeul.data.manifests import as_lazy_cuts
from sorigeul.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class ManifestStatistics:
    """What one pass over the training manifest finds out."""

    utterances: int
    seconds: float
    characters: Counter[str]
    """of the NFC text"""
    longest: float
    """seconds of the longest utterance"""
    most_characters: int
    """in one utterance"""


def manifest_statistics(cuts: CutSet) -> ManifestStatistics:
    """Count the utterances of a manifest, their seconds and their characters."""
    utterances, seconds, longest, most = 0, 0.0, 0.0, 0
    characters: Counter[str] = Counter()
    for _, said, duration in as_lazy_cuts(cuts).transcripts():
        utterances += 1
        seconds += duration
        characters.update(said)
        longest, most = max(longest, duration), max(most, len(said))
    return ManifestStatistics(utterances, seconds, characters, longest, most)


def draw_sample(cuts: CutSet, size: int, of: int, seed: int) -> list[MonoCut]:
    """So many cuts of a manifest that has `of`, in an order drawn by `seed`."""
    random = Random(seed)
    drawn = list(as_lazy_cuts(cuts).select(set(random.sample(range(of), min(size, of)))))
    random.shuffle(drawn)
    return drawn


def too_fast_for_ctc(
    cuts: CutSet, vocabulary: Vocabulary, frames_per_second: float
) -> Iterator[tuple[str, str]]:
    """Utterances that CTC cannot align at this frame rate, as (id, reason)."""
    for name, said, seconds in as_lazy_cuts(cuts).transcripts():
        frames = int(seconds * frames_per_second)
        # Leaving out unknown characters never makes it more, and few have to be looked up.
        if _ctc_frames(vocabulary.split(said)) > frames:
            needed = _ctc_frames(vocabulary.encode(said))
            if needed > frames:
                yield name, f"{needed} CTC frames needed for its text, {frames} there"


def _ctc_frames(units: Sequence[object]) -> int:
    """Frames that CTC needs at least: one for each unit, and a blank between equal neighbours."""
    repeats: int = sum(map(eq, units, islice(units, 1, None)))
    return len(units) + repeats
