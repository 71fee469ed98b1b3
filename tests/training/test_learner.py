"""A step of learning: the same one in every number format, however it is cut up or made to fit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.learners import PLAIN, VOCABULARY, characters, equal, learner, steps, weights
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.amp import MixedPrecision
from torch import Tensor

from sorigeul.data.batches import Batch, longest_batch
from sorigeul.training.learner import Learner
from sorigeul.training.settings import Settings


def parted(batch: Batch, *rows: slice) -> list[Batch]:
    """Rows of a batch as batches of their own."""
    return [
        Batch(
            batch.ids[part],
            batch.texts[part],
            batch.waveforms[part],
            batch.lengths[part],
            batch.tokens[part],
            batch.token_lengths[part],
            batch.augmented[part],
            [],
        )
        for part in rows
    ]


# Batches of a step


def test_a_step_of_several_batches_is_that_of_all_their_utterances(batches: list[Batch]) -> None:
    """However many characters each of them has. Without batch normalisation's own averages."""
    whole = max(batches, key=len)
    parts = parted(whole, slice(0, 1), slice(1, 5), slice(5, None))
    found = []
    for given in ([whole], parts):
        one = learner()
        one.model.eval()
        one.settings = PLAIN.changed({"teacher_forcing": 1.0}, "test")
        found.append((one.step(given, characters(given), 0.001), weights(one)))
    (together, once), (apart, thrice) = found
    assert together.losses == pytest.approx(apart.losses, rel=1e-4)
    assert together.gradient_norm == pytest.approx(apart.gradient_norm, rel=1e-4)
    assert (together.characters, together.errors) == (apart.characters, apart.errors)
    assert together.losses[3] > 0
    largest = max(float((once[name] - thrice[name]).abs().max()) for name in once)
    assert largest < 2e-3  # a step of Adam moves each weight by 0.001


def test_a_batch_of_which_nothing_can_be_read_is_passed_over(batches: list[Batch]) -> None:
    (empty,) = parted(batches[0], slice(0, 0))
    found = []
    for given in ([batches[0]], [empty, batches[0]]):
        one = learner()
        one.model.train()
        found.append((one.step(given, characters(given), 0.001), weights(one)))
    assert found[0][0] == found[1][0]
    assert equal(found[0][1], found[1][1])


# Number formats


def losses(settings: Settings, batches: list[Batch]) -> list[float]:
    return [step.losses[0] for step in steps(learner(settings), batches, 40)]


@pytest.fixture(scope="module")
def exact(batches: list[Batch]) -> list[float]:
    found = losses(PLAIN, batches)
    assert found[0] - found[-1] > 0.3  # nats a character: enough to tell formats apart by
    return found


def largest_difference(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def test_bfloat16_follows_float32(batches: list[Batch], exact: list[float]) -> None:
    found = losses(PLAIN.changed({"precision": "bfloat16"}, "test"), batches)
    assert 1e-6 < largest_difference(found, exact) < 0.01


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float16", 0.01), ("tf32", 0.005), ("bfloat16", 0.02)]
)
def test_the_formats_of_a_gpu_follow_float32(
    batches: list[Batch], exact: list[float], precision: str, tolerance: float
) -> None:
    found = losses(PLAIN.changed({"precision": precision}, "test"), batches)
    assert largest_difference(found, exact) < tolerance


class Half(MixedPrecision):
    """float16 as on a GPU, whose scaling works on a CPU just as well."""

    def __init__(self, scale: float) -> None:
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
        super().__init__("16-mixed", "cpu", scaler)


def half(scale: float) -> Learner:
    return learner(fabric=Fabric(accelerator="cpu", devices=1, plugins=[Half(scale)]))


def test_float16_follows_float32(batches: list[Batch], exact: list[float]) -> None:
    found = steps(half(2.0**10), batches, 40)
    assert all(step.updated for step in found)
    assert 1e-6 < largest_difference([step.losses[0] for step in found], exact) < 0.01
    # What is written down is the gradient itself, not what it was scaled to.
    plain = steps(learner(), batches, 1)[0]
    assert found[0].gradient_norm == pytest.approx(plain.gradient_norm, rel=0.02)


