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
        """What each next character adds to the score of each hypothesis (N, V)."""

    @abstractmethod
    def select(self, rows: Array, tokens: Array) -> None:
        """Go on with the hypotheses in `rows` (N,), each extended by one of `tokens` (N,).

        A row belongs to the same utterance as before.
        """


class SpellerScorer(Scorer):
    """Log-probabilities of the speller; keeps its attention and its probabilities as well."""

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
        shared = model.speller.shares_memory
        self._model, self._memory = model, memory if shared else memory.select(utterance)
        hypotheses, frames = len(utterance), memory.values.shape[1]
        xp, device = namespace(utterance), utterance.device
        self.probabilities = xp.zeros((hypotheses, 0), dtype=xp.float32, device=device)
        """of each character so far (N, U)"""
        self.alignment = xp.zeros((hypotheses, 0, frames), dtype=xp.float32, device=device)
        """attention of each character so far (N, U, S)"""
        start = xp.full((hypotheses,), model.config.sos_id, device=device)
        self._step(start, model.speller.start(memory).select(utterance))

    def _step(self, tokens: Array, state: SpellerState) -> None:
        logits, attention, self._state = self._model.speller(tokens[:, None], self._memory, state)
        xp, config = namespace(logits), self._model.config
        scores = astype(logits[:, -1], xp.float64)
        scores[:, [config.sos_id, config.pad_id]] = -inf  # never characters
        self._log_probabilities = log_softmax(scores)
        self.attention = astype(attention, xp.float32)
        """attention of the character that is scored now (N, 1, S)"""

    def score(self) -> Array:
        """The speller's log-probabilities (N, V), in float64."""
        return self._log_probabilities

    def select(self, rows: Array, tokens: Array) -> None:
        """Run the speller one step further."""
        xp = namespace(rows)
        chosen = astype(xp.exp(self._log_probabilities[rows, tokens]), xp.float32)[:, None]
        self.probabilities = xp.concat((self.probabilities[rows], chosen), axis=1)
        self.alignment = xp.concat((self.alignment[rows], self.attention[rows]), axis=1)
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
        xp = namespace(self._extended)
        change = self._extended - self._totals[:, None]
        return xp.where(xp.isinf(self._extended), -inf, change)

    def select(self, rows: Array, tokens: Array) -> None:
        """Extend the prefixes."""
        self._totals = self._extended[rows, tokens]
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
        self._ones = namespace(speller.score()).ones_like(speller.score())
        self._ones[:, eos_id] = 0.0

    def most_gain(self, characters: Array) -> Array:
        """One for each (B,)."""
        return astype(characters, namespace(characters).float64)

    def score(self) -> Array:
        """One for each character, nothing for the end of sentence (N, V)."""
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

    def most_gain(self, characters: Array) -> Array:
        """All frames, however many characters there are (B,)."""
        xp = namespace(characters)
        return astype(characters > 0, xp.float64) * self._speller.attention.shape[2]

    def score(self) -> Array:
        """How many frames the next character is the first to cover, the same for all (N, V)."""
        before = self._speller.alignment.sum(1)
        after = before + self._speller.attention[:, 0]
        xp = namespace(before)
        gained = ((after > self._ENOUGH) & (before <= self._ENOUGH)).sum(1)[:, None]
        return xp.broadcast_to(astype(gained, xp.float64), self._speller.score().shape)

    def select(self, rows: Array, tokens: Array) -> None:
        """Nothing to follow: the speller keeps its attention."""


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
        self._tokens = xp.zeros((hypotheses, 0), dtype=xp.int64, device=device)
        periods = xp.arange(1, self._LONGEST + 1, device=device)
        copies = (-(-self._LEAST_CHARACTERS // periods)).clip(self._TIMES)
        self._most_matches = (copies - 1) * periods
        self._matches = xp.zeros((hypotheses, self._LONGEST), dtype=xp.int64, device=device)
        """for each period p, how many of the last characters equal the one p before them"""
        self.repetitive = xp.zeros(hypotheses, dtype=xp.bool, device=device)
        """whether a hypothesis was stopped from repeating itself (N,)"""

    def score(self) -> Array:
        """Minus infinity for a character that would go on with the repetition, else 0 (N, V)."""
        xp, characters = namespace(self._tokens), self._tokens.shape[1]
        scores = xp.zeros_like(self._speller.score())
        looping = self._matches >= self._most_matches
        for row, period in xp.argwhere(looping).tolist():
            scores[row, self._tokens[row, characters - period - 1]] = -inf
        self.repetitive = self.repetitive | looping.any(1)
        return scores

    def select(self, rows: Array, tokens: Array) -> None:
        """Count how long each hypothesis has been repeating itself."""
        history = self._tokens[rows]
        self.repetitive = self.repetitive[rows]
        xp = namespace(tokens)
        matches = xp.zeros_like(self._matches)
        most = min(self._LONGEST, history.shape[1])
        recent = xp.flip(history, (1,))[:, :most]
        equal = recent == tokens[:, None]
        matches[:, :most] = xp.where(equal, self._matches[rows][:, :most] + 1, 0)
        self._matches = matches
        self._tokens = xp.concat((history, tokens[:, None]), axis=1)
