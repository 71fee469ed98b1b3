"""Train, dev and test: draws the splits that a corpus lacks, by speaker if possible."""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.utterances import Utterance

SPLITS = ("train", "dev", "test", "eval_clean", "eval_other")
EVALUATION_SPLITS = ("eval_clean", "eval_other")
"""KsponSpeech's test sets; their utterances are also in ``test``."""


@dataclass(frozen=True)
class SplitAssignment:
    """Which splits each utterance belongs to."""

    split_by: str
    """how the missing splits were drawn: by ``speaker`` or ``utterance``; ``corpus`` if the corpus
    has all of them"""
    drawn: Mapping[str, str] = field(default_factory=dict)
    """the split (dev or test) of each utterance id that was drawn from train"""

    def splits_of(self, utterance: Utterance) -> tuple[str, ...]:
        """Return the splits of ``utterance``: one, or two for those of `EVALUATION_SPLITS`."""
        split = self.drawn.get(utterance.id, utterance.split or "train")
        return (split, "test") if split in EVALUATION_SPLITS else (split,)


def assign_splits(
    utterances: Iterable[Utterance], corpus_splits: Collection[str], options: PrepareOptions
) -> SplitAssignment:
    """Draw dev and test from train if ``corpus_splits``, the corpus's own, lack them.

    They are drawn by speaker if there is at least one for each split, so that no voice is in two
    splits; else by utterance.
    """
    shares = {"dev": options.dev_share, "test": options.test_share}
    if not set(EVALUATION_SPLITS).isdisjoint(corpus_splits):
        del shares["test"]
    shares = {split: share for split, share in shares.items() if split not in corpus_splits}
    if not shares:
        return SplitAssignment("corpus")
    seconds: dict[str, float] = {}
    speakers: dict[str, str] = {}
    seconds_by_speaker: dict[str, float] = defaultdict(float)
    for utterance in utterances:
        if utterance.split in (None, "train"):
            speaker = utterance.speaker or ""  # utterances without a name count as one speaker
            seconds[utterance.id] = utterance.duration
            speakers[utterance.id] = speaker
            seconds_by_speaker[speaker] += utterance.duration
    if not seconds:
        return SplitAssignment("corpus")
    if len(seconds_by_speaker) <= len(shares):
        return SplitAssignment("utterance", hold_out(seconds, shares, options.seed))
    held_out = hold_out(seconds_by_speaker, shares, options.seed)
    drawn = {id_: held_out[name] for id_, name in speakers.items() if name in held_out}
    return SplitAssignment("speaker", drawn)


def hold_out(
    seconds: Mapping[str, float], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Draw units (speakers or utterances) for held-out splits; return the split of each one drawn.

    ``seconds`` is the amount of speech of each unit. ``shares`` is the share of the whole (0 to 1)
    that each split should come close to. Units that are not in the result stay in train. The result
    does not depend on the order of ``seconds``. Each split gets at least one unit, and train keeps
    one, if there are enough.
    """
    remaining = sorted(seconds)
    random.Random(seed).shuffle(remaining)
    total = sum(seconds[unit] for unit in remaining)
    held_out: dict[str, str] = {}
    for number, (split, share) in enumerate(shares.items()):
        reserved = len(shares) - number  # a unit for train and for each split that follows
        available = len(remaining) - reserved
        chosen: dict[str, float] = {}
        seconds_missing = share * total
        for unit in remaining:
            if len(chosen) >= available:
                break
            if abs(seconds_missing - seconds[unit]) < abs(seconds_missing):
                chosen[unit] = seconds[unit]
                seconds_missing -= seconds[unit]
        if not chosen and available > 0:
            chosen = {min(remaining, key=lambda unit: (seconds[unit], unit)): 0.0}
        held_out.update(dict.fromkeys(chosen, split))
        remaining = [unit for unit in remaining if unit not in chosen]
    return held_out
