"""CTC alignment: in which frames of an utterance each character of its text lies.

B utterances, S CTC frames, U characters, V vocabulary. Computes with tensors of PyTorch or with
arrays of NumPy.
"""

from dataclasses import dataclass

import numpy as np

from sorigeul.base.arrays import (
    Array,
    astype,
    inference,
    largest_of_first,
    log_sum_exp,
    namespace,
    to_numpy,
)


@dataclass(frozen=True)
class CTCSpans:
    """The frames of each character on the best CTC path of its text."""

    first: Array
    """first frame of each character (B, U)"""
    last: Array
    """its last frame (B, U)"""
    middle: Array
    """mean of the numbers of its frames (B, U)"""
    probability: Array
    """geometric mean of its probabilities in these frames (B, U)"""
    aligned: Array
    """whether it has any frames (B, U): false past the end of a text, and for every character of a
    text that needs more frames than there are"""


@inference()
def ctc_spans(
    logits: Array, lengths: Array, tokens: Array, token_lengths: Array, blank: int
) -> CTCSpans:
    """The most probable CTC path (Graves et al. 2006) of each text, by the Viterbi algorithm.

    Parameters
    ----------
    logits : (B, S, V) with valid frames `lengths` (B,)
    tokens : (B, U) with valid characters `token_lengths` (B,); the path is found where they are, so
        that arrays of NumPy spare a GPU the many small steps
    """
    scores = _state_scores(logits, tokens, blank)
    if isinstance(tokens, np.ndarray):
        scores, lengths = to_numpy(scores), to_numpy(lengths)
    xp, device, frames = namespace(scores), scores.device, scores.shape[1]
    path, feasible = _best_path(scores, lengths, tokens, token_lengths)
    time = xp.arange(frames, device=device)
    valid = time < lengths[:, None]
    states = 2 * xp.arange(tokens.shape[1], device=device) + 1
    emitted = (path[:, :, None] == states) & valid[:, :, None]  # (B, S, U)
    count = emitted.sum(1)
    column, counted = time[None, :, None], count.clip(1)
    return CTCSpans(
        first=xp.amin(xp.where(emitted, column, frames), 1),
        last=xp.amax(xp.where(emitted, column, -1), 1),
        middle=(emitted * column).sum(1) / counted,
        probability=xp.exp(xp.where(emitted, scores[:, :, 1::2], 0.0).sum(1) / counted),
        aligned=feasible[:, None] & (count > 0),
    )


def _state_scores(logits: Array, tokens: Array, blank: int) -> Array:
    """Log-probability of each state of a text in each frame (B, S, 2 U + 1).

    The states of a text: blank, character, blank, character, …, blank.
    """
    xp, device = namespace(logits), logits.device
    states = xp.full((len(tokens), 2 * tokens.shape[1] + 1), blank, device=device)
    states[:, 1::2] = xp.asarray(tokens, device=device)
    rows = xp.arange(len(tokens), device=device)[:, None, None]
    time = xp.arange(logits.shape[1], device=device)[None, :, None]
    logits = astype(logits, xp.float32)
    return logits[rows, time, states[:, None, :]] - log_sum_exp(logits)


def _best_path(
    scores: Array, lengths: Array, tokens: Array, token_lengths: Array
) -> tuple[Array, Array]:
    """The state in each frame (B, S) of the best path, and whether there is a path (B,)."""
    xp, device = namespace(scores), scores.device
    batch, frames, states = scores.shape
    rows = xp.arange(batch, device=device)
    infinite = float("-inf")
    skip_penalty = xp.full((batch, states), infinite, dtype=xp.float32, device=device)
    if states > 3:  # a character may follow another one at once
        skip_penalty[:, 3::2] = xp.where(tokens[:, 1:] == tokens[:, :-1], infinite, 0.0)
    # Score of the best path to each state in each frame, after two states that do not exist.
    shape = (frames, batch, states + 2)
    best = xp.full(shape, infinite, dtype=xp.float32, device=device)
    best[0, :, 2:4] = scores[:, 0, :2]
    steps = xp.zeros((frames, batch, states), dtype=xp.int64, device=device)
    for frame in range(1, frames):
        before = best[frame - 1]
        ways = xp.stack((before[:, 2:], before[:, 1:-1], before[:, :-2] + skip_penalty))
        best_ways, steps[frame] = largest_of_first(ways)
        best[frame, :, 2:] = best_ways + scores[:, frame]
    steps[xp.arange(frames, device=device)[:, None] >= lengths] = 0
    final = best[(lengths - 1).clip(0), rows, 2:]
    last_blank = 2 * token_lengths
    last_character = (last_blank - 1).clip(0)
    in_character = final[rows, last_character] > final[rows, last_blank]
    state = xp.where(in_character, last_character, last_blank)
    feasible = xp.isfinite(final[rows, state])
    path = [state]
    for frame in range(frames - 1, 0, -1):
        state = state - steps[frame, rows, state]
        path.append(state)
    return xp.stack(path[::-1], 1), feasible
