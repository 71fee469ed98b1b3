"""CTC alignment: at which frames of an utterance each character of its text lies."""

import torch
from torch import Tensor
from torch.nn import functional


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
    frames = logits.shape[1]
    device = logits.device
    # The states of a text: blank, character, blank, character, …, blank.
    states = functional.pad(tokens.unsqueeze(2), (1, 0), value=blank).flatten(1)
    states = functional.pad(states, (0, 1), value=blank)
    scores = logits.float().log_softmax(-1).gather(2, states.unsqueeze(1).expand(-1, frames, -1))
    may_skip = torch.zeros_like(states, dtype=torch.bool)
    may_skip[:, 3::2] = tokens[:, 1:] != tokens[:, :-1]
    impossible = torch.tensor(-torch.inf, device=device)
    best = torch.full_like(scores[:, 0], -torch.inf)  # score of the best path to each state
    best[:, :2] = scores[:, 0, :2]
    steps = []
    for frame in range(1, frames):
        one_back = functional.pad(best, (1, 0), value=-torch.inf)[:, :-1]
        two_back = functional.pad(best, (2, 0), value=-torch.inf)[:, :-2]
        two_back = torch.where(may_skip, two_back, impossible)
        previous_best, step = torch.stack((best, one_back, two_back)).max(0)
        valid = (frame < lengths).unsqueeze(1)
        best = torch.where(valid, previous_best + scores[:, frame], best)
        steps.append(torch.where(valid, step, 0))
    last_state = (2 * token_lengths).unsqueeze(1)
    final_states = torch.cat((last_state, (last_state - 1).clamp_min(0)), dim=1)
    final_scores = best.gather(1, final_states)
    state = final_states.gather(1, final_scores.argmax(1, keepdim=True))
    feasible = final_scores.max(1, keepdim=True).values > -torch.inf
    backtrace = [state]
    for step in reversed(steps):
        state = state - step.gather(1, state)
        backtrace.append(state)
    path = torch.cat(backtrace[::-1], dim=1)  # (B, S)
    character_states = 2 * torch.arange(tokens.shape[1], device=device) + 1
    time = torch.arange(frames, device=device)
    valid_frames = (time < lengths.unsqueeze(1)).unsqueeze(2)
    emitted = (path.unsqueeze(2) == character_states) & valid_frames  # (B, S, U)
    count = emitted.sum(1)
    mean_frame = (emitted * time.view(1, -1, 1)).sum(1) / count.clamp_min(1)
    return mean_frame, feasible & (count > 0)
