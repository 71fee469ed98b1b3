"""Step, epoch and running totals of a training run; saved in every checkpoint."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the learner imports Lightning Fabric, which takes seconds
    from sorigeul.training.learner import StepResult

# The names of the fields below are keys of the checkpoints: a renamed one breaks old runs.

DEV_BEAM_CRR = "valid_beam_crr"
"""of a row of `metrics.jsonl`: the CRR of the search with `dev_beam`"""

_LOSS_NAMES = ("speller_loss", "ctc_loss", "guide_loss", "jamo_loss")


@dataclass
class RunPosition:
    """How far a run is, and which of its epochs were the best."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    """seconds of training, without evaluation"""
    best_crr: float = -math.inf
    """CRR on dev of the model that is published, in %"""
    dev_beam: int = 1
    """beam of the search that this CRR and those of `best` are of"""
    stale_epochs: int = 0
    """epochs since the last one that was better than all before it"""
    best: list[tuple[float, int]] = field(default_factory=list)
    """dev CRR and number of each epoch whose weights are kept, the best first"""
    bad_steps: int = 0
    """steps in a row, up to now, whose loss was not finite"""
    warned_of_alignment: bool = False
    finished: bool = False
    started: str = ""
    """date on which the run was started, for the head of the table"""


@dataclass
class EpochTotals:
    """Sums over the steps of the current epoch and over all processes."""

    utterances: int = 0
    """utterances that were read, including the unreadable ones"""
    failures: int = 0
    """utterances whose audio could not be read"""
    steps: int = 0
    """steps that updated the weights"""
    skipped_steps: int = 0
    seconds_of_audio: float = 0.0
    seconds: float = 0.0
    """seconds of training"""
    seconds_waited: float = 0.0
    """seconds of them that were spent waiting for batches"""
    loss: float = 0.0
    speller_loss: float = 0.0
    ctc_loss: float = 0.0
    guide_loss: float = 0.0
    jamo_loss: float = 0.0
    gradient_norm: float = 0.0
    characters: int = 0
    """characters of the teacher-forced batches, without spaces"""
    errors: int = 0
    """edit distance between these characters and the teacher-forced output"""

    def add(self, step: "StepResult", seconds_of_audio: float) -> None:
        """Add a step that updated the weights."""
        self.steps += 1
        self.seconds_of_audio += seconds_of_audio
        for name, loss in zip(("loss", *_LOSS_NAMES), step.losses, strict=True):
            setattr(self, name, getattr(self, name) + loss)
        self.gradient_norm += step.gradient_norm
        self.characters += step.characters
        self.errors += step.errors

    def means(self) -> dict[str, Any]:
        """Means over the epoch so far, under their names in `metrics.jsonl`."""
        steps = max(self.steps, 1)
        return {
            "train_loss": self.loss / steps,
            **{f"train_{name}": getattr(self, name) / steps for name in _LOSS_NAMES},
            "gradient_norm": self.gradient_norm / steps,
            "audio_seconds_per_second": self.seconds_of_audio / max(self.seconds, 1e-9),
            "waiting_share": self.seconds_waited / max(self.seconds, 1e-9),
        }

    def summary(self) -> dict[str, Any]:
        """Metrics that only make sense for a whole epoch, under their names in `metrics.jsonl`."""
        correct = self.characters - self.errors
        return {
            "train_crr": 100 * correct / self.characters if self.characters else None,
            "skipped_steps": self.skipped_steps,
            "failures": self.failures,
        }


def dev_crr(row: Mapping[str, Any], default: float = -math.inf) -> float:
    """The CRR on dev by which models are compared.

    That of the search by speller and CTC head together, or without it the higher one of both alone.
    `row` is a row of `metrics.jsonl`; without a dev split the result is `default`.
    """
    if (rate := row.get(DEV_BEAM_CRR)) is not None:
        return float(rate)
    rates = (row.get(name) for name in ("valid_crr", "valid_ctc_crr"))
    return max((rate for rate in rates if rate is not None), default=default)
