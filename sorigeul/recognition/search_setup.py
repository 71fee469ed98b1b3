"""What a recogniser searches with: other models, language models and terms, and their weights."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.exporting.runtime import is_export
from sorigeul.lm.language_model import LanguageModel
from sorigeul.lm.loading import load_language_model
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.recognition.model_loading import device_of, find_model, load_beside
from sorigeul.search.options import RESCORE_WEIGHT, SearchOptions, SearchRequest
from sorigeul.search.terms import Terms
from sorigeul.text.vocabulary import Vocabulary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchSetup:
    """Everything that judges a text besides the model itself."""

    options: SearchOptions = field(default_factory=SearchOptions)
    partners: Sequence[PretrainedModel] = ()
    """models whose judgement is averaged with that of the model itself"""
    language_models: Sequence[LanguageModel[Any]] = ()
    terms: Terms | None = None
    rescorer: PretrainedModel | None = None
    """a model that ranks the n-best texts anew, and may have other characters"""
    rescore_weight: float = RESCORE_WEIGHT
    """of its log-probabilities, beside the score of the search"""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """as `pretrained.search_settings.TunedSearch` has it"""

    @classmethod
    def load(
        cls,
        pretrained: PretrainedModel,
        request: SearchRequest,
        nbest: int = 1,
    ) -> "SearchSetup":
        """Load what a user asks for, with the weights that were tuned for it if there are any.

        All go where the model is. Raises UserError if something cannot be loaded, has other
        characters than the model, or needs PyTorch beside an export.
        """
        vocabulary, device = pretrained.vocabulary, device_of(pretrained)
        if request.rescore and (device is None or is_export(find_model(request.rescore))):
            raise UserError("--rescore needs PyTorch: give a run rather than an export")
        partners = [load_beside(source, pretrained) for source in request.ensemble]
        for source, partner in zip(request.ensemble, partners, strict=True):
            _require_same_characters(source, partner.vocabulary, vocabulary)
        language_models = [load_language_model(source, device) for source in request.lm]
        for source, model in zip(request.lm, language_models, strict=True):
            _require_same_characters(source, model.vocabulary, vocabulary)
        terms = None
        if request.terms is not None:
            terms = Terms.read(request.terms, vocabulary)
            if terms.unknown:
                some = ", ".join(terms.unknown[:5])
                log.warning("the model cannot write %d of the terms: %s", len(terms.unknown), some)
        fingerprints = [model.fingerprint for model in language_models]
        tuned = pretrained.search.find(fingerprints)
        if tuned is None and language_models and not request.lm_weight:
            log.warning(
                "no weights were tuned for %s yet: the usual ones count, and 'sorigeul tune' "
                "finds better ones",
                ", ".join(request.lm),
            )
        weight = request.rescore_weight
        return cls(
            options=pretrained.search_options(request, fingerprints, nbest),
            partners=partners,
            language_models=language_models,
            terms=terms,
            rescorer=load_beside(request.rescore, pretrained) if request.rescore else None,
            rescore_weight=RESCORE_WEIGHT if weight is None else weight,
            calibration={} if tuned is None else tuned.calibration,
        )


def _require_same_characters(source: str, found: Vocabulary, expected: Vocabulary) -> None:
    if found.hash != expected.hash:
        raise UserError(
            f"{source} has other characters than the model, {len(found)} in place of "
            f"{len(expected)}: train it with the model's own (--vocabulary RUN)"
        )
