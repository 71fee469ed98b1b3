"""Confidence of words and segments, and its calibration.

A raw confidence puts texts in order: what has more is more often correct. A calibration turns it
into a probability: of the words with 0.7, seven in ten are correct.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from sorigeul.base.errors import UserError

_CTC_SHARE = 0.3
"""of CTC in a raw confidence, the rest is the speller's. On dev of Pansori it is best between 0.2
for words and 0.5 for segments"""
_MIN_PROBABILITY = 1e-9  # so that its logarithm is finite
_MIN_RAW, _MAX_RAW = 1e-6, 1 - 1e-6  # so that the logit is finite
_MIN_SLOPE = 0.01  # so that more raw confidence is never less confidence
_STEPS = 100  # of Newton's method, which needs about ten
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Calibration:
    """Platt scaling: a straight line in the logit (Platt 1999, Guo et al. 2017)."""

    temperature: float = 1.0
    """what the logit of a raw confidence is divided by; 1 changes nothing"""
    bias: float = 0.0
    """what is added afterwards"""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise UserError(f"temperature is {self.temperature}, but must be above 0")
        if not math.isfinite(self.bias):
            raise UserError(f"bias is {self.bias}, but must be a finite number")

    def __call__(self, raw: float) -> float:
        """The calibrated confidence for a raw one, both 0 to 1."""
        if self == Calibration():
            return raw
        logit = math.log(_clamp(raw) / (1 - _clamp(raw))) / self.temperature + self.bias
        return 0.5 * (1 + math.tanh(0.5 * logit))  # the sigmoid, without overflow

    def to_json(self) -> dict[str, float]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Any, name: str) -> "Calibration":
        """What `to_json` gave; UserError with `name`, where it stands, if it is damaged."""
        names = {field.name for field in fields(cls)}
        if not isinstance(content, Mapping) or content.keys() != names:
            raise UserError(f"{name}: a calibration has {' and '.join(sorted(names))}; tune again")
        if not all(type(value) in (int, float) for value in content.values()):
            raise UserError(f"{name}: the values of a calibration are numbers; tune again")
        return cls(**{key: float(value) for key, value in content.items()})


@dataclass(frozen=True)
class ConfidenceCalibration:
    """The calibration of a model: of its words, and of its segments."""

    words: Calibration = Calibration()
    """from the raw confidence of a word to the probability that it is correct"""
    segments: Calibration = Calibration()
    """from the raw confidence of a segment to the share of its characters that is correct"""

    def to_json(self) -> dict[str, dict[str, float]]:
        """Both calibrations by name."""
        return {"words": self.words.to_json(), "segments": self.segments.to_json()}

    @classmethod
    def from_json(cls, content: Any, name: str) -> "ConfidenceCalibration":
        """What `to_json` gave; UserError with `name`, where it stands, if it is damaged."""
        if not isinstance(content, Mapping) or content.keys() != {"words", "segments"}:
            raise UserError(f"{name}: calibrations are of words and of segments; tune again")
        return cls(
            Calibration.from_json(content["words"], f"{name}, words"),
            Calibration.from_json(content["segments"], f"{name}, segments"),
        )


def fit_calibration(confidences: Sequence[float], corrects: Sequence[float]) -> Calibration:
    """The calibration that makes `corrects` most probable.

    Parameters
    ----------
    confidences : raw confidences (N,)
    corrects : for each, whether it was correct, or which share of it was, 0 to 1 (N,)

    The likelihood gets the weight of one more observation that wants no change, so that few data
    give a modest calibration, and none the identity. Raises ValueError for lists of different
    lengths.
    """
    if len(confidences) != len(corrects):
        raise ValueError(f"{len(confidences)} confidences, but {len(corrects)} corrects")
    raw = np.clip(np.asarray(confidences, np.float64), _MIN_RAW, _MAX_RAW)
    inputs = np.stack((np.log(raw / (1 - raw)), np.ones_like(raw)), axis=1)
    targets = np.asarray(corrects, np.float64)
    identity = np.array([1.0, 0.0])
    weights = identity  # slope and bias
    for _ in range(_STEPS):  # the loss is convex: Newton's method with halved steps finds its least
        predicted = 0.5 * (1 + np.tanh(0.5 * inputs @ weights))
        gradient = inputs.T @ (predicted - targets) + weights - identity
        curvature = (inputs.T * (predicted * (1 - predicted))) @ inputs + np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size, before = 1.0, _loss(inputs, targets, weights, identity)
        while size > _TOLERANCE and (
            _loss(inputs, targets, weights - size * step, identity) > before
        ):
            size /= 2
        weights = weights - size * step
        if np.abs(size * step).max() < _TOLERANCE:
            break
    slope, bias = weights.tolist()
    return Calibration(temperature=1 / max(slope, _MIN_SLOPE), bias=bias)


def _loss(inputs: Any, targets: Any, weights: Any, identity: Any) -> float:
    logits = inputs @ weights
    likelihood = np.logaddexp(0, logits) - targets * logits
    return float(likelihood.sum() + 0.5 * np.square(weights - identity).sum())


def raw_confidence(speller: Sequence[float], ctc: Sequence[float] | None) -> float:
    """The raw confidence of some characters; 0 for none.

    The geometric mean of the probabilities by the speller, and of those by the CTC head on the
    frames of each character, if it aligned them.
    """
    mean = geometric_mean(speller)
    if ctc is None:
        return mean
    return float(mean ** (1 - _CTC_SHARE) * geometric_mean(ctc) ** _CTC_SHARE)


def geometric_mean(probabilities: Sequence[float]) -> float:
    """The geometric mean; 0 for no probabilities."""
    logs = [math.log(max(probability, _MIN_PROBABILITY)) for probability in probabilities]
    return math.exp(sum(logs) / len(logs)) if logs else 0.0


def _clamp(raw: float) -> float:
    return min(max(raw, _MIN_RAW), _MAX_RAW)
