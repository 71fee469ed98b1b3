"""A training step: the same in every number format, and however its batches are split up."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.learners import (
    PLAIN,
    VOCABULARY,
    character_counts,
    equal,
    new_learner,
    take_steps,
    weights,
)
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.amp import MixedPrecision
from torch import Tensor

from sorigeul.data.batches import Batch, longest_batch
from sorigeul.model.front_end import FrontEnd
from sorigeul.model.losses import joint_losses
from sorigeul.training.learner import Learner, StepResult
from sorigeul.training.settings import Settings


def split(batch: Batch, *slices: slice) -> list[Batch]:
    """Rows of a batch as batches of their own."""
    return [
        Batch(
            ids=batch.ids[rows],
            texts=batch.texts[rows],
            speakers=batch.speakers[rows],
            waveforms=batch.waveforms[rows],
            lengths=batch.lengths[rows],
            tokens=batch.tokens[rows],
            token_lengths=batch.token_lengths[rows],
            augmented=batch.augmented[rows],
            failures=[],
        )
        for rows in slices
    ]


# Several batches in a step


def test_a_step_of_several_batches_equals_one_of_all_their_utterances(
    batches: list[Batch],
) -> None:
    """Whatever the number of characters in each. In evaluation mode, for equal statistics."""
    whole = max(batches, key=len)
    split_up = split(whole, slice(0, 1), slice(1, 5), slice(5, None))
    results = []
    for given in ([whole], split_up):
        learner = new_learner()
        learner.model.eval()
        learner.settings = PLAIN.changed({"teacher_forcing": 1.0}, "test")
        step = learner.step(given, character_counts(given), 0.001)
        results.append((step, weights(learner)))
    (one, one_weights), (three, three_weights) = results
    assert one.losses == pytest.approx(three.losses, rel=1e-4)
    assert one.gradient_norm == pytest.approx(three.gradient_norm, rel=1e-4)
    assert (one.characters, one.errors) == (three.characters, three.errors)
    assert one.losses[3] > 0
    largest = max(
        float((tensor - three_weights[name]).abs().max()) for name, tensor in one_weights.items()
    )
    assert largest < 2e-3  # a step of Adam moves each weight by 0.001


# Label smoothing


@pytest.mark.parametrize("smoothing", [True, False])
def test_label_smoothing_is_that_of_the_settings(batches: list[Batch], smoothing: bool) -> None:
    batch = batches[0]
    changes = {"use_label_smoothing": smoothing, "label_smoothing": 0.2, "teacher_forcing": 1.0}
    learner = new_learner(PLAIN.changed(changes, "test"))
    learner.model.eval()  # no dropout
    features, lengths = learner.log_mel(batch.waveforms, batch.lengths)
    with torch.no_grad():
        output = learner.las(features, lengths, batch.tokens)
    share = 0.2 if smoothing else 0.0
    texts = (batch.tokens, batch.token_lengths)
    expected = joint_losses(learner.las.config, output, *texts, share).speller
    step = learner.step([batch], character_counts([batch]), 0.001)
    assert step.losses[1] == pytest.approx(float(expected), rel=1e-4)


# Weight decay


def test_weight_decay_shrinks_matrices_by_the_rate_and_nothing_else(batches: list[Batch]) -> None:
    """Decoupled from the gradient (Loshchilov and Hutter 2019): the step is the same otherwise."""
    plain, decaying = new_learner(), new_learner(PLAIN.changed({"weight_decay": 0.5}, "test"))
    before = weights(plain)
    for learner in (plain, decaying):
        take_steps(learner, batches, 1, learning_rate=0.01)
    without, with_decay = weights(plain), weights(decaying)
    shrunk = set()
    for name, parameter in plain.las.named_parameters():
        difference = without[name] - with_decay[name]
        if difference.any():
            shrunk.add(name)
            torch.testing.assert_close(difference, 0.005 * before[name], rtol=1e-3, atol=1e-6)
        assert parameter.dim() > 1 or name not in shrunk
    assert {"listener.conv.0.weight", "speller.rnn.weight_hh_l0", "ctc.weight"} <= shrunk
    assert not any("embedding" in name for name in shrunk)


def test_a_checkpoint_from_before_weight_decay_can_go_on_with_it(batches: list[Batch]) -> None:
    plain, decaying = new_learner(), new_learner(PLAIN.changed({"weight_decay": 0.5}, "test"))
    take_steps(plain, batches, 1)
    decaying.load_state_dict(plain.state_dict())
    take_steps(decaying, batches, 3, learning_rate=1e-2)
    take_steps(plain, batches, 3, learning_rate=1e-2)
    after, without = weights(decaying)["ctc.weight"].norm(), weights(plain)["ctc.weight"].norm()
    assert after < without


def test_a_batch_without_readable_utterances_is_skipped(batches: list[Batch]) -> None:
    (empty,) = split(batches[0], slice(0, 0))
    results: list[tuple[StepResult, dict[str, Tensor]]] = []
    for given in ([batches[0]], [empty, batches[0]]):
        learner = new_learner()
        learner.model.train()
        step = learner.step(given, character_counts(given), 0.001)
        results.append((step, weights(learner)))
    (without, without_weights), (with_empty, with_empty_weights) = results
    assert without == with_empty
    assert equal(without_weights, with_empty_weights)


# Number formats


def losses_of_20_steps(settings: Settings, batches: list[Batch]) -> list[float]:
    return [step.losses[0] for step in take_steps(new_learner(settings), batches, 20)]


@pytest.fixture(scope="module")
def float32_losses(batches: list[Batch]) -> list[float]:
    losses = losses_of_20_steps(PLAIN, batches)
    assert losses[0] - min(losses) > 0.15  # nats a character: enough to tell formats apart
    return losses


def largest_difference(losses: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(losses, other, strict=True))


def test_bfloat16_follows_float32(batches: list[Batch], float32_losses: list[float]) -> None:
    losses = losses_of_20_steps(PLAIN.changed({"precision": "bfloat16"}, "test"), batches)
    assert 1e-6 < largest_difference(losses, float32_losses) < 0.01


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float16", 0.01), ("tf32", 0.005), ("bfloat16", 0.02)]
)
def test_the_number_formats_of_gpus_follow_float32(
    batches: list[Batch], float32_losses: list[float], precision: str, tolerance: float
) -> None:
    losses = losses_of_20_steps(PLAIN.changed({"precision": precision}, "test"), batches)
    assert largest_difference(losses, float32_losses) < tolerance


class Float16OnCPU(MixedPrecision):
    """float16 as on a GPU; loss scaling works on a CPU just as well."""

    def __init__(self, scale: float) -> None:
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
        super().__init__("16-mixed", "cpu", scaler)


def float16_learner(scale: float) -> Learner:
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[Float16OnCPU(scale)])
    return new_learner(fabric=fabric)


def test_float16_follows_float32(batches: list[Batch], float32_losses: list[float]) -> None:
    steps = take_steps(float16_learner(2.0**10), batches, 20)
    assert all(step.updated for step in steps)
    assert 1e-6 < largest_difference([step.losses[0] for step in steps], float32_losses) < 0.01
    # The norm is that of the gradient itself, not of the scaled one.
    (float32_step,) = take_steps(new_learner(), batches, 1)
    assert steps[0].gradient_norm == pytest.approx(float32_step.gradient_norm, rel=0.02)


def test_a_loss_scale_that_is_too_high_is_lowered(batches: list[Batch]) -> None:
    learner = float16_learner(2.0**32)
    before = weights(learner)
    (first,) = take_steps(learner, batches, 1)
    assert (first.updated, first.gradient_overflow, first.suspect_ids) == (False, True, [])
    after = weights(learner)
    assert all(
        torch.equal(before[name], after[name])
        for name in before
        if "running" not in name and "tracked" not in name
    )
    assert learner.scaler is not None
    assert learner.scaler.get_scale() == 2.0**31
    later = take_steps(learner, batches, 18)
    assert later[-1].updated
    state = learner.fabric.strategy.precision.state_dict()
    assert state["scale"] == learner.scaler.get_scale() < 2.0**24
    resumed = float16_learner(1.0)
    resumed.fabric.strategy.precision.load_state_dict(state)
    assert resumed.scaler is not None
    assert resumed.scaler.get_scale() == learner.scaler.get_scale()


def test_a_loss_that_is_not_finite_is_no_overflow(batches: list[Batch]) -> None:
    for learner in (new_learner(), float16_learner(2.0**10)):
        with torch.no_grad():
            learner.las.speller.out.bias[0] = torch.nan
        (step,) = take_steps(learner, batches, 1)
        assert (step.updated, step.gradient_overflow) == (False, False)
        assert step.suspect_ids == batches[0].ids


def test_a_skipped_step_leaves_the_statistics_and_names_the_impossible_utterance(
    batches: list[Batch],
) -> None:
    learner = new_learner()
    take_steps(learner, batches, 2)
    before = weights(learner)
    waveforms = batches[0].waveforms.clone()
    waveforms[1, 100] = 1e30
    (step,) = take_steps(learner, [replace(batches[0], waveforms=waveforms)], 1)
    assert not step.updated
    assert step.suspect_ids == [batches[0].ids[1]]
    assert equal(before, weights(learner))
    assert take_steps(learner, batches, 1)[0].updated


# Memory


def test_recomputing_the_convolutions_changes_nothing(batches: list[Batch]) -> None:
    """To the bit: losses, weights and the running statistics, which count each batch once."""
    # Batches with padding and without: their statistics are computed differently.
    unpadded = [batch for batch in batches if len(set(batch.lengths.tolist())) == 1]
    assert unpadded
    assert len(unpadded) < len(batches)
    losses, final_weights = {}, {}
    for recompute in (False, True):
        changes = {"checkpoint_activations": recompute, "dropout": 0.2}
        learner = new_learner(PLAIN.changed(changes, "test"))
        losses[recompute] = [step.losses for step in take_steps(learner, batches, 12)]
        final_weights[recompute] = weights(learner)
    assert losses[False] == losses[True]
    assert equal(final_weights[False], final_weights[True])
    assert int(final_weights[True]["listener.conv.2.num_batches_tracked"]) == 12


def test_a_large_batch_takes_less_memory_and_changes_nothing(
    batches: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit, and the batch after it keeps its convolutions' outputs again."""
    sizes = sorted(batch.waveforms.numel() for batch in batches)
    assert sizes[0] < sizes[-1]
    recomputed: set[tuple[int, bool]] = set()
    forward = Learner._forward

    def watched_forward(self: Learner, batch: Batch, *arguments: Any) -> Any:
        assert isinstance(self.las.listener, FrontEnd)
        recomputed.add((batch.waveforms.numel(), self.las.listener.checkpoint_activations))
        return forward(self, batch, *arguments)

    monkeypatch.setattr(Learner, "_forward", watched_forward)
    final_weights = []
    for limit in (sizes[-1], sizes[-1] - 1):
        monkeypatch.setattr("sorigeul.training.learner._LARGE_BATCH", limit)
        recomputed.clear()
        learner = new_learner(PLAIN.changed({"dropout": 0.2}, "test"))
        take_steps(learner, batches, len(batches))
        assert recomputed == {(size, size > limit) for size in sizes}
        assert not learner.las.listener.checkpoint_activations
        final_weights.append(weights(learner))
    assert equal(*final_weights)


