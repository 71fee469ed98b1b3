"""Scorers: what a beam search adds up to judge a text. Each scores the next character.

B utterances, K hypotheses each (the beam width), N = B K hypotheses with an utterance's in
successive rows, U characters, S listener frames, V vocabulary. The end of sentence is a character
here too. A scorer belongs to one search of one batch, and keeps the state of its hypotheses.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from sorigeul.lm.language_model import LanguageModel
from sorigeul.model.attention import Memory
from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.model.speller import SpellerState
from sorigeul.search.ctc_prefix_scorer import PrefixScorer
from sorigeul.search.terms import Terms


class Scorer(ABC):
    """Scores the next character of N hypotheses, and follows those that the search keeps."""

    name: str
    weight: float

    def most_gain(self, characters: Tensor) -> Tensor:
        """The most that so many further characters (B,) can add; 0 for probabilities."""
        return torch.zeros_like(characters, dtype=torch.float64)

    @abstractmethod
    def score(self) -> Tensor:
        """What each next character adds to the score of each hypothesis (N, V)."""

    @abstractmethod
    def select(self, rows: Tensor, tokens: Tensor) -> None:
        """Go on with the hypotheses in `rows` (N,), each extended by one of `tokens` (N,).

        A row belongs to the same utterance as before.
        """


class SpellerScorer(Scorer):
    """Log-probabilities of the speller; keeps its attention and its probabilities as well."""

    def __init__(
        self,
        model: ListenAttendSpell,
        memory: Memory,
        utterance: Tensor,
        weight: float,
        name: str = "speller",
    ) -> None:
        """`memory` has the frames of the utterances (B, S, D), one for each hypothesis (N,)."""
        self.name, self.weight = name, weight
        shared = model.speller.shares_memory
        self._model, self._memory = model, memory if shared else memory.select(utterance)
        hypotheses, frames = len(utterance), memory.values.shape[1]
        device = memory.values.device
        self.probabilities = torch.zeros(hypotheses, 0, device=device)
        """of each character so far (N, U)"""
        self.alignment = torch.zeros(hypotheses, 0, frames, device=device)
        """attention of each character so far (N, U, S)"""
        start = torch.full((hypotheses,), model.config.sos_id, device=device)
        self._step(start, model.speller.start(memory).select(utterance))

    def _step(self, tokens: Tensor, state: SpellerState) -> None:
        logits, attention, self._state = self._model.speller(
            tokens.unsqueeze(1), self._memory, state
        )
        scores: Tensor = logits[:, -1].double()
        config = self._model.config
        scores[:, [config.sos_id, config.pad_id]] = -torch.inf  # never characters
        self._log_probabilities: Tensor = scores.log_softmax(-1)
        self.attention: Tensor = attention.float()
        """attention of the character that is scored now (N, 1, S)"""

    def score(self) -> Tensor:
        """The speller's log-probabilities (N, V), in float64."""
        return self._log_probabilities

    def select(self, rows: Tensor, tokens: Tensor) -> None:
        """Run the speller one step further."""
        chosen = self._log_probabilities[rows, tokens].exp().float().unsqueeze(1)
        self.probabilities = torch.cat((self.probabilities[rows], chosen), dim=1)
        self.alignment = torch.cat((self.alignment[rows], self.attention[rows]), dim=1)
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
        self._totals = torch.zeros_like(self._prefixes.ends_in_blank[:, 0])

    def score(self) -> Tensor:
        """What each character changes in the log-probability of the prefix (N, V)."""
        self._extended = self._scorer.extension_scores(self._prefixes)
        self._extended[:, self._eos_id] = self._scorer.complete_scores(self._prefixes)
        change = self._extended - self._totals.unsqueeze(1)
        return change.masked_fill(self._extended.isinf(), -torch.inf)

    def select(self, rows: Tensor, tokens: Tensor) -> None:
        """Extend the prefixes."""
        self._totals = self._extended[rows, tokens]
        self._prefixes = self._scorer.extend(self._prefixes, rows, tokens)


class LanguageModelScorer(Scorer):
    """Log-probabilities of a language model: shallow fusion (Gulcehre et al. 2015)."""

    def __init__(
        self, model: LanguageModel[Any], hypotheses: int, weight: float, name: str
    ) -> None:
        self.name, self.weight = name, weight
        self._model = model
        self._state = model.start(hypotheses)

    def score(self) -> Tensor:
        """The language model's log-probabilities (N, V)."""
        return self._model.scores(self._state).double()

    def select(self, rows: Tensor, tokens: Tensor) -> None:
        """Let the language model read the new characters."""
        self._state = self._model.advance(self._state.select(rows), tokens)


