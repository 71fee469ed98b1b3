"""Search: what the listener heard to character ids. Knows scores, not audio and not text.

Greedy: at every step the best character goes back into the speller, until the end mark. Or a beam
of several texts side by side, which speller and CTC head judge together.
"""

import torch

from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search.hypothesis import Hypothesis, length_limits


@torch.no_grad()
def greedy_search(model: ListenAttendSpell, encoded: ListenerOutput) -> list[Hypothesis]:
    """The best character at every step, for a whole batch at once.

    An utterance ends at its end mark, or after as many characters as nobody could have said in its
    time: a model that repeats itself stops all the same.
    """
    config = model.config
    limits = length_limits(model, encoded)
    memory = model.make_memory(encoded)
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
    lengths = encoded.lengths.tolist()
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
def ctc_greedy_search(model: ListenAttendSpell, encoded: ListenerOutput) -> list[list[int]]:
    """The best path of the CTC head: repeats merged, blanks removed (Graves et al. 2006)."""
    logits = model.ctc_logits(encoded)
    if logits is None:
        raise ValueError("this model has no CTC head")
    config = model.config
    rows = logits.argmax(-1).cpu()
    lengths = encoded.ctc_lengths.tolist()
    return [
        [token for token in row[:length].unique_consecutive().tolist() if token < config.sos_id]
        for row, length in zip(rows, lengths, strict=True)
    ]
