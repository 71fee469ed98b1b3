"""Warnings of a training run: text that cannot be learnt, attention that aligns nothing.

Does not know when they are due.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from lhotse import CutSet

from sorigeul.data.statistics import too_fast_for_ctc
from sorigeul.evaluation.attention_metrics import ALIGNED_DIAGONALITY, AttentionMetrics
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.settings import Settings

FEW_LISTENER_LAYERS = 3
"""recurrent layers of a listener that learns quickly: after two epochs of Pansori, CTC recognised
28 % of dev with three layers and 8 % with five (docs/lab.md, 2026-11-23)"""


def text_warnings(
    cuts: CutSet, characters: Mapping[str, int], vocabulary: Vocabulary, settings: Settings
) -> Iterator[str]:
    """Warn of training text that the vocabulary or the frame rate of CTC leaves out.

    `characters` are the characters of the training text and how often each occurs.
    """
    unknown = vocabulary.unknown_characters(characters)
    if unknown:
        yield (
            f"{sum(unknown.values())} characters of the training text ({len(unknown)} kinds) are "
            f"not in the vocabulary and are left out: {' '.join(sorted(unknown)[:20])}"
        )
    if settings.model.ctc_weight == 0:
        return
    rate = settings.features.frames_per_second / settings.model.ctc_reduction
    too_fast = list(too_fast_for_ctc(cuts, vocabulary, rate))
    if too_fast:
        examples = "; ".join(f"{name} ({reason})" for name, reason in too_fast[:5])
        yield (
            f"{len(too_fast)} training utterances are spoken too fast for CTC at {rate:.1f} frames "
            f"a second; only the speller learns from them: {examples}"
        )


def alignment_warning(
    attention: AttentionMetrics, step: int, settings: Settings, corpus: Path
) -> str | None:
    """What to try if the attention on dev aligns nothing at `alignment_by` or later, else None."""
    due = settings.training.alignment_by
    if attention.aligned or not 0 < due <= step:
        return None
    model = settings.model
    remedies = {
        "set ctc_weight and guide_weight above 0": not model.guide_weight,
        f"a time_reduction below {model.reduction}": model.reduction > 8,
        f"a listener_layer_size of {FEW_LISTENER_LAYERS}": (
            model.listener_layer_size > FEW_LISTENER_LAYERS
        ),
        "more data": True,
        f"'sorigeul doctor {corpus}', which tells whether training can work": True,
    }
    advice = "; ".join(remedy for remedy, applies in remedies.items() if applies)
    return (
        f"the attention has found no alignment in {step} steps (diagonality below "
        f"{ALIGNED_DIAGONALITY:g}; on dev: {attention}): the speller does not hear what it writes. "
        f"What may help: {advice}"
    )
