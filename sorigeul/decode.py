"""Search: what the listener heard to character ids. Knows scores, not audio and not text.

Greedy for now: at every step the best character goes back into the speller, until the end mark.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sorigeul.model.las import ListenAttendSpell, Listened

_CHARACTERS_PER_FRAME = 0.15  # 15 a second at 100 frames: half as fast again as anyone speaks
_CHARACTERS_MORE = 8


@dataclass(frozen=True)
class Hypothesis:
    """What was spelled for one utterance."""

    tokens: list[int]
    """character ids without specials (U)"""
    probabilities: list[float]
    """the model's probability of each character (U)"""
    alignment: Tensor
    """attention of each character over the valid listener frames (U, S)"""
    finished: bool
    """false where the longest possible length was reached before an end mark"""


@torch.no_grad()
def greedy(model: ListenAttendSpell, listened: Listened) -> list[Hypothesis]:
    """The best character at every step, for a whole batch at once.

    An utterance ends at its end mark, or after as many characters as nobody could have said in its
    time: a model that repeats itself stops all the same.
    """
    config = model.config
    frames = listened.lengths * config.reduction
    limits = (frames * _CHARACTERS_PER_FRAME).long() + _CHARACTERS_MORE
    memory = model.remember(listened)
    batch, device = len(limits), limits.device
    tokens = torch.full((batch, 1), config.sos_id, device=device)
    running = torch.ones(batch, dtype=torch.bool, device=device)
    state = None
    spelled, probabilities, alignments = [], [], []
    for step in range(int(limits.max())):
        logits, alignment, state = model.speller(tokens, memory, state)
        scores = logits[:, -1].float()
        scores[:, config.sos_id] = scores[:, config.pad_id] = -torch.inf  # never characters
        best, tokens = scores.softmax(-1).max(-1, keepdim=True)
        running = running & (tokens[:, 0] != config.eos_id)
        running_within = running & (step < limits)
        spelled.append(torch.where(running_within, tokens[:, 0], config.eos_id))
        probabilities.append(best[:, 0])
        alignments.append(alignment[:, 0].float())
        if not running_within.any():
            break
    ids = torch.stack(spelled, 1).cpu()
    kept = (ids != config.eos_id).sum(1).tolist()
    chances = torch.stack(probabilities, 1).cpu()
    alignment = torch.stack(alignments, 1).cpu()
    lengths = listened.lengths.tolist()
    return [
        Hypothesis(
            tokens=ids[row, :count].tolist(),
            probabilities=chances[row, :count].tolist(),
            alignment=alignment[row, :count, : lengths[row]],
            finished=count < int(limits[row]),
        )
        for row, count in enumerate(kept)
    ]


@torch.no_grad()
def ctc_greedy(model: ListenAttendSpell, listened: Listened) -> list[list[int]]:
    """The best path of the CTC head: repeats merged, blanks removed (Graves et al. 2006)."""
    logits = model.ctc_logits(listened)
    if logits is None:
        raise ValueError("this model has no CTC head")
    config = model.config
    rows = logits.argmax(-1).cpu()
    lengths = listened.ctc_lengths.tolist()
    return [
        [token for token in row[:length].unique_consecutive().tolist() if token < config.sos_id]
        for row, length in zip(rows, lengths, strict=True)
    ]
