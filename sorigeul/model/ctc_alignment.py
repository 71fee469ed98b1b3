"""CTC (Graves et al. 2006): where each character of a text lies, how probable a beginning is."""

import torch
from torch import Tensor
from torch.nn import functional


@torch.no_grad()
def ctc_align(
    logits: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    """The most probable path (Viterbi) of each text through its frames.

    Parameters
    ----------
    logits : (B, S, V) with valid frames `lengths` (B,)
    tokens : (B, U) with valid characters `token_lengths` (B,)

    Returns
    -------
    the middle of each character's frames (B, U), and whether it has any (B, U): false past the end
    of a text, and for all of a text that its frames are too few for
    """
    frames = logits.shape[1]
    device = logits.device
    # The states of a text: blank, character, blank, character, …, blank.
    states = functional.pad(tokens.unsqueeze(2), (1, 0), value=blank).flatten(1)
    states = functional.pad(states, (0, 1), value=blank)
    scores = logits.float().log_softmax(-1).gather(2, states.unsqueeze(1).expand(-1, frames, -1))
    may_skip = torch.zeros_like(states, dtype=torch.bool)
    may_skip[:, 3::2] = tokens[:, 1:] != tokens[:, :-1]
    never = torch.tensor(-torch.inf, device=device)
    best = torch.full_like(scores[:, 0], -torch.inf)
    best[:, :2] = scores[:, 0, :2]
    steps = []
    for frame in range(1, frames):
        one = functional.pad(best, (1, 0), value=-torch.inf)[:, :-1]
        two = torch.where(may_skip, functional.pad(best, (2, 0), value=-torch.inf)[:, :-2], never)
        reached, step = torch.stack((best, one, two)).max(0)
        within = (frame < lengths).unsqueeze(1)
        best = torch.where(within, reached + scores[:, frame], best)
        steps.append(torch.where(within, step, 0))
    last = (2 * token_lengths).unsqueeze(1)
    ends = torch.cat((last, (last - 1).clamp_min(0)), dim=1)
    final = best.gather(1, ends)
    state = ends.gather(1, final.argmax(1, keepdim=True))
    feasible = final.max(1, keepdim=True).values > -torch.inf
    path = [state]
    for step in reversed(steps):
        state = state - step.gather(1, state)
        path.append(state)
    visited = torch.cat(path[::-1], dim=1)  # (B, S)
    own_state = 2 * torch.arange(tokens.shape[1], device=device) + 1
    time = torch.arange(frames, device=device)
    inside = (visited.unsqueeze(2) == own_state) & (time < lengths.unsqueeze(1)).unsqueeze(2)
    count = inside.sum(1)
    middle = (inside * time.view(1, -1, 1)).sum(1) / count.clamp_min(1)
    return middle, feasible & (count > 0)
