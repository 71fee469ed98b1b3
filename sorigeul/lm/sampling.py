"""Lines drawn from a language model, for a look at what it has learnt."""

from typing import Any

import torch

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import TEMPERATURE, check_number
from sorigeul.lm.language_model import LanguageModel

_LONGEST = 200
"""units after which a line is cut"""


@torch.no_grad()
def sample_lines(
    model: LanguageModel[Any], count: int, start: str = "", temperature: float = 1.0, seed: int = 0
) -> list[str]:
    """Draw lines that begin with `start`, all of them side by side, each up to its end.

    Raises UserError for a number of lines below 1 or a temperature out of range.
    """
    if count < 1:
        raise UserError(f"lines is {count}, but must be at least 1")
    check_number("temperature", temperature, TEMPERATURE)
    vocabulary = model.vocabulary
    if vocabulary.kind == "bpe":
        start = start.rstrip()  # a space belongs to the word after it, which is to be drawn
    random = torch.Generator().manual_seed(seed)
    state = model.start(count)
    for token in vocabulary.encode_all(start):
        state = model.advance(state, torch.full((count,), token))
    columns = []
    ended = torch.zeros(count, dtype=torch.bool)
    for _ in range(_LONGEST):
        probabilities = (model.scores(state).cpu() / temperature).softmax(-1)
        drawn = torch.multinomial(probabilities, 1, generator=random).squeeze(1)
        columns.append(torch.where(ended, vocabulary.eos_id, drawn))
        ended |= drawn == vocabulary.eos_id
        if ended.all():
            break
        state = model.advance(state, drawn)
    rows = torch.stack(columns, 1).tolist()
    return [start + vocabulary.decode(row, continues=bool(start)) for row in rows]