def test_recomputing_the_convolutions_keeps_less_in_memory(batches: list[Batch]) -> None:
    saved_bytes = {}
    for recompute in (False, True):
        learner = new_learner(PLAIN.changed({"checkpoint_activations": recompute}, "test"))
        learner.model.train()
        features, lengths = learner.log_mel(batches[0].waveforms, batches[0].lengths)
        sizes: dict[int, int] = {}

        def save(tensor: Tensor, sizes: dict[int, int] = sizes) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
            hidden, _ = learner.las.listener.convolve(features, lengths)
        saved_bytes[recompute] = sum(sizes.values())
        hidden.sum().backward()
    assert saved_bytes[True] < 0.35 * saved_bytes[False]


@pytest.mark.parametrize("recompute", [False, True])
def test_checking_the_memory_changes_nothing(batches: list[Batch], recompute: bool) -> None:
    settings = PLAIN.changed({"dropout": 0.5, "checkpoint_activations": recompute}, "test")
    final_weights = []
    for check in (False, True):
        learner = new_learner(settings)
        learner.model.train()
        if check:
            before, generator = weights(learner), torch.get_rng_state()
            learner.check_memory(longest_batch(3.0, 12, VOCABULARY, settings.data))
            assert equal(before, weights(learner))
            assert torch.equal(generator, torch.get_rng_state())
            assert not learner.optimizer.state
            assert all(parameter.grad is None for parameter in learner.las.parameters())
        take_steps(learner, batches, 5)
        final_weights.append(weights(learner))
    assert equal(*final_weights)


def test_checking_the_memory_goes_through_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward and backward with the largest batch: every weight gets a gradient."""
    learner = new_learner(PLAIN.changed({"batch_seconds": 9.0}, "test"))
    learner.model.train()
    has_gradient: list[bool] = []
    zero_grad = learner.optimizer.zero_grad

    def look_and_zero_grad(*arguments: Any, **named: Any) -> None:
        has_gradient.extend(parameter.grad is not None for parameter in learner.las.parameters())
        zero_grad(*arguments, **named)

    monkeypatch.setattr(learner.optimizer, "zero_grad", look_and_zero_grad, raising=False)
    learner.check_memory(longest_batch(3.0, 12, VOCABULARY, learner.settings.data))
    assert has_gradient
    assert all(has_gradient)
