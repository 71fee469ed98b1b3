"""Fixtures of the tests of search."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.listener_outputs import PAD, SOS, Tiny, Utterances, encode
from helpers.shared import made_once

from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.model.losses import joint_losses

ARCHITECTURES: list[dict[str, Any]] = [
    {},
    {"score_function": "location", "cell": "lstm", "feed_context": True},
    {"score_function": "multi-head", "cell": "rnn", "use_pyramidal": False},
    {"score_function": "additive", "time_reduction": 8, "use_bidirectional": False},
    {"use_attention": False},
]


@pytest.fixture(scope="session", params=ARCHITECTURES, ids=str)
def trained(
    request: pytest.FixtureRequest,
    tiny: Tiny,
    utterances: Utterances,
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
) -> tuple[ListenAttendSpell, ListenerOutput]:
    """A model whose speller has learnt a different text for each utterance; its listener output.

    The first text is longer than its length limit, the second empty.
    """
    model = tiny(hidden_size=16, **request.param)
    encoded = encode(model, utterances)

    def make(folder: Path) -> None:
        lengths = torch.tensor([14, 0, 3, 9, 12, 1, 6, 5])
        texts = torch.randint(SOS, (8, 14), generator=torch.Generator().manual_seed(14))
        texts[torch.arange(14) >= lengths.unsqueeze(1)] = PAD
        optimizer = torch.optim.Adam(model.speller.parameters(), lr=0.02)
        for _ in range(120):
            optimizer.zero_grad()
            joint_losses(model.config, model.spell(encoded, texts), texts, lengths).total.backward()
            optimizer.step()
        torch.save(model.state_dict(), folder / "model.pt")

    name = f"speller{ARCHITECTURES.index(request.param)}"
    folder = made_once(tmp_path_factory, worker_id, name, make)
    model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    with torch.no_grad():  # `free_run` may choose these tokens, a search never does
        model.speller.out.bias[[SOS, PAD]] = -1e4
    return model, encoded
