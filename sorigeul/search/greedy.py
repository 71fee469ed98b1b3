"""Greedy search: the best character at every step of the speller, or at every frame of CTC."""

from itertools import groupby

import torch
from torch import Tensor

from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search.hypothesis import Hypothesis, length_limits


@torch.no_grad()
def greedy_search(model: ListenAttendSpell, encoded: ListenerOutput) -> list[Hypothesis]:
    """The hypothesis of each utterance (B) that the speller's best character at every step gives.

    Each character is fed back into the speller. A hypothesis ends at the end-of-sentence token, or
    at its limit by `length_limits`.
    """
    config = model.config
    limits = length_limits(model, encoded)
    memory = model.make_memory(encoded)
    batch, device = len(limits), limits.device
    tokens = torch.full((batch, 1), config.sos_id, device=device)
    running = torch.ones(batch, dtype=torch.bool, device=device)
    state = None
    step_tokens, step_probabilities, step_alignments = [], [], []
    for step in range(int(limits.max())):
        logits, alignment, state = model.speller(tokens, memory, state)
        scores = logits[:, -1].float()
        scores[:, config.sos_id] = scores[:, config.pad_id] = -torch.inf  # never characters
        best, tokens = scores.softmax(-1).max(-1, keepdim=True)
        running = running & (tokens[:, 0] != config.eos_id)
        running_within_limit = running & (step < limits)
        step_tokens.append(torch.where(running_within_limit, tokens[:, 0], config.eos_id))
        step_probabilities.append(best[:, 0])
        step_alignments.append(alignment[:, 0].float())
        if not running_within_limit.any():
            break
    ids = torch.stack(step_tokens, 1).cpu()
    lengths = (ids != config.eos_id).sum(1).tolist()
    probabilities = torch.stack(step_probabilities, 1).cpu()
    alignments = torch.stack(step_alignments, 1).cpu()
    frames = encoded.lengths.tolist()
    return [
        Hypothesis(
            tokens=ids[row, :length].tolist(),
            probabilities=probabilities[row, :length].tolist(),
            # A copy, so that the rest of the batch can be freed.
            alignment=alignments[row, :length, : frames[row]].clone(),
            finished=length < int(limits[row]),
        )
        for row, length in enumerate(lengths)
    ]


@torch.no_grad()
def ctc_best_paths(model: ListenAttendSpell, encoded: ListenerOutput) -> list[Tensor]:
    """The most probable unit of the CTC head in each valid frame, for each utterance (S,).

    Raises ValueError for a model without a CTC head.
    """
    logits = model.ctc_logits(encoded)
    if logits is None:
        raise ValueError("this model has no CTC head")
    paths = logits.argmax(-1).cpu()
    return [path[:valid] for path, valid in zip(paths, encoded.ctc_lengths.tolist(), strict=True)]


def ctc_collapse(path: Tensor, config: LASConfig) -> list[int]:
    """The character ids of a path (S,): repeats merged, blanks removed (Graves et al. 2006)."""
    return [token for token, _ in groupby(path.tolist()) if token < config.sos_id]


def ctc_greedy_search(model: ListenAttendSpell, encoded: ListenerOutput) -> list[list[int]]:
    """Character ids of the best path of the CTC head, for each utterance.

    Raises ValueError for a model without a CTC head.
    """
    return [ctc_collapse(path, model.config) for path in ctc_best_paths(model, encoded)]
