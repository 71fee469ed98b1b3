"""From encoder output to character ids: greedy search, or a beam with the scorers one asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sorigeul.base.arrays import Array, inference, namespace
from sorigeul.search.beam_search import SpecialTokens, beam_search
from sorigeul.search.greedy import greedy_search
from sorigeul.search.hypothesis import Hypothesis, length_limits
from sorigeul.search.options import BEAM_WIDTH, LM_BEAM_WIDTH, SearchOptions
from sorigeul.search.scorers import (
    CoverageScorer,
    CtcScorer,
    LanguageModelScorer,
    LengthBonus,
    RepetitionGuard,
    Scorer,
    SpellerScorer,
    TermScorer,
)
from sorigeul.search.terms import Terms

if TYPE_CHECKING:
    from sorigeul.lm.language_model import LanguageModel
    from sorigeul.model.las import ListenAttendSpell, ListenerOutput


@dataclass(frozen=True)
class Search:
    """A search by one recogniser or several, and by what else is to judge the texts.

    All share one vocabulary. The log-probabilities of several recognisers are averaged, those of
    their spellers and those of their CTC heads.
    """

    models: Sequence[ListenAttendSpell]
    options: SearchOptions = field(default_factory=SearchOptions)
    language_models: Sequence[LanguageModel[Any]] = ()
    terms: Terms | None = None

    @property
    def width(self) -> int:
        """The width of the beam."""
        has_ctc = any(model.config.ctc_weight > 0 for model in self.models)
        default = LM_BEAM_WIDTH if self.language_models else BEAM_WIDTH if has_ctc else 1
        return self.options.beam or default

    @property
    def is_greedy(self) -> bool:
        """Whether only the speller's best character at every step counts."""
        alone = len(self.models) == 1 and not self.language_models and self.terms is None
        return alone and self.width == 1 and self.options.nbest == 1

    @inference()
    def __call__(
        self, encoded: Sequence[ListenerOutput], limits: Array | None = None
    ) -> list[list[Hypothesis]]:
        """The best hypotheses of each utterance, the best first, from each model's frames.

        In a beam `limits` (B,) are the most characters of each; by default as of `length_limits`.
        """
        if self.is_greedy:
            return [[best] for best in greedy_search(self.models[0], encoded[0])]
        config = self.models[0].config
        if limits is None:
            pairs = zip(self.models, encoded, strict=True)
            each = [length_limits(*pair) for pair in pairs]
            limits = namespace(each[0]).amin(namespace(each[0]).stack(each), axis=0)
        xp = namespace(limits)
        utterance = xp.arange(len(limits) * self.width, device=limits.device) // self.width
        spellers, heads = self._recognizers(encoded, utterance)
        judges = self._other_scorers(spellers[0], encoded[0], utterance)
        return beam_search(
            spellers[0],
            [*spellers[1:], *heads, *judges],
            SpecialTokens(config.sos_id, config.eos_id, config.pad_id),
            limits,
            encoded[0].lengths.tolist(),
            self.options.nbest,
        )

    def _recognizers(
        self, encoded: Sequence[ListenerOutput], utterance: Array
    ) -> tuple[list[SpellerScorer], list[CtcScorer]]:
        """The spellers and the CTC heads of all models."""
        with_ctc = sum(model.config.ctc_weight > 0 for model in self.models)
        ctc_weight = self.options.ctc_weight if with_ctc else 0.0
        spellers, heads = [], []
        for number, (model, output) in enumerate(zip(self.models, encoded, strict=True)):
            ending = f"_{number + 1}" if number else ""
            weight = (1 - ctc_weight) / len(self.models)
            memory = model.make_memory(output)
            spellers.append(SpellerScorer(model, memory, utterance, weight, f"speller{ending}"))
            if model.config.ctc_weight > 0 and ctc_weight > 0:
                weight = ctc_weight / with_ctc
                heads.append(CtcScorer(model, output, self.width, weight, f"ctc{ending}"))
        return spellers, heads

    def _other_scorers(
        self, speller: SpellerScorer, encoded: ListenerOutput, utterance: Array
    ) -> list[Scorer]:
        """What judges a text besides the recognisers."""
        options = self.options
        eos_id = self.models[0].config.eos_id
        scorers: list[Scorer] = [RepetitionGuard(speller)]
        if options.length_bonus != 0:
            scorers.append(LengthBonus(speller, eos_id, options.length_bonus))
        if options.coverage_weight > 0:
            scorers.append(CoverageScorer(speller, options.coverage_weight))
        for number, model in enumerate(self.language_models):
            weight = options.lm_weights[number]
            scorers.append(LanguageModelScorer(model, utterance, weight, f"lm_{number + 1}"))
        # What is subtracted may raise a score: the search does not wait for that.
        if options.internal_lm_weight > 0:
            deaf = self.models[0].make_memory(encoded).silent()
            weight = -options.internal_lm_weight
            scorers.append(SpellerScorer(self.models[0], deaf, utterance, weight, "internal_lm"))
        if self.terms is not None:
            scorers.append(TermScorer(self.terms, utterance, options.term_weight))
        return scorers