class LengthBonus(Scorer):
    """One for each character: against the bias of probabilities towards short texts."""

    name = "length"

    def __init__(
        self, hypotheses: int, vocabulary: int, eos_id: int, weight: float, device: torch.device
    ) -> None:
        self.weight = weight
        self._ones = torch.ones(hypotheses, vocabulary, dtype=torch.float64, device=device)
        self._ones[:, eos_id] = 0.0

    def most_gain(self, characters: Tensor) -> Tensor:
        """One for each (B,)."""
        return characters.double()

    def score(self) -> Tensor:
        """One for each character, nothing for the end of sentence (N, V)."""
        return self._ones

    def select(self, rows: Tensor, tokens: Tensor) -> None:
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

    def most_gain(self, characters: Tensor) -> Tensor:
        """All frames, however many characters there are (B,)."""
        frames = float(self._speller.attention.shape[2])
        return torch.where(characters > 0, frames, 0.0).double()

    def score(self) -> Tensor:
        """How many frames the next character is the first to cover, the same for all (N, V)."""
        before = self._speller.alignment.sum(1)
        after = before + self._speller.attention[:, 0]
        gained: Tensor = ((after > self._ENOUGH) & (before <= self._ENOUGH)).sum(1, keepdim=True)
        return gained.double().expand(-1, self._speller.score().shape[1])

    def select(self, rows: Tensor, tokens: Tensor) -> None:
        """Nothing to follow: the speller keeps its attention."""


class TermScorer(Scorer):
    """A bonus for each character of the terms that a user expects (contextual biasing).

    The bonus of a term that breaks off is taken back (He et al. 2019, section 3.3).
    """

    name = "terms"

    def __init__(self, terms: Terms, hypotheses: int, weight: float, device: torch.device) -> None:
        self.weight = weight
        self._terms = terms.to(device)
        self._nodes = torch.zeros(hypotheses, dtype=torch.long, device=device)

    def most_gain(self, characters: Tensor) -> Tensor:
        """The largest bonus for each (B,)."""
        return self._terms.most_gain * characters.double()

    def score(self) -> Tensor:
        """The bonus gained or lost by each next character (N, V)."""
        return self._terms.gains(self._nodes)

    def select(self, rows: Tensor, tokens: Tensor) -> None:
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

    def __init__(self, hypotheses: int, vocabulary: int, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._tokens = torch.zeros(hypotheses, 0, dtype=torch.long, device=device)
        periods = torch.arange(1, self._LONGEST + 1, device=device)
        copies = torch.clamp(-(-self._LEAST_CHARACTERS // periods), min=self._TIMES)
        self._most_matches = (copies - 1) * periods
        self._matches = torch.zeros(hypotheses, self._LONGEST, dtype=torch.long, device=device)
        """for each period p, how many of the last characters equal the one p before them"""
        self.repetitive = torch.zeros(hypotheses, dtype=torch.bool, device=device)
        """whether a hypothesis was stopped from repeating itself (N,)"""

    def score(self) -> Tensor:
        """Minus infinity for a character that would go on with the repetition, else 0 (N, V)."""
        hypotheses, characters = self._tokens.shape
        scores = torch.zeros(
            hypotheses, self._vocabulary, dtype=torch.float64, device=self._tokens.device
        )
        looping = self._matches >= self._most_matches
        for row, period in looping.nonzero().tolist():
            scores[row, self._tokens[row, characters - period - 1]] = -torch.inf
        self.repetitive = self.repetitive | looping.any(1)
        return scores

    def select(self, rows: Tensor, tokens: Tensor) -> None:
        """Count how long each hypothesis has been repeating itself."""
        history = self._tokens[rows]
        self.repetitive = self.repetitive[rows]
        matches = torch.zeros_like(self._matches)
        most = min(self._LONGEST, history.shape[1])
        recent = history.flip(1)[:, :most]
        equal = recent == tokens.unsqueeze(1)
        matches[:, :most] = torch.where(equal, self._matches[rows, :most] + 1, 0)
        self._matches = matches
        self._tokens = torch.cat((history, tokens.unsqueeze(1)), dim=1)
