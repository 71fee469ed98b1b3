"""Junctions between the parts of the listener, and a speller of its own width."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.model.config import LASConfig
from sorigeul.model.junction import Junction
from sorigeul.model.las import ListenAttendSpell

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]

JUNCTIONS = {"junction_norm": True, "junction_dropout": 0.2, "dropout": 0.0}


def test_a_junction_leaves_padding_zero_whatever_it_was() -> None:
    torch.manual_seed(0)
    junction = Junction(LASConfig(junction_norm=True), 6).eval()
    torch.nn.init.ones_(junction.norm.bias)
    frames = torch.randn(2, 5, 6)
    frames[1, 3:] = torch.nan
    outputs = junction(frames, torch.tensor([5, 3]))
    assert not outputs[1, 3:].any()
    torch.testing.assert_close(outputs[:, :3].mean(2), torch.ones(2, 3))


@pytest.mark.parametrize("time_reduction", [8, 16])
def test_an_utterance_has_the_same_frames_alone_and_in_a_padded_batch(
    tiny: Tiny, utterances: Utterances, time_reduction: int
) -> None:
    listener = tiny(time_reduction=time_reduction, **JUNCTIONS).listener
    features, lengths = utterances(61, 38, 5, frames=80)
    with torch.no_grad():
        batch = listener(features, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = listener(features[row : row + 1, :length], lengths[row : row + 1])
            for (frames, counts), (own, _) in zip(batch, alone, strict=True):
                torch.testing.assert_close(frames[row, : counts[row]], own[0], rtol=0, atol=1e-4)
                assert not frames[row, counts[row] :].any()


@pytest.mark.parametrize("listener", ["pyramid", "conformer"])
def test_junction_dropout_drops_frames_of_every_stack_and_the_spellers_output_in_training_alone(
    tiny: Tiny, utterances: Utterances, listener: str
) -> None:
    model = tiny(listener=listener, dropout=0.0, junction_dropout=0.5)
    features, lengths = utterances(61)

    def zeros(training: bool) -> list[float]:
        model.train(training)
        torch.manual_seed(3)
        return [
            float((frames == 0).float().mean()) for frames, _ in model.listener(features, lengths)
        ]

    assert all(share > 0.3 for share in zeros(training=True))
    assert all(share < 0.05 for share in zeros(training=False))
    memory = model.speller.make_memory(torch.randn(1, 9, model.config.width), torch.tensor([9]))
    tokens = torch.tensor([[27, 3, 4]])
    runs = []
    for training in (True, True, False, False):
        model.train(training)
        runs.append(model.speller(tokens, memory)[0])
    assert not torch.equal(runs[0], runs[1])
    assert torch.equal(runs[2], runs[3])


@pytest.mark.parametrize(
    "changes", [JUNCTIONS, {"speller_size": 12}, {**JUNCTIONS, "speller_size": 12}]
)
def test_every_parameter_learns(
    tiny: Tiny, utterances: Utterances, changes: dict[str, Any]
) -> None:
    model = tiny(ctc_weight=0.3, score_function="multi-head", **changes).train()
    output = model(*utterances(61, 38), torch.randint(0, 27, (2, 5)))
    (output.logits.sum() + output.ctc_logits.sum()).backward()
    assert not [name for name, weight in model.named_parameters() if weight.grad is None]


def test_the_speller_has_the_width_that_is_asked_for_and_ctc_keeps_the_listeners(
    tiny: Tiny, utterances: Utterances
) -> None:
    model = tiny(ctc_weight=0.3, score_function="multi-head", speller_size=12)
    assert model.speller.rnn.hidden_size == model.speller.out.in_features == 12
    assert model.ctc.in_features == 16
    encoded = model.listen(*utterances(61, 38))
    assert model.make_memory(encoded).values.shape[2] == 12
    assert tiny(speller_size=16).speller.project is None  # as wide as the listener's frames


def test_a_model_without_these_settings_has_the_parameters_that_it_had(tiny: Tiny) -> None:
    names = {name for name, _ in tiny().named_parameters()}
    assert not [name for name in names if "junction" in name or "project" in name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"speller_size": 10},
            "attention_heads is 4, but must be a divisor of the speller's width",
        ),
        ({"speller_size": 64, "use_attention": False}, "speller_size is 64, but must be 0"),
        ({"junction_norm": True, "listener": "conformer"}, "junction_norm is True, but must be"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    settings: dict[str, Any] = {"score_function": "multi-head", "listener_layer_size": 6}
    with pytest.raises(UserError, match=message):
        LASConfig(**{**settings, **changes})
