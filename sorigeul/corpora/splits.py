"""Train, dev and test: draws the splits that a corpus lacks, so that train tells nothing of them.

They are drawn by speaker if possible, and if sentences repeat, by speaker and sentence.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sorigeul.corpora.counts import sentence
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.utterances import Utterance

SPLITS = ("train", "dev", "test", "eval_clean", "eval_other")
EVALUATION_SPLITS = ("eval_clean", "eval_other")
"""KsponSpeech's test sets; their utterances are also in ``test``."""
NEGLIGIBLE_SHARE = 0.02
"""share of a split's sentences that may be in train too: of what different people say, some is the
same by chance, such as thanks. In Pansori it is 0.7 %"""
_FAR_OFF = 2.0  # factor by which a split may miss its share of the speech


@dataclass(frozen=True)
class SplitAssignment:
    """Which splits each utterance belongs to."""

    split_by: str
    """how the missing splits were drawn: by ``speaker``, ``speaker and sentence``, ``utterance`` or
    ``sentence``; ``corpus`` if the corpus has all that are wanted"""
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
    splits; else by utterance. If more than `NEGLIGIBLE_SHARE` of the sentences of a split are then
    in another one too, speakers with a sentence in common are kept together; but not if too few
    remain to draw from, such as one group when everybody has read the same text.
    """
    shares = {"dev": options.dev_share, "test": options.test_share}
    if not set(EVALUATION_SPLITS).isdisjoint(corpus_splits):
        del shares["test"]
    shares = {
        split: share for split, share in shares.items() if share > 0 and split not in corpus_splits
    }
    if not shares:
        return SplitAssignment("corpus")
    seconds: dict[str, float] = {}
    sentences: dict[str, int] = {}
    speakers: dict[str, str] = {}
    for utterance in utterances:
        if utterance.split in (None, "train"):
            seconds[utterance.id] = utterance.duration
            sentences[utterance.id] = sentence(utterance.text)
            # Utterances without a name count as one speaker.
            speakers[utterance.id] = utterance.speaker or ""
    if not seconds:
        return SplitAssignment("corpus")
    by_speaker = len(set(speakers.values())) > len(shares)
    units = speakers if by_speaker else {id_: id_ for id_ in seconds}
    drawn = _draw(units, seconds, shares, options.seed)
    if _share_elsewhere(drawn, sentences) > NEGLIGIBLE_SHARE:
        groups = _joined(units, sentences)
        apart = _draw(groups, seconds, shares, options.seed)
        if _come_close(apart, seconds, shares):
            return SplitAssignment("speaker and sentence" if by_speaker else "sentence", apart)
    return SplitAssignment("speaker" if by_speaker else "utterance", drawn)


def _draw(
    units: Mapping[str, str], seconds: Mapping[str, float], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """The split of each utterance that is drawn; ``units``: what it is drawn with, by its id."""
    seconds_by_unit: dict[str, float] = defaultdict(float)
    for id_, unit in units.items():
        seconds_by_unit[unit] += seconds[id_]
    held_out = hold_out(seconds_by_unit, shares, seed)
    return {id_: held_out[unit] for id_, unit in units.items() if unit in held_out}


def _share_elsewhere(drawn: Mapping[str, str], sentences: Mapping[str, int]) -> float:
    """The largest share of a drawn split's sentences that are in another split too, or in train."""
    by_split: dict[str, set[int]] = defaultdict(set)
    for id_, said in sentences.items():
        by_split[drawn.get(id_, "train")].add(said)
    largest = 0.0
    for split, own in by_split.items():
        if split != "train":
            others = set().union(*(others for name, others in by_split.items() if name != split))
            largest = max(largest, len(own & others) / len(own))
    return largest


def _joined(units: Mapping[str, str], sentences: Mapping[str, int]) -> dict[str, str]:
    """The units in which those with a sentence in common are one, by the least of their names."""
    parents = {unit: unit for unit in units.values()}

    def root(unit: str) -> str:
        while parents[unit] != unit:
            parents[unit] = parents[parents[unit]]
            unit = parents[unit]
        return unit

    first_with: dict[int, str] = {}
    for id_, unit in units.items():
        one, other = sorted((root(unit), root(first_with.setdefault(sentences[id_], unit))))
        parents[other] = one
    return {id_: root(unit) for id_, unit in units.items()}


def _come_close(
    drawn: Mapping[str, str], seconds: Mapping[str, float], shares: Mapping[str, float]
) -> bool:
    """Whether each split has about its share of the speech."""
    total = sum(seconds.values())
    for split, share in shares.items():
        got = sum(seconds[id_] for id_, name in drawn.items() if name == split)
        if not share / _FAR_OFF <= got / total <= share * _FAR_OFF:
            return False
    return True


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
