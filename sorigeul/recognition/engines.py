"""What computes a model: how segments become a batch, features, and the listener's frames.

`TorchEngine` in its own module needs PyTorch; `OnnxEngine` does not. Everything after the listener
is the same code for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from sorigeul.base.arrays import Array
from sorigeul.base.errors import UserError
from sorigeul.exporting.runtime import onnx_model
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.sound.array_features import ArrayLogMel, Floats, Integers
from sorigeul.sound.segments import SpeechSegment


class Engine(Protocol):
    """What a `Recognizer` computes with."""

    device: Any
    """where: a device of PyTorch, or "cpu" """
    batch_seconds: float
    """most seconds of audio that are worth a batch, padding included"""

    @property
    def log_mels(self) -> Sequence[Any]:
        """The features of each model."""

    def padded(self, batch: Sequence[SpeechSegment]) -> tuple[Array, Array]:
        """Segments of speech -> waveforms (B, N), lengths (B,)."""

    def encode(self, waveforms: Array, lengths: Array) -> list[Any]:
        """Waveforms (B, N), lengths (B,) -> the listener's frames, by each model."""

    def precision_context(self) -> AbstractContextManager[Any]:
        """The context in which the models compute at the precision that was asked for."""


class OnnxEngine:
    """Computes exported models, by ONNX Runtime and NumPy."""

    device = "cpu"
    batch_seconds = 30.0  # more does not fit the caches

    def __init__(self, members: Sequence[PretrainedModel]) -> None:
        self._models: list[Any] = [member.model for member in members]
        self.log_mels = [ArrayLogMel(member.features) for member in members]

    def padded(self, batch: Sequence[SpeechSegment]) -> tuple[Floats, Integers]:
        """As `Engine.padded`."""
        lengths = np.array([len(one.samples) for one in batch], np.int64)
        waveforms = np.zeros((len(batch), lengths.max()), np.float32)
        for row, one in zip(waveforms, batch, strict=True):
            row[: len(one.samples)] = one.samples
        return waveforms, lengths

    def encode(self, waveforms: Floats, lengths: Integers) -> list[Any]:
        """As `Engine.encode`."""
        pairs = zip(self._models, self.log_mels, strict=True)
        return [model.listen(*log_mel(waveforms, lengths)) for model, log_mel in pairs]

    def precision_context(self) -> AbstractContextManager[None]:
        """Nothing: the graphs say what they compute in."""
        return nullcontext()


def make_engine(members: Sequence[PretrainedModel], precision: str) -> Engine:
    """The engine of models that are computed together.

    Raises UserError if only some of them are graphs, and for a precision that there is not.
    """
    exported = [onnx_model(member) is not None for member in members]
    if not any(exported):
        from sorigeul.recognition.torch_engine import TorchEngine

        return TorchEngine(members, precision)
    if not all(exported):
        raise UserError(
            "an ensemble has an export, and a run that PyTorch computes here: give the run that "
            "the export was made of"
        )
    if precision != "float32":
        raise UserError(
            f"precision {precision} is for runs: an export is made with or without --int8"
        )
    return OnnxEngine(members)