def test_float16_that_is_scaled_too_high_is_scaled_lower(batches: list[Batch]) -> None:
    one = half(2.0**40)
    before = weights(one)
    first = steps(one, batches, 1)[0]
    assert (first.updated, first.overflowed, first.suspects) == (False, True, [])
    after = weights(one)
    assert all(
        torch.equal(before[n], after[n])
        for n in before
        if "running" not in n and "tracked" not in n
    )
    assert one.scaler is not None
    assert one.scaler.get_scale() == 2.0**39
    later = steps(one, batches, 30)
    assert later[-1].updated
    state = one.fabric.strategy.precision.state_dict()
    assert state["scale"] == one.scaler.get_scale() < 2.0**30
    other = half(1.0)
    other.fabric.strategy.precision.load_state_dict(state)
    assert other.scaler is not None
    assert other.scaler.get_scale() == one.scaler.get_scale()


def test_a_loss_that_is_not_finite_is_no_matter_of_scale(batches: list[Batch]) -> None:
    for one in (learner(), half(2.0**10)):
        with torch.no_grad():
            one.las.speller.out.bias[0] = torch.nan
        (step,) = steps(one, batches, 1)
        assert (step.updated, step.overflowed) == (False, False)
        assert step.suspects == batches[0].ids


# Memory


def test_convolutions_computed_again_change_nothing(batches: list[Batch]) -> None:
    """To the bit: losses, weights and the running statistics, which count each batch once."""
    found = {}
    for again in (False, True):
        # Batches with padding and without: both kinds of statistics.
        even = [batch for batch in batches if len(set(batch.lengths.tolist())) == 1]
        assert even
        assert len(even) < len(batches)
        changed = PLAIN.changed({"checkpoint_activations": again, "dropout": 0.2}, "test")
        one = learner(changed)
        found[again] = [step.losses for step in steps(one, batches, 12)], weights(one)
    assert found[False][0] == found[True][0]
    assert equal(found[False][1], found[True][1])
    assert int(found[True][1]["listener.conv.2.num_batches_tracked"]) == 12


def test_convolutions_computed_again_keep_less_in_memory(batches: list[Batch]) -> None:
    kept = {}
    for again in (False, True):
        one = learner(PLAIN.changed({"checkpoint_activations": again}, "test"))
        one.model.train()
        features, lengths = one.log_mel(batches[0].waveforms, batches[0].lengths)
        sizes: dict[int, int] = {}

        def keep(part: Tensor, sizes: dict[int, int] = sizes) -> Tensor:
            sizes[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
            return part

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda part: part):
            heard, _ = one.las.listener.convolve(features, lengths)
        kept[again] = sum(sizes.values())
        heard.sum().backward()
    assert kept[True] < 0.35 * kept[False]


@pytest.mark.parametrize("again", [False, True])
def test_a_rehearsal_leaves_everything_as_it_was(batches: list[Batch], again: bool) -> None:
    changed = PLAIN.changed({"dropout": 0.5, "checkpoint_activations": again}, "test")
    found = []
    for rehearsed in (False, True):
        one = learner(changed)
        one.model.train()
        if rehearsed:
            before, draws = weights(one), torch.get_rng_state()
            one.check_memory(longest_batch(3.0, 12, VOCABULARY, changed.data))
            assert equal(before, weights(one))
            assert torch.equal(draws, torch.get_rng_state())
            assert not one.optimizer.state
            assert all(part.grad is None for part in one.las.parameters())
        steps(one, batches, 5)
        found.append(weights(one))
    assert equal(*found)


def test_a_rehearsal_goes_through_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the largest batch, and back: every weight gets a gradient."""
    one = learner(PLAIN.changed({"batch_seconds": 9.0}, "test"))
    one.model.train()
    seen: dict[str, Any] = {}
    learn: Callable[[], None] = one.optimizer.zero_grad

    def look() -> None:
        seen["gradients"] = [part.grad is not None for part in one.las.parameters()]
        learn()

    monkeypatch.setattr(one.optimizer, "zero_grad", look, raising=False)
    one.check_memory(longest_batch(3.0, 12, VOCABULARY, one.settings.data))
    assert all(seen["gradients"])
