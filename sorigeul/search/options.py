"""How to search: the width of the beam, and what each scorer counts for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import SHARE, TEXTS, WEIGHT, Range, check_ranges

Precision = Literal["float32", "bfloat16", "int8"]
"""number format of the heavy arithmetic"""

BEAM, BONUS = Range(0, 1000), Range(-1000, 1000)

BEAM_WIDTH = 6
"""default number of hypotheses in a beam; eight gain 0.1 points on dev of Pansori"""
LM_BEAM_WIDTH = 32
"""the same beside a language model, whose words take some characters until they pay: on dev of
Pansori 62 % of the words are wrong with 6, and 57 with 32 (docs/lab.md, 2026-11-28)"""
CTC_WEIGHT = 0.35
"""weight of CTC in a beam, beside the speller; with the bonus below the best on dev of Pansori and
of the demo corpus (docs/lab.md), and 0.7 without one"""
_CTC_WEIGHTS = 0.2, 0.7
"""the range of that weight, where it comes from errors on dev"""
_FEW_ERRORS = 2.0  # in %
LENGTH_BONUS = 0.8
"""bonus for each character: log-probabilities fall with each, and so favour short texts"""
LM_WEIGHTS = 0.3, 0.5
"""weight of language models, together, that no weights have been fitted for: of a model that makes
no errors on dev, and of one that makes many"""
INTERNAL_LM_WEIGHTS = 0.0, 0.3
"""what then is subtracted of what the speller expects by itself. With it a language model brings
six points on dev of Pansori, where half of the characters are wrong, and two without; on dev of the
demo corpus, where two of a hundred are, it costs half a point (docs/lab.md, 2026-11-28)"""
_MANY_ERRORS = 40.0  # in %
LM_LENGTH_BONUS = 1.0
"""bonus for each character beside such a language model, which shortens texts further"""
RESCORED_TEXTS = 10
"""how many texts of each utterance are judged again by such a model, if no more are asked for"""
RESCORE_WEIGHT = 0.5
"""weight of a model that ranks the n-best texts anew; on dev of Pansori 0.3 is as good, 1 worse"""

NO_LM = "none"
"""in place of a language model: without the one that an export has"""

_NUMBER = tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")


@dataclass(frozen=True)
class SearchOptions:
    """The width of the beam, and what each scorer counts for.

    The score of a text is ``1 - ctc_weight`` times the speller's log-probability, plus the others
    times their weights. Raises UserError for values that make no sense.
    """

    beam: Annotated[int, BEAM] = 0
    """hypotheses side by side; 1: the speller's best character at every step, unless something else
    is to be scored too; 0: `LM_BEAM_WIDTH` beside a language model, `BEAM_WIDTH` for a model with a
    CTC head, else 1"""
    ctc_weight: Annotated[float, SHARE] = CTC_WEIGHT
    """of the CTC prefix score, 0 to 1; nothing for a model without a CTC head"""
    length_bonus: Annotated[float, BONUS] = LENGTH_BONUS
    """added for each character"""
    coverage_weight: Annotated[float, WEIGHT] = 0.0
    """of each frame that the attention covers"""
    lm_weights: Annotated[tuple[float, ...], WEIGHT] = ()
    """of each language model"""
    internal_lm_weight: Annotated[float, WEIGHT] = 0.0
    """subtracted: what the speller expects without hearing anything (Meng et al. 2021)"""
    term_weight: Annotated[float, WEIGHT] = 1.5
    """of each character of a term, if there are terms"""
    nbest: Annotated[int, TEXTS] = 1
    """how many texts the search returns for each utterance"""

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self)


def untuned_ctc_weight(results: Mapping[str, str | float]) -> float:
    """What the CTC head counts for, by the `results` of a model on dev.

    That is the speller's share of all errors that the two make alone: the more it errs, the less it
    should say. With `CTC_WEIGHT` for all models, one whose speller was still behind lost 1.6 points
    of CRR, and 5 beside a language model (docs/lab.md, 2026-11-27). `CTC_WEIGHT` if the results do
    not say.
    """
    errors = _errors_on_dev(results)
    if len(errors) < 2:
        return CTC_WEIGHT
    speller, ctc = errors
    # Where both make few errors, chance decides who makes more: a few errors more than they made,
    # shared out as the default has it.
    share = (speller + _FEW_ERRORS * CTC_WEIGHT) / (speller + ctc + _FEW_ERRORS)
    low, high = _CTC_WEIGHTS
    return round(min(max(share, low), high), 3)


def untuned_lm_weights(results: Mapping[str, str | float]) -> tuple[float, float]:
    """What language models count for together, and the internal one, by `results` as above.

    The more a model errs, the more it helps to know which texts are likely, and the more of what
    the speller believes comes from the few texts that it learnt from. In tenths, since the internal
    one doubles the work of the search, however little it counts.
    """
    share = min(min(_errors_on_dev(results), default=_MANY_ERRORS / 2) / _MANY_ERRORS, 1.0)
    pairs = LM_WEIGHTS, INTERNAL_LM_WEIGHTS
    weight, internal = (round(low + share * (high - low), 1) for low, high in pairs)
    return weight, internal


def _errors_on_dev(results: Mapping[str, str | float]) -> list[float]:
    """Of the speller and of the CTC head alone, in %; fewer if the results do not say."""
    errors = []
    for name in ("valid_crr", "valid_ctc_crr"):
        try:
            errors.append(100 - float(results[name]))
        except (KeyError, TypeError, ValueError):
            continue
    return [error for error in errors if math.isfinite(error) and error >= 0]


@dataclass(frozen=True)
class SearchRequest:
    """What a user asks of the search; what is left out is as tuned, or else as by default."""

    beam: Annotated[int, BEAM] = 0
    """texts that the search keeps side by side; 1: the speller's best character at every step,
    unless there is something else to judge it by; 0: as tuned, or else 32 with a language model, 6
    for a model with a CTC head and 1 for any other"""
    lm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="LM")] = ()
    """language model, a folder made by 'sorigeul lm train' or a Hugging Face id, that judges the
    texts as well; may be given several times. none: not even the one that an export has"""
    lm_weight: Annotated[tuple[float, ...], WEIGHT, tyro.conf.UseAppendAction] = ()
    """what each language model counts for, once for each --lm; if not given, as tuned, else 0.3 to
    0.5 for all together, the more, the more errors the model makes on dev"""
    length_bonus: Annotated[float | None, BONUS, _NUMBER] = None
    """added to a text's score for each character, or unit of a bpe vocabulary; if not given, as
    tuned, else 1.0 with a language model and 0.8 without"""
    ctc_weight: Annotated[float | None, SHARE, _NUMBER] = None
    """what the CTC head counts for; the speller counts for the rest. If not given, as tuned, else
    the more, the fewer errors it makes on dev compared with the speller"""
    internal_lm_weight: Annotated[float | None, WEIGHT, _NUMBER] = None
    """what the speller expects without hearing anything counts for, against it; it is in the way of
    a language model. If not given, as tuned, else 0 to 0.3 in the same way; and less as
    far as --lm_weight asks for less"""
    ensemble: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="RUN")
    ] = ()
    """another model with the same characters whose judgement is averaged with RUN's; may be given
    several times"""
    terms: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """text file of names and jargon that are expected, one a line, with a weight after a tab if
    some are more likely than others"""
    term_weight: Annotated[float | None, WEIGHT, _NUMBER] = None
    """what each character of a term adds to a text's score; if not given, 1.5"""
    rescore: Annotated[str, tyro.conf.arg(metavar="RUN", help_behavior_hint="")] = ""
    """another model that chooses among the ten best texts of each segment; unlike those of an
    ensemble it may have other characters"""
    rescore_weight: Annotated[float | None, WEIGHT, _NUMBER] = None
    """what that model counts for, where RUN counts 1; if not given, 0.5"""

    def __post_init__(self) -> None:
        """Check what can be checked without models."""
        check_ranges(self)
        if NO_LM in self.lm and len(self.lm) > 1:
            raise UserError(f"--lm {NO_LM} means no language model: give no other --lm beside it")
        if self.lm_weight and len(self.lm_weight) != len(self.lm):
            raise UserError(
                f"there are {len(self.lm_weight)} of --lm_weight and {len(self.lm)} of --lm: "
                "give one for each, in the same order, or none"
            )
        if self.term_weight is not None and self.terms is None:
            raise UserError("--term_weight goes with --terms FILE")
        if self.rescore_weight is not None and not self.rescore:
            raise UserError("--rescore_weight goes with --rescore RUN")

    @property
    def given(self) -> list[str]:
        """The options that were given, with their hyphens."""
        return [
            f"--{field.name}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]

    def options(
        self,
        tuned: SearchOptions | None,
        nbest: int = 1,
        results: Mapping[str, str | float] | None = None,
    ) -> SearchOptions:
        """The options of the search, where `tuned` are those fitted for these language models.

        If there are none, they go by the model's `results` on dev.
        """
        lm_weight, internal_lm_weight = untuned_lm_weights(results or {})
        options = tuned or SearchOptions(
            ctc_weight=untuned_ctc_weight(results or {}),
            lm_weights=tuple(lm_weight / len(self.lm) for _ in self.lm),
            internal_lm_weight=internal_lm_weight if self.lm else 0.0,
            length_bonus=LM_LENGTH_BONUS if self.lm else LENGTH_BONUS,
        )
        internal = self.internal_lm_weight
        if internal is None and self.lm_weight and any(options.lm_weights):
            # They are only right together: less of the one, less of the other.
            share = sum(self.lm_weight) / sum(options.lm_weights)
            internal = options.internal_lm_weight * min(share, 1.0)
        changes = {
            "beam": self.beam or None,
            "lm_weights": self.lm_weight or None,
            "length_bonus": self.length_bonus,
            "ctc_weight": self.ctc_weight,
            "internal_lm_weight": internal,
            "term_weight": self.term_weight,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(options, nbest=nbest, **given)  # type: ignore[arg-type]


AS_TUNED = SearchRequest()
"""asks for nothing in particular"""
