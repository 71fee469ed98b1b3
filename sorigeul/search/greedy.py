"""Greedy search: the best character at every step of the speller, or at every frame of CTC."""

from collections.abc import Sequence

import torch

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
def ctc_greedy_search(
    model: ListenAttendSpell,
    encoded: ListenerOutput,
    parts: Sequence[tuple[float, float]] | None = None,
) -> list[list[int]]:
    """Character ids of the best path of the CTC head, for each utterance.

    Repeats are merged, blanks removed (Graves et al. 2006). `parts` are the beginning and the end
    of what is read of each utterance, as shares of it; None: all. Raises ValueError for a model
    without a CTC head.
    """
    logits = model.ctc_logits(encoded)
    if logits is None:
        raise ValueError("this model has no CTC head")
    config = model.config
    best_paths = logits.argmax(-1).cpu()
    frames = encoded.ctc_lengths.tolist()
    texts = []
    for path, valid, (begin, end) in zip(
        best_paths, frames, parts or [(0.0, 1.0)] * len(frames), strict=True
    ):
        read = path[round(begin * valid) : round(end * valid)].unique_consecutive().tolist()
        texts.append([token for token in read if token < config.sos_id])
    return texts
