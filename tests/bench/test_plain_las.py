"""The plain model does the same work as the model: equal losses, equal texts."""

import pytest
import torch
from torch import nn

from sorigeul import LASConfig, ListenAttendSpell
from sorigeul.bench.plain_las import PlainLAS, plain_training_step
from sorigeul.model.losses import joint_losses
from sorigeul.search.greedy import greedy_search


def small_seed_model() -> ListenAttendSpell:
    """The seed's model in small."""
    torch.manual_seed(3)
    config = LASConfig(hidden_size=16, conv_channels=4, n_mels=8, vocabulary_size=40, dropout=0.0)
    return ListenAttendSpell(config)


def batch(rows: int = 3, frames: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (B, T, 8) and tokens (B, 6)."""
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(rows, frames, 8, generator=generator)
    return features, torch.randint(0, 37, (rows, 6), generator=generator)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)])
def test_both_have_the_same_loss_curve(dtype: torch.dtype, tolerance: float) -> None:
    """A training with everything that makes a step quick, against one written plainly."""
    model, (features, tokens) = small_seed_model(), batch()
    plain = PlainLAS(model.config).take_weights(model)
    lengths, token_lengths = torch.full((3,), 96), torch.full((3,), 6)
    plain_step = plain_training_step(plain, features, tokens, 3e-3, 0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    model.train()
    losses, plain_losses = [], []
    for _ in range(12):
        plain_losses.append(float(plain.loss(features, tokens, 0.1).detach()))
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            spelled = model(features, lengths, tokens)
            loss = joint_losses(model.config, spelled, tokens, token_lengths, 0.1).total
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        plain_step()
    assert plain_losses[-1] < 0.8 * plain_losses[0], "nothing was learnt, so nothing was compared"
    torch.testing.assert_close(
        torch.tensor(losses), torch.tensor(plain_losses), rtol=tolerance, atol=0.0
    )


def test_plain_recognition_is_greedy_search() -> None:
    model, (features, _) = small_seed_model().eval(), batch(1)
    with torch.no_grad():  # no end, start or padding, which the plain model does not treat apart
        model.speller.out.bias[-3:] = -1e4
    plain = PlainLAS(model.config).take_weights(model).eval()
    with torch.no_grad():
        (hypothesis,) = greedy_search(model, model.listen(features, torch.tensor([96])))
    characters = len(hypothesis.tokens)
    assert plain.recognize(features, characters)[0].tolist() == hypothesis.tokens
