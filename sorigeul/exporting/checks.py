"""Compares exported graphs with the model they were made of, in batches of several sizes.

B utterances, T feature frames, F mel bands, S listener frames, K hypotheses of each utterance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sorigeul.exporting.runtime import ListenerOutput, OnnxModel
from sorigeul.model.las import ListenAttendSpell
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.features import LogMel

_TOLERANCE = 1e-3
"""largest difference, as a share of the largest number that is compared, at least of 1; of float32
in another order of sums, 1e-5 is usual"""
_STEPS = 6  # characters that the speller writes
_HYPOTHESES = 3  # of each utterance, in a beam
_MADE_SECONDS = (0.02, 0.4, 1.3, 2.9, 6.1)


class ExportError(RuntimeError):
    """What was exported does not compute what the model does."""


@dataclass(frozen=True)
class Agreement:
    """What a check found."""

    recordings: int
    difference: float
    """largest difference to the model, as a share as of `_TOLERANCE`"""


@torch.no_grad()
def check_export(
    model: ListenAttendSpell, exported: OnnxModel, log_mel: LogMel, recordings: Sequence[Samples]
) -> Agreement:
    """Compare the graphs with the model on recordings (N,), alone and in batches.

    Every batch is also compared with its utterances one by one, so that padding changes nothing.
    Raises ExportError if they differ.
    """
    order = sorted(recordings, key=len)
    batches = [[one] for one in order]
    if len(order) > 1:
        batches += [order, order[:1] + order[-1:], order[-1:] * 2]
    check = _Check(model, exported)
    alone: list[ListenerOutput] = []
    for batch in batches:
        lengths = torch.tensor([len(samples) for samples in batch])
        waveforms = pad_sequence(list(map(torch.from_numpy, batch)), batch_first=True)
        heard = check.compare(*log_mel(waveforms, lengths))
        if len(batch) == 1:
            alone.append(heard)
        elif len(batch) == len(order):
            for row, single in enumerate(alone):
                check.same_rows(f"padded utterance {row + 1}", heard, row, single)
    return Agreement(len(recordings), check.difference)


def made_recordings() -> list[Samples]:
    """Noise in the rhythm of syllables, in several lengths, for a check without recordings."""
    generator = np.random.default_rng(0)
    recordings = []
    for seconds in _MADE_SECONDS:
        time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        envelope = 0.1 * np.sin(np.pi * 5 * time) ** 2 + 0.001
        noise = generator.standard_normal(len(time)).cumsum() * 0.05
        noise -= np.convolve(noise, np.ones(40) / 40, "same")
        recordings.append((envelope * noise).astype(np.float32))
    return recordings


class _Check:
    """Compares one batch after another, and keeps the largest difference."""

    def __init__(self, model: ListenAttendSpell, exported: OnnxModel) -> None:
        self._model, self._exported = model, exported
        self.difference = 0.0

    def compare(self, features: Tensor, lengths: Tensor) -> ListenerOutput:
        """Compare what is made of features (B, T, F) with valid lengths (B,)."""
        model = self._model
        encoded = model.listen(features, lengths)
        heard = self._exported.listen(features.numpy(), lengths.numpy())
        memory = model.make_memory(encoded)
        self._equal("lengths", heard.lengths, encoded.lengths)
        for row, count in enumerate(heard.lengths.tolist()):
            self._close("listener", heard.values[row, :count], memory.values[row, :count])
            self._close("keys", heard.keys[row, :count], memory.keys[row, :count])
        logits = model.ctc_logits(encoded)
        if logits is not None and heard.ctc_logits is not None:
            self._equal("CTC lengths", heard.ctc_lengths, encoded.ctc_lengths)
            for row, count in enumerate(heard.ctc_lengths.tolist()):
                found = heard.ctc_logits[row, :count]
                self._close("CTC head", found, logits[row, :count])
        widths = (1, _HYPOTHESES) if model.speller.shares_memory else (1,)
        for width in widths:
            self._compare_steps(memory, heard, width)
        return heard

    def same_rows(self, name: str, batch: ListenerOutput, row: int, alone: ListenerOutput) -> None:
        """Compare an utterance of a batch with the same utterance alone."""
        count = int(alone.lengths[0])
        self._close(name, batch.values[row, :count], torch.from_numpy(alone.values[0, :count]))
        if batch.ctc_logits is not None and alone.ctc_logits is not None:
            count = int(alone.ctc_lengths[0])
            expected = torch.from_numpy(alone.ctc_logits[0, :count])
            self._close(name, batch.ctc_logits[row, :count], expected)

    def _compare_steps(self, memory: Any, heard: ListenerOutput, width: int) -> None:
        """Let both spellers write the same characters, with K hypotheses of each utterance."""
        speller, exported = self._model.speller, self._exported.speller
        own = self._exported.make_memory(heard)
        rows = torch.arange(len(memory.values)).repeat_interleave(width)
        state = speller.start(memory).select(rows)
        own_state = exported.start(own).select(rows.numpy())
        tokens = torch.full((len(rows), 1), self._model.config.sos_id)
        tokens[1::2] = 0  # hypotheses that differ
        for _ in range(_STEPS):
            logits, alignment, state = speller(tokens, memory, state)
            found, own_alignment, own_state = exported(tokens.numpy(), own, own_state)
            self._close("speller", found, logits)
            self._close("attention", own_alignment, alignment)
            tokens = logits[:, -1:, : self._model.config.sos_id].argmax(-1)

    def _close(self, name: str, found: npt.NDArray[Any], expected: Tensor) -> None:
        if found.shape != tuple(expected.shape):
            raise ExportError(f"the exported {name} gives {found.shape}, not {expected.shape}")
        if not found.size:
            return
        largest = max(float(expected.abs().max()), 1.0)
        difference = float(np.abs(found - expected.numpy()).max()) / largest
        if not difference <= _TOLERANCE:  # which NaN is not
            raise ExportError(f"the exported {name} differs from the model's by {difference:.2g}")
        self.difference = max(self.difference, difference)

    def _equal(self, name: str, found: npt.NDArray[Any], expected: Tensor) -> None:
        if found.tolist() != expected.tolist():
            raise ExportError(f"the exported {name} are {found}, not {expected}")
