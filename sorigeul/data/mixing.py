"""Several corpora as one to train on: how often an epoch reads each of them, and in which order.

Does not know about tensors, batches, or dev and test.
"""

import math
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

from lhotse import CutSet, MonoCut

from sorigeul.base.errors import UserError
from sorigeul.base.files import given_twice
from sorigeul.data.manifests import LazyCuts, as_lazy_cuts
from sorigeul.data.statistics import ManifestStatistics, manifest_statistics


@dataclass(frozen=True)
class CorpusShare:
    """What a corpus is in a mixture."""

    name: str
    utterances: int
    seconds: float
    passes: float
    """how often an epoch reads each of its utterances, on average"""


@dataclass(frozen=True)
class Mixture:
    """The training splits of one or more corpora, as one."""

    cuts: CutSet
    """in an epoch's order, which depends on the sampler that `follow_epochs` names"""
    statistics: ManifestStatistics
    """of all corpora, each utterance counted once"""
    shares: tuple[CorpusShare, ...]

    @property
    def utterances(self) -> float:
        """Utterances in an epoch."""
        return sum(share.passes * share.utterances for share in self.shares)

    def lines(self) -> Iterator[str]:
        """A line for each corpus: its share of the speech of an epoch."""
        total = sum(share.passes * share.seconds for share in self.shares)
        for share in self.shares:
            yield (
                f"{share.name}: {share.passes * share.seconds / total:.1%} of the speech of an "
                f"epoch; {share.seconds / 3600:.2f} h, read {share.passes:.3g} times"
            )


def mix(corpora: Mapping[str, CutSet], weights: Sequence[float], seed: int) -> Mixture:
    """Mix the training splits of `corpora`, by name.

    `weights` are the shares that they have of the speech of an epoch, up to a factor; without any,
    an epoch reads each utterance once. In either case it is as long as all corpora together. Raises
    UserError if there are weights, but not one for each corpus.
    """
    if weights and len(weights) != len(corpora):
        raise UserError(
            f"weights are {' '.join(f'{weight:g}' for weight in weights)}, but there "
            f"{f'are {len(corpora)} corpora' if len(corpora) > 1 else 'is one corpus'}: give one "
            "number for each, in their order"
        )
    statistics = [manifest_statistics(cuts) for cuts in corpora.values()]
    seconds = [one.seconds for one in statistics]
    passes = [1.0] * len(corpora)
    if weights:
        passes = [
            weight / sum(weights) * sum(seconds) / own
            for weight, own in zip(weights, seconds, strict=True)
        ]
    shares = tuple(
        CorpusShare(name, one.utterances, one.seconds, often)
        for name, one, often in zip(corpora, statistics, passes, strict=True)
    )
    if len(corpora) == 1:
        (cuts,), (only,) = corpora.values(), statistics
        return Mixture(cuts, only, shares)
    parts = [as_lazy_cuts(cuts) for cuts in corpora.values()]
    return Mixture(CutSet(MixedCuts(parts, shares, seed)), _together(statistics), shares)


class MixedCuts(LazyCuts):
    """The cuts of several manifests, drawn from all of them at once.

    As long as a corpus has some left, the chance of a draw from it is proportional to what an epoch
    reads of it, so all end at about the same time. Where that is less than the whole corpus, the
    next epoch goes on with what this one left out.
    """

    def __init__(self, parts: Sequence[LazyCuts], shares: Sequence[CorpusShare], seed: int) -> None:
        super().__init__([file for part in parts for file in part.files])
        self._parts, self._shares, self._seed = parts, shares, seed

    def __iter__(self) -> Iterator[MonoCut]:
        epoch = 0 if self.sampler is None else self.sampler.epoch
        for part in self._parts:
            part.sampler = self.sampler
        turns = [
            _turns(part, share.passes, epoch)
            for part, share in zip(self._parts, self._shares, strict=True)
        ]
        weights = [share.passes * share.utterances for share in self._shares]
        yield from CutSet.mux(*turns, weights=weights, seed=self._seed)

    def select(self, numbers: Collection[int]) -> Iterator[MonoCut]:
        """The cuts with these numbers, counted from 0 through all manifests."""
        first = 0
        for part, share in zip(self._parts, self._shares, strict=True):
            yield from part.select({number - first for number in numbers})
            first += share.utterances


def _turns(cuts: LazyCuts, passes: float, epoch: int) -> Iterator[MonoCut]:
    """What an epoch reads of a manifest, again and again from its beginning."""
    for turn in range(math.ceil(passes)):
        for cut in cuts:
            if turn < _turns_of(cut.id, passes, epoch):
                # With a name of its own, an utterance that is read again has augmentation of its
                # own.
                yield replace(cut, id=f"{cut.id}~{turn}") if turn else cut


def _turns_of(id_: str, passes: float, epoch: int) -> int:
    """How often an epoch reads an utterance: one number of times or the next, by turns.

    After `n` epochs it has been read `n * passes` times, rounded up or down.
    """
    start = zlib.crc32(id_.encode("utf-8", "surrogatepass")) / 2**32
    return math.floor(start + (epoch + 1) * passes) - math.floor(start + epoch * passes)


def _together(statistics: Sequence[ManifestStatistics]) -> ManifestStatistics:
    return ManifestStatistics(
        utterances=sum(one.utterances for one in statistics),
        seconds=sum(one.seconds for one in statistics),
        characters=sum((one.characters for one in statistics), Counter()),
        longest=max(one.longest for one in statistics),
        long_utterance=max(one.long_utterance for one in statistics),
        most_characters=max(one.most_characters for one in statistics),
    )


def by_name(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders of corpora by the names that tables give them: their own, told apart by a number.

    Raises UserError if one is given twice: weights are the way to read it more often.
    """
    if (twice := given_twice(folders)) is not None:
        raise UserError(f"{twice} is given twice: give --weights to read it more often")
    named: dict[str, Path] = {}
    for folder in folders:
        own = folder.absolute().name.replace("|", "_")
        names = chain([own], (f"{own}-{number}" for number in count(2)))
        named[next(name for name in names if name not in named)] = folder
    return named
