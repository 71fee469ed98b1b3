"""Recurrent layers have the outputs and gradients of PyTorch's own on packed sequences."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sorigeul.model.recurrent import dropout, recurrent, run_padded, run_stateful

REFERENCES: dict[str, type[nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}
LENGTHS = torch.tensor([7, 2, 9, 1])


def build_pair(
    cell: str, layers: int, bidirectional: bool = False
) -> tuple[nn.RNNBase, nn.RNNBase]:
    """Our layers and PyTorch's with the same weights; input width 6, hidden size 5."""
    torch.manual_seed(5)
    reference = REFERENCES[cell](6, 5, layers, batch_first=True, bidirectional=bidirectional)
    ours = recurrent(cell, 6, 5, layers, 0.0, bidirectional=bidirectional)
    ours.load_state_dict(reference.state_dict())
    return ours, reference


def take_gradients(rnn: nn.RNNBase, *inputs: Tensor) -> dict[str, Tensor | None]:
    """The gradients of the parameters and inputs, which are then reset."""
    named_inputs = {f"input {number}": tensor for number, tensor in enumerate(inputs)}
    tensors = dict(rnn.named_parameters()) | named_inputs
    gradients = {name: tensor.grad for name, tensor in tensors.items()}
    for tensor in tensors.values():
        tensor.grad = None
    return gradients


def assert_close_gradients(
    gradients: dict[str, Tensor | None], expected: dict[str, Tensor | None]
) -> None:
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        assert gradient is not None, name
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("cell", "layers", "bidirectional"), list(product(REFERENCES, (1, 2, 3), (False, True)))
)
def test_padded_sequences_give_the_same_as_packed_ones(
    cell: str, layers: int, bidirectional: bool
) -> None:
    ours, reference = build_pair(cell, layers, bidirectional)
    inputs = torch.randn(4, 10, 6, requires_grad=True)
    weights = torch.randn(4, 10, 10 if bidirectional else 5)  # not zero in the padding

    outputs = run_padded(ours, inputs, LENGTHS)
    (outputs * weights).sum().backward()
    gradients = take_gradients(ours, inputs)

    packed = pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(reference(packed)[0], batch_first=True, total_length=10)
    (expected * weights).sum().backward()

    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-6)
    assert_close_gradients(gradients, take_gradients(reference, inputs))
    assert not outputs[torch.arange(10) >= LENGTHS.unsqueeze(1)].any()


@pytest.mark.parametrize("cell", REFERENCES)
def test_the_values_of_the_padding_do_not_matter(cell: str) -> None:
    ours, _ = build_pair(cell, 2, bidirectional=True)
    inputs = torch.randn(4, 10, 6)
    other = torch.where((torch.arange(10) < LENGTHS.unsqueeze(1)).unsqueeze(-1), inputs, 1e3)
    assert torch.equal(run_padded(ours, inputs, LENGTHS), run_padded(ours, other, LENGTHS))


@pytest.mark.parametrize(("cell", "layers"), list(product(REFERENCES, (1, 3))))
@pytest.mark.parametrize("with_gradient", [True, False])
def test_a_run_from_a_state_gives_the_same_as_pytorch(
    cell: str, layers: int, with_gradient: bool
) -> None:
    ours, reference = build_pair(cell, layers)
    inputs = torch.randn(4, 8, 6, requires_grad=with_gradient)
    tensors = 2 if cell == "lstm" else 1
    state = tuple(torch.randn(layers, 4, 5, requires_grad=with_gradient) for _ in range(tensors))

    outputs, last_state = run_stateful(ours, inputs, state)
    expected, expected_state = reference(inputs, state if cell == "lstm" else state[0])
    if cell != "lstm":
        expected_state = (expected_state,)
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-6)
    for tensor, expected_tensor in zip(last_state, expected_state, strict=True):
        torch.testing.assert_close(tensor, expected_tensor, rtol=1e-5, atol=1e-6)

    if with_gradient:
        output_weights, state_weights = torch.randn_like(outputs), torch.randn(layers, 4, 5)

        def weighted_sum(outputs: Tensor, state: tuple[Tensor, ...]) -> Tensor:
            return (outputs * output_weights).sum() + sum(
                (tensor * state_weights).sum() for tensor in state
            )

        weighted_sum(outputs, last_state).backward()
        gradients = take_gradients(ours, inputs, *state)
        weighted_sum(expected, expected_state).backward()
        assert_close_gradients(gradients, take_gradients(reference, inputs, *state))


