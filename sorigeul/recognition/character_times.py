"""When each character of a hypothesis is spoken."""

from collections.abc import Sequence

import torch

from sorigeul.model.ctc_alignment import ctc_align
from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search.hypothesis import Hypothesis


def character_times(
    model: ListenAttendSpell,
    encoded: ListenerOutput,
    hypotheses: Sequence[Hypothesis],
    rows: Sequence[int],
    reversed_input: bool,
) -> dict[int, list[float]]:
    """The times of the characters of the utterances in `rows`, as shares of the utterance (U).

    By the CTC head. If there is none, or it cannot align a text, as if all characters took equally
    long.
    """
    times = {row: _even_times(len(hypotheses[row].tokens)) for row in rows}
    logits = model.ctc_logits(encoded) if rows else None
    if logits is None:
        return times
    tokens = [torch.tensor(hypotheses[row].tokens, dtype=torch.long) for row in rows]
    chosen = list(rows)
    frames, found = ctc_align(
        logits[chosen],
        encoded.ctc_lengths[chosen],
        torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True).to(logits.device),
        torch.tensor([len(row) for row in tokens], device=logits.device),
        model.config.pad_id,
    )
    for index, row in enumerate(rows):
        count = len(tokens[index])
        if bool(found[index, :count].all()):
            shares = (frames[index, :count] + 0.5) / encoded.ctc_lengths[row]
            times[row] = (1 - shares if reversed_input else shares).tolist()
    return times


def _even_times(count: int) -> list[float]:
    return [(index + 0.5) / count for index in range(count)]
