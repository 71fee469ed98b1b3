"""Scorers: what a beam search adds up to judge a text. Each scores the next character.

B utterances, K hypotheses each (the beam width), N = B K hypotheses with an utterance's in
successive rows, U characters, S listener frames, V vocabulary. The end of sentence is a character
here too. A scorer belongs to one search of one batch, and keeps the state of its hypotheses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from typing import TYPE_CHECKING, Any

from sorigeul.base.arrays import Array, astype, log_softmax, namespace
from sorigeul.search.ctc_prefix_scorer import PrefixScorer
from sorigeul.search.terms import Terms

if TYPE_CHECKING:
    from sorigeul.lm.language_model import LanguageModel
    from sorigeul.model.las import ListenAttendSpell, ListenerOutput
    from sorigeul.model.memory import Memory
    from sorigeul.model.speller import SpellerState


class Scorer(ABC):
    """Scores the next character of N hypotheses, and follows those that the search keeps."""

    name: str
    weight: float

    def most_gain(self, characters: Array) -> Array:
        """The most that so many further characters (B,) can add; 0 for probabilities."""
        xp = namespace(characters)
        return xp.zeros_like(characters, dtype=xp.float64)

    @abstractmethod
    def score(self) -> Array:
        """What each next character adds to the score of each hypothesis.

        (N, V), or (1, V) or (N, 1) if it is the same for all hypotheses or characters.
        """

    def keep(self, utterances: Array) -> None:  # noqa: B027  (most have nothing to drop)
        """Drop what is kept of other utterances than these (B',); `select` follows."""

    @abstractmethod
    def select(self, rows: Array, tokens: Array) -> None:
        """Go on with the hypotheses in `rows` (N,), each extended by one of `tokens` (N,).

        The rows are those of the hypotheses that were scored, all of the utterances to keep.
        """


class SpellerScorer(Scorer):
    """Log-probabilities of the speller."""

    def __init__(
        self,
        model: ListenAttendSpell,
        memory: Memory,
        utterance: Array,
        weight: float,
        name: str = "speller",
    ) -> None:
        """`memory` has the frames of the utterances (B, S, D), one for each hypothesis (N,)."""
        self.name, self.weight = name, weight
        self._model = model
        self._width = len(utterance) // len(memory.values)
        self._remember(memory, utterance)
        xp = namespace(utterance)
        start = xp.full((len(utterance),), model.config.sos_id, device=utterance.device)
        self._step(start, model.speller.start(memory).select(utterance))

    def _remember(self, memory: Memory, utterance: Array) -> None:
        self._utterances = memory
        shared = self._model.speller.shares_memory
        self._memory = memory if shared else memory.select(utterance)

    def _step(self, tokens: Array, state: SpellerState) -> None:
        logits, attention, self._state = self._model.speller(tokens[:, None], self._memory, state)
        xp, config = namespace(logits), self._model.config
        scores = astype(logits[:, -1], xp.float64)
        for never in (config.sos_id, config.pad_id):
            scores[:, never] = -inf
        self._log_probabilities = log_softmax(scores)
        self.attention = astype(attention[:, 0], xp.float32)
        """attention of the character that is scored now (N, S)"""

    def score(self) -> Array:
        """The speller's log-probabilities (N, V), in float64."""
        return self._log_probabilities

    def keep(self, utterances: Array) -> None:
        """Keep the memory of these."""
        xp, device = namespace(utterances), utterances.device
        hypotheses = xp.arange(len(utterances) * self._width, device=device)
        self._remember(self._utterances.select(utterances), hypotheses // self._width)

    def select(self, rows: Array, tokens: Array) -> None:
        """Run the speller one step further."""
        self._step(tokens, self._state.select(rows))


class CtcScorer(Scorer):
    """CTC prefix scores (Hori, Watanabe and Hershey 2017), of the whole text at its end."""

    def __init__(
        self,
        model: ListenAttendSpell,
        encoded: ListenerOutput,
        width: int,
        weight: float,
        name: str = "ctc",
    ) -> None:
        """Raises ValueError for a model without a CTC head."""
        logits = model.ctc_logits(encoded)
        if logits is None:
            raise ValueError("this model has no CTC head")
        self.name, self.weight = name, weight
        self._eos_id = model.config.eos_id
        self._scorer = PrefixScorer(logits, encoded.ctc_lengths, model.config.pad_id, width)
        self._prefixes = self._scorer.empty_prefixes()
        ends = self._prefixes.ends_in_blank
        self._totals = namespace(ends).zeros_like(ends[:, 0])

    def score(self) -> Array:
        """What each character changes in the log-probability of the prefix (N, V)."""
        self._extended = self._scorer.extension_scores(self._prefixes)
        self._extended[:, self._eos_id] = self._scorer.complete_scores(self._prefixes)
        return self._extended - self._totals[:, None]

    def keep(self, utterances: Array) -> None:
        """Keep the frames of these."""
        self._scorer.keep(utterances)

    def select(self, rows: Array, tokens: Array) -> None:
        """Extend the prefixes."""
        # Finite, so that what follows an impossible prefix is impossible too, not undefined.
        self._totals = self._extended[rows, tokens].clip(-1e300)
        self._prefixes = self._scorer.extend(self._prefixes, rows, tokens)


class LanguageModelScorer(Scorer):
    """Log-probabilities of a language model: shallow fusion (Gulcehre et al. 2015)."""

    def __init__(
        self, model: LanguageModel[Any], utterance: Array, weight: float, name: str
    ) -> None:
        """`utterance` is that of each hypothesis (N,)."""
        self.name, self.weight = name, weight
        self._model, self._xp = model, namespace(utterance)
        self._state = model.start(len(utterance))

    def score(self) -> Array:
        """The language model's log-probabilities (N, V)."""
        scores = self._model.scores(self._state)
        # An n-gram model gives what suits PyTorch wherever that is loaded.
        return self._xp.asarray(scores, dtype=self._xp.float64)

    def select(self, rows: Array, tokens: Array) -> None:
        """Let the language model read the new characters."""
        self._state = self._model.advance(self._state.select(rows), tokens)


class LengthBonus(Scorer):
    """One for each character: against the bias of probabilities towards short texts."""

    name = "length"

    def __init__(self, speller: SpellerScorer, eos_id: int, weight: float) -> None:
        self.weight = weight
        self._ones = namespace(speller.score()).ones_like(speller.score()[:1])
        self._ones[:, eos_id] = 0.0

    def most_gain(self, characters: Array) -> Array:
        """One for each (B,)."""
        return astype(characters, namespace(characters).float64)

    def score(self) -> Array:
        """One for each character, nothing for the end of sentence (1, V)."""
        return self._ones

    def select(self, rows: Array, tokens: Array) -> None:
        """Nothing to follow."""


class CoverageScorer(Scorer):
    """How many frames were attended to (Chorowski and Jaitly 2017, equation 11).

    A frame counts once, as soon as the attention it got in all steps exceeds `_ENOUGH`. So texts
    that leave out what was spoken score low, and so do those that read the same frames twice.
    """

    name = "coverage"
    _ENOUGH = 0.5

    def __init__(self, speller: SpellerScorer, weight: float) -> None:
        self.weight = weight
        self._speller = speller
        self._before = namespace(speller.attention).zeros_like(speller.attention)
        """attention that each frame got from the characters so far (N, S)"""

    def most_gain(self, characters: Array) -> Array:
        """All frames, however many characters there are (B,)."""
        xp = namespace(characters)
        return astype(characters > 0, xp.float64) * self._speller.attention.shape[1]

    def score(self) -> Array:
        """How many frames the next character is the first to cover, the same for all (N, 1)."""
        before = self._before
        self._after = before + self._speller.attention
        gained = ((self._after > self._ENOUGH) & (before <= self._ENOUGH)).sum(1)[:, None]
        return astype(gained, namespace(before).float64)

    def select(self, rows: Array, tokens: Array) -> None:
        """Note what was attended to."""
        self._before = self._after[rows]


class TermScorer(Scorer):
    """A bonus for each character of the terms that a user expects (contextual biasing).

    The bonus of a term that breaks off is taken back (He et al. 2019, section 3.3).
    """

    name = "terms"

    def __init__(self, terms: Terms, utterance: Array, weight: float) -> None:
        """`utterance` is that of each hypothesis (N,)."""
        self.weight = weight
        self._terms = terms.like(utterance)
        self._nodes = namespace(utterance).zeros_like(utterance)

    def most_gain(self, characters: Array) -> Array:
        """The largest bonus for each (B,)."""
        return self._terms.most_gain * astype(characters, namespace(characters).float64)

    def score(self) -> Array:
        """The bonus gained or lost by each next character (N, V)."""
        return self._terms.gains(self._nodes)

    def select(self, rows: Array, tokens: Array) -> None:
        """Follow the characters in the tree of terms."""
        self._nodes = self._terms.next_nodes(self._nodes[rows], tokens)


class RepetitionGuard(Scorer):
    """Forbids to go on with a text that repeats itself: four times, and twelve characters at least.

    Recognisers with attention can fall into such loops, in music and noise above all.
    """

    name = "repetition"
    weight = 1.0
    _LONGEST = 16
    _TIMES = 4
    _LEAST_CHARACTERS = 12

    def __init__(self, speller: SpellerScorer) -> None:
        self._speller = speller
        hypotheses, device = len(speller.attention), speller.attention.device
        xp = namespace(speller.attention)
        self._tokens = xp.full((hypotheses, self._LONGEST), -1, device=device)
        """the last characters of each hypothesis, -1 where there is none"""
        periods = xp.arange(1, self._LONGEST + 1, device=device)
        copies = (-(-self._LEAST_CHARACTERS // periods)).clip(self._TIMES)
        self._most_matches = (copies - 1) * periods
        self._matches = xp.zeros((hypotheses, self._LONGEST), dtype=xp.int64, device=device)
        """for each period p, how many of the last characters equal the one p before them"""
        self.repetitive = xp.zeros(hypotheses, dtype=xp.bool, device=device)
        """whether a hypothesis was stopped from repeating itself (N,)"""

    def score(self) -> Array:
        """Minus infinity for a character that would go on with the repetition, else 0.

        (N, V), or (1, 1) if no hypothesis repeats itself.
        """
        xp, device = namespace(self._tokens), self._tokens.device
        looping = self._matches >= self._most_matches
        if not looping.any():
            return xp.zeros((1, 1), dtype=xp.float64, device=device)
        scores = xp.zeros_like(self._speller.score())
        for row, period in xp.argwhere(looping).tolist():
            scores[row, self._tokens[row, -period - 1]] = -inf
        self.repetitive = self.repetitive | looping.any(1)
        return scores

    def select(self, rows: Array, tokens: Array) -> None:
        """Count how long each hypothesis has been repeating itself."""
        xp, recent = namespace(tokens), self._tokens[rows]
        self.repetitive = self.repetitive[rows]
        again = xp.flip(recent, (1,)) == tokens[:, None]
        self._matches = xp.where(again, self._matches[rows] + 1, 0)
        self._tokens = xp.concat((recent[:, 1:], tokens[:, None]), axis=1)