@pytest.mark.parametrize("cell", REFERENCES)
@pytest.mark.parametrize("with_gradient", [True, False])
def test_a_run_in_two_parts_gives_the_same_as_one(cell: str, with_gradient: bool) -> None:
    ours, _ = build_pair(cell, 2)
    inputs = torch.randn(3, 8, 6, requires_grad=with_gradient)
    start = tuple(torch.zeros(2, 3, 5) for _ in range(2 if cell == "lstm" else 1))
    expected, _ = run_stateful(ours, inputs, start)
    first, state = run_stateful(ours, inputs[:, :3], start)
    second, _ = run_stateful(ours, inputs[:, 3:], state)
    torch.testing.assert_close(torch.cat((first, second), 1), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", REFERENCES)
def test_dropout_between_layers_is_active_only_in_training(cell: str) -> None:
    torch.manual_seed(6)
    inputs = torch.randn(4, 10, 6, requires_grad=True)
    for layers, has_dropout in ((1, False), (2, True)):
        rnn = recurrent(cell, 6, 5, layers, 0.5, bidirectional=True)
        once, again = (run_padded(rnn, inputs, LENGTHS) for _ in range(2))
        assert torch.equal(once, again) is not has_dropout
        rnn.eval()
        once, again = (run_padded(rnn, inputs, LENGTHS) for _ in range(2))
        assert torch.equal(once, again)


def test_dropout_keeps_the_expectation() -> None:
    """Kept values are scaled up, so that evaluation needs no scale (Srivastava et al. 2014)."""
    torch.manual_seed(6)
    rnn = recurrent("gru", 6, 5, 2, 0.2)
    with torch.no_grad():  # small inputs, so that the second layer is close to linear
        rnn.weight_ih_l1.mul_(0.1)
    inputs = torch.randn(1, 3, 6, requires_grad=True)
    outputs = run_padded(rnn, inputs.expand(4_000, -1, -1), torch.full((4_000,), 3))
    expected = run_padded(rnn.eval(), inputs, torch.tensor([3]))
    torch.testing.assert_close(outputs.mean(0, keepdim=True), expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("gru", "GRU(6, 5, num_layers=1, batch_first=True, dropout=0.5)"),
        ("lstm", "LSTM(6, 5, num_layers=1, batch_first=True, dropout=0.5)"),
        ("rnn", "RNN(6, 5, num_layers=1, batch_first=True, dropout=0.5)"),
    ],
)
def test_a_single_layer_is_printed_with_its_number_of_layers(cell: str, expected: str) -> None:
    assert str(recurrent(cell, 6, 5, 1, 0.5)) == expected
    assert str(recurrent(cell, 6, 5, 2, 0.5)) == expected.replace("num_layers=1", "num_layers=2")


def test_gru_in_bfloat16_stays_close() -> None:
    """Outputs and gradients are within 2 % of those in float32, in norm."""
    torch.manual_seed(6)
    rnn = recurrent("gru", 20, 32, 2, 0.0, bidirectional=True)
    inputs = torch.randn(8, 30, 20, requires_grad=True)
    lengths = torch.tensor([30, 30, 28, 25, 20, 20, 9, 4])
    weights = torch.randn(8, 30, 64)

    def outputs_and_gradients(autocast: bool) -> dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            outputs = run_padded(rnn, inputs, lengths)
        (outputs * weights).sum().backward()
        gradients = take_gradients(rnn, inputs).items()
        present = {name: gradient for name, gradient in gradients if gradient is not None}
        return present | {"outputs": outputs.detach()}

    exact, approximate = outputs_and_gradients(False), outputs_and_gradients(True)
    assert not torch.equal(exact["outputs"], approximate["outputs"])
    for name, expected in exact.items():
        assert (approximate[name] - expected).norm() < 0.02 * expected.norm(), name


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_drops_with_its_probability_and_follows_the_seed(probability: float) -> None:
    rnn = recurrent("gru", 4, 64, 2, probability).train()
    inputs = torch.randn(16, 50, 4, requires_grad=True)
    lengths = torch.full((16,), 50)

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return run_padded(rnn, inputs, lengths)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    rnn.eval()
    assert torch.equal(run(1), run(2))

    torch.manual_seed(3)
    ones = torch.ones(200, 500)
    dropped = dropout(ones, probability)
    kept = dropped != 0
    assert abs(1 - probability - float(kept.float().mean())) < 0.01
    assert abs(float(dropped.mean()) - 1) < 0.03
    assert dropped[kept].unique().numel() == 1
