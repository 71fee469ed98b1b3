"""Where a run is, and what its epoch has added up so far: plain numbers, which checkpoints keep."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sorigeul.training.learner import StepResult


@dataclass
class RunPosition:
    """Where the run is."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    """of training, evaluation left out"""
    best_crr: float = -math.inf
    """on dev, of the model that is published"""
    stale_epochs: int = 0
    """since the last one that was better than all before"""
    best: list[tuple[float, int]] = field(default_factory=list)
    """dev CRR and number of the epochs whose weights are kept, the best first"""
    bad_steps: int = 0
    """in a row, up to now, whose loss was not finite"""
    warned_of_alignment: bool = False
    finished: bool = False
    started: str = ""
    """date, for the head of the table"""


@dataclass
class EpochTotals:
    """What an epoch adds up, over all processes."""

    utterances: int = 0
    """the unreadable ones included"""
    failures: int = 0
    """utterances whose audio could not be read"""
    steps: int = 0
    skipped_steps: int = 0
    seconds_of_audio: float = 0.0
    seconds: float = 0.0
    seconds_waited: float = 0.0
    """of these, for batches"""
    loss: float = 0.0
    speller_loss: float = 0.0
    ctc_loss: float = 0.0
    guide_loss: float = 0.0
    gradient_norm: float = 0.0
    characters: int = 0
    """characters of the teacher-forced batches, without spaces"""
    errors: int = 0
    """edits between them and the teacher-forced output"""

    def add(self, step: StepResult, seconds_of_audio: float) -> None:
        """Count a step from which something was learnt."""
        self.steps += 1
        self.seconds_of_audio += seconds_of_audio
        for name, loss in zip(("loss", *_PARTS), step.losses, strict=True):
            setattr(self, name, getattr(self, name) + loss)
        self.gradient_norm += step.gradient_norm
        self.characters += step.characters
        self.errors += step.errors

    def means(self) -> dict[str, Any]:
        """The means of the epoch so far, as `metrics.jsonl` names them."""
        steps = max(self.steps, 1)
        return {
            "train_loss": self.loss / steps,
            **{f"train_{name}": getattr(self, name) / steps for name in _PARTS},
            "gradient_norm": self.gradient_norm / steps,
            "audio_seconds_per_second": self.seconds_of_audio / max(self.seconds, 1e-9),
            "waiting_share": self.seconds_waited / max(self.seconds, 1e-9),
        }

    def summary(self) -> dict[str, Any]:
        """What only a whole epoch can tell."""
        right = self.characters - self.errors
        return {
            "train_crr": 100 * right / self.characters if self.characters else None,
            "skipped_steps": self.skipped_steps,
            "failures": self.failures,
        }


_PARTS = ("speller_loss", "ctc_loss", "guide_loss")


def dev_crr(row: Mapping[str, Any], otherwise: float = -math.inf) -> float:
    """By what a model is judged: the higher of its speller's and its CTC head's rate on dev."""
    rates = (row.get(name) for name in ("valid_crr", "valid_ctc_crr"))
    return max((rate for rate in rates if rate is not None), default=otherwise)
