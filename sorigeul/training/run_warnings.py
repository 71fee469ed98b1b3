"""What a run should warn of: text that cannot be learnt, attention that aligns nothing.

Knows how to tell and what to advise; nothing of when.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from lhotse import CutSet

from sorigeul.data.statistics import too_fast_for_ctc
from sorigeul.evaluation.attention_metrics import FORMED, AttentionMetrics
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.settings import Settings

SHALLOW = 3
"""recurrent layers of a listener that soon hears something: after two epochs of Pansori CTC
recognised 28 % of dev, with five of them 8 % (docs/lab.md, 2026-11-23)"""


def text_warnings(
    cuts: CutSet, characters: Mapping[str, int], vocabulary: Vocabulary, settings: Settings
) -> Iterator[str]:
    """Which training text, whose `characters` are counted, vocabulary or frame rate leave out."""
    unknown = vocabulary.unknown_characters(characters)
    if unknown:
        yield (
            f"{sum(unknown.values())} characters of the training text ({len(unknown)} kinds) are "
            f"not in the vocabulary and are left out: {' '.join(sorted(unknown)[:20])}"
        )
    if settings.model.ctc_weight == 0:
        return
    rate = settings.features.frames_per_second / settings.model.ctc_reduction
    fast = list(too_fast_for_ctc(cuts, vocabulary, rate))
    if fast:
        named = "; ".join(f"{name} ({reason})" for name, reason in fast[:5])
        yield (
            f"{len(fast)} training utterances are spoken too fast for CTC at {rate:.1f} frames a "
            f"second; only the speller learns from them: {named}"
        )


def alignment_warning(
    aligned: AttentionMetrics, step: int, settings: Settings, corpus: Path
) -> str | None:
    """What to try where the attention aligns nothing by the step at which it should."""
    by = settings.training.alignment_by
    if aligned.formed or not 0 < by <= step:
        return None
    model = settings.model
    remedies = {
        "set ctc_weight and guide_weight above 0": not model.guide_weight,
        f"a time_reduction below {model.reduction}": model.reduction > 8,
        f"a listener_layer_size of {SHALLOW}": model.listener_layer_size > SHALLOW,
        "more data": True,
        f"'sorigeul doctor {corpus}', which tells whether training can work": True,
    }
    what = "; ".join(remedy for remedy, may in remedies.items() if may)
    return (
        f"the attention has found no alignment in {step} steps (diagonality below {FORMED:g}; on "
        f"dev: {aligned}): the speller does not hear what it writes. What may help: {what}"
    )
