"""CTC alignment: at which frames of an utterance each character of its text lies.

B utterances, S CTC frames, U characters, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class CTCSpans:
    """The frames of each character on the best CTC path of its text."""

    first: Tensor
    """first frame of each character (B, U)"""
    last: Tensor
    """its last frame (B, U)"""
    probability: Tensor
    """geometric mean of its probabilities in these frames (B, U)"""
    aligned: Tensor
    """whether it has any frames (B, U): false past the end of a text, and for every character of a
    text that needs more frames than there are"""


@torch.no_grad()
def ctc_align(
    logits: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    """The most probable CTC path (Graves et al. 2006) of each text, by the Viterbi algorithm.

    Parameters
    ----------
    logits : (B, S, V) with valid frames `lengths` (B,)
    tokens : (B, U) with valid characters `token_lengths` (B,)

    Returns
    -------
    the mean of each character's frame numbers (B, U), and whether it has any frames (B, U): false
    past the end of a text, and for every character of a text that needs more frames than there are
    """
    scores = _state_scores(logits, tokens, blank)
    path, feasible = _best_path(scores, lengths, tokens, token_lengths)
    emitted = _emitted(path, lengths, tokens)
    time = torch.arange(logits.shape[1], device=logits.device)
    count = emitted.sum(1)
    mean_frame = (emitted * time.view(1, -1, 1)).sum(1) / count.clamp_min(1)
    return mean_frame, feasible & (count > 0)


@torch.no_grad()
def ctc_spans(
    logits: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor, blank: int
) -> CTCSpans:
    """The spans of the characters on the same path and from the same arguments as `ctc_align`."""
    # The loop over the frames does little work in each step, which a GPU starts too slowly.
    scores = _state_scores(logits, tokens, blank).cpu()
    lengths, tokens, token_lengths = lengths.cpu(), tokens.cpu(), token_lengths.cpu()
    path, feasible = _best_path(scores, lengths, tokens, token_lengths)
    emitted = _emitted(path, lengths, tokens)
    frames = scores.shape[1]
    time = torch.arange(frames).view(1, -1, 1)
    count = emitted.sum(1)
    first = torch.where(emitted, time, frames).amin(1)
    last = torch.where(emitted, time, -1).amax(1)
    mean_score = torch.where(emitted, scores[:, :, 1::2], 0).sum(1) / count.clamp_min(1)
    return CTCSpans(first, last, mean_score.exp(), feasible & (count > 0))


def _state_scores(logits: Tensor, tokens: Tensor, blank: int) -> Tensor:
    """Log-probability of each state of a text in each frame (B, S, 2 U + 1).

    The states of a text: blank, character, blank, character, …, blank.
    """
    states = functional.pad(tokens.unsqueeze(2), (1, 0), value=blank).flatten(1)
    states = functional.pad(states, (0, 1), value=blank)
    index = states.unsqueeze(1).expand(-1, logits.shape[1], -1)
    return logits.float().log_softmax(-1).gather(2, index)


def _best_path(
    scores: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """The state in each frame (B, S) of the best path, and whether there is a path (B, 1)."""
    batch, frames, states = scores.shape
    may_not_skip = torch.ones_like(scores[:, 0], dtype=torch.bool)
    may_not_skip[:, 3::2] = tokens[:, 1:] == tokens[:, :-1]
    skip_penalty = torch.zeros_like(scores[:, 0]).masked_fill_(may_not_skip, -torch.inf)
    # Score of the best path to each state in each frame, after two states that do not exist.
    best = scores.new_full((frames, batch, states + 2), -torch.inf)
    best[0, :, 2:4] = scores[:, 0, :2]
    steps = scores.new_zeros((frames, batch, states), dtype=torch.long)
    for frame in range(1, frames):
        before = best[frame - 1]
        ways = torch.stack((before[:, 2:], before[:, 1:-1], before[:, :-2] + skip_penalty))
        previous_best, steps[frame] = ways.max(0)
        torch.add(previous_best, scores[:, frame], out=best[frame, :, 2:])
    time = torch.arange(frames, device=scores.device)
    steps.masked_fill_((time.unsqueeze(1) >= lengths).unsqueeze(2), 0)
    last_frame = (lengths - 1).clamp_min(0)
    final = best[last_frame, torch.arange(batch, device=scores.device), 2:]
    last_state = (2 * token_lengths).unsqueeze(1)
    final_states = torch.cat((last_state, (last_state - 1).clamp_min(0)), dim=1)
    final_scores = final.gather(1, final_states)
    state = final_states.gather(1, final_scores.argmax(1, keepdim=True))
    feasible = final_scores.max(1, keepdim=True).values > -torch.inf
    backtrace = [state]
    for step in reversed(steps[1:].unbind()):
        state = state - step.gather(1, state)
        backtrace.append(state)
    return torch.cat(backtrace[::-1], dim=1), feasible


def _emitted(path: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
    """Whether the path (B, S) is in the state of each character in each frame (B, S, U)."""
    character_states = 2 * torch.arange(tokens.shape[1], device=path.device) + 1
    time = torch.arange(path.shape[1], device=path.device)
    valid_frames = (time < lengths.unsqueeze(1)).unsqueeze(2)
    return (path.unsqueeze(2) == character_states) & valid_frames
