"""On a GPU: the same numbers as on a CPU, and a run that goes on from its checkpoint.

`make gpu` runs these first. Without a GPU they are skipped.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.losses import joint_losses

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]

SHAPES = {
    "pyramid": {"ctc_weight": 0.3, "guide_weight": 2.0, "score_function": "multi-head"},
    "seed": {"score_function": "self"},
    "junctions": {
        "ctc_weight": 0.3,
        "score_function": "multi-head",
        "junction_norm": True,
        "speller_size": 12,
    },
    "conformer": {"listener": "conformer", "ctc_weight": 0.3, "score_function": "multi-head"},
}


def losses_and_gradients(
    model: ListenAttendSpell, utterances: Utterances, device: str, dtype: torch.dtype
) -> tuple[Tensor, dict[str, Tensor]]:
    """The losses (5,) of a padded batch, and the gradient of every parameter, on the CPU."""
    model.to(device).train().zero_grad()
    features, lengths = (tensor.to(device) for tensor in utterances(61, 38, 90))
    tokens = torch.randint(0, 27, (3, 6), generator=torch.Generator().manual_seed(5)).to(device)
    token_lengths = torch.full((3,), 6, device=device)
    with torch.autocast(device, dtype, enabled=dtype != torch.float32):
        output = model(features, lengths, tokens)
        losses = joint_losses(model.config, output, tokens, token_lengths, 0.1)
    losses.total.backward()
    gradients = {name: weight.grad.cpu().clone() for name, weight in model.named_parameters()}
    return torch.stack([loss.detach().cpu() for loss in vars(losses).values()]), gradients


@pytest.mark.parametrize("shape", SHAPES)
def test_losses_and_gradients_are_those_of_the_cpu(
    tiny: Tiny, utterances: Utterances, shape: str
) -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    model = tiny(dropout=0.0, **SHAPES[shape])
    expected, expected_gradients = losses_and_gradients(model, utterances, "cpu", torch.float32)
    losses, gradients = losses_and_gradients(model, utterances, "cuda", torch.float32)
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-4)
    for name, gradient in expected_gradients.items():
        difference = (gradients[name] - gradient).norm() / gradient.norm().clamp_min(1e-3)
        assert difference < 2e-2, name


@pytest.mark.parametrize("shape", SHAPES)
def test_bfloat16_changes_the_losses_little(tiny: Tiny, utterances: Utterances, shape: str) -> None:
    model = tiny(dropout=0.0, **SHAPES[shape])
    expected, _ = losses_and_gradients(model, utterances, "cpu", torch.float32)
    losses, _ = losses_and_gradients(model, utterances, "cuda", torch.bfloat16)
    torch.testing.assert_close(losses, expected, rtol=5e-2, atol=2e-2)


def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """Ten steps in one go, and six and four: nearly the same weights, as CUDA's sums allow."""
    from sorigeul.bench.output import quiet
    from sorigeul.bench.synthetic import synthetic_corpus
    from sorigeul.pretrained.loading import load_pretrained
    from sorigeul.training.run import train
    from sorigeul.training.settings import Settings

    with quiet():
        synthetic_corpus(tmp_path / "corpus", utterances=32)
        settings = Settings.preset("small").changed(
            {"hidden_size": 32, "conv_channels": 4, "batch_size": 4, "precision": "float32"}, "test"
        )
        weights = []
        for name, limits in (("whole", (10,)), ("parts", (6, 10))):
            for limit in limits:
                train(
                    tmp_path / "corpus", tmp_path / name, settings.changed({"max_steps": limit}, "")
                )
            model = load_pretrained(str(tmp_path / name)).model
            weights.append(torch.cat([weight.flatten() for weight in model.parameters()]))
    difference = (weights[0] - weights[1]).norm() / weights[0].norm()
    assert difference < 1e-2
