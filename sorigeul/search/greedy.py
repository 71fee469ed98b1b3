"""Greedy search: the best character at every step of the speller, or at every frame of CTC."""

from __future__ import annotations

from itertools import groupby
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sorigeul.base.arrays import astype, inference, log_softmax, namespace, to_numpy
from sorigeul.search.hypothesis import Hypothesis, length_limits

if TYPE_CHECKING:
    from sorigeul.model.config import LASConfig
    from sorigeul.model.las import ListenAttendSpell, ListenerOutput

Path = npt.NDArray[np.int64]
"""the unit of each CTC frame (S,)"""


@inference()
def greedy_search(model: ListenAttendSpell, encoded: ListenerOutput) -> list[Hypothesis]:
    """The hypothesis of each utterance (B) that the speller's best character at every step gives.

    Each character is fed back into the speller. A hypothesis ends at the end-of-sentence token, or
    at its limit by `length_limits`.
    """
    config = model.config
    limits = length_limits(model, encoded)
    memory = model.make_memory(encoded)
    xp, batch, device = namespace(limits), len(limits), limits.device
    tokens = xp.full((batch, 1), config.sos_id, device=device)
    running = xp.ones(batch, dtype=xp.bool, device=device)
    state = None
    step_tokens, step_probabilities, step_alignments = [], [], []
    for step in range(int(limits.max())):
        logits, alignment, state = model.speller(tokens, memory, state)
        scores = astype(logits[:, -1], xp.float32)
        scores[:, [config.sos_id, config.pad_id]] = -inf  # never characters
        best = scores.argmax(-1)
        tokens = best[:, None]
        running = running & (best != config.eos_id)
        running_within_limit = running & (step < limits)
        step_tokens.append(xp.where(running_within_limit, best, config.eos_id))
        rows = xp.arange(batch, device=device)
        step_probabilities.append(xp.exp(log_softmax(scores)[rows, best]))
        step_alignments.append(astype(alignment[:, 0], xp.float32))
        if not running_within_limit.any():
            break
    ids = to_numpy(xp.stack(step_tokens, 1))
    lengths = (ids != config.eos_id).sum(1).tolist()
    probabilities = to_numpy(xp.stack(step_probabilities, 1))
    alignments = to_numpy(xp.stack(step_alignments, 1))
    frames = encoded.lengths.tolist()
    return [
        Hypothesis(
            tokens=ids[row, :length].tolist(),
            probabilities=probabilities[row, :length].tolist(),
            # A copy, so that the rest of the batch can be freed.
            alignment=alignments[row, :length, : frames[row]].copy(),
            finished=length < int(limits[row]),
        )
        for row, length in enumerate(lengths)
    ]


@inference()
def ctc_best_paths(model: ListenAttendSpell, encoded: ListenerOutput) -> list[Path]:
    """The most probable unit of the CTC head in each valid frame, for each utterance (S,).

    Raises ValueError for a model without a CTC head.
    """
    logits = model.ctc_logits(encoded)
    if logits is None:
        raise ValueError("this model has no CTC head")
    paths = to_numpy(logits.argmax(-1))
    return [path[:valid] for path, valid in zip(paths, encoded.ctc_lengths.tolist(), strict=True)]


def ctc_collapse(path: Path, config: LASConfig) -> list[int]:
    """The character ids of a path (S,): repeats merged, blanks removed (Graves et al. 2006)."""
    return [token for token, _ in groupby(path.tolist()) if token < config.sos_id]


def ctc_greedy_search(model: ListenAttendSpell, encoded: ListenerOutput) -> list[list[int]]:
    """Character ids of the best path of the CTC head, for each utterance.

    Raises ValueError for a model without a CTC head.
    """
    return [ctc_collapse(path, model.config) for path in ctc_best_paths(model, encoded)]
