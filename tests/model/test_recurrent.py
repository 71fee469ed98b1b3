"""Recurrent layers against PyTorch's own, on packed sequences: outputs and every gradient."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sorigeul.model.recurrent import dropout, recurrent, run_padded, run_stateful

THEIRS: dict[str, type[nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}
LENGTHS = torch.tensor([7, 2, 9, 1])


def pair(cell: str, layers: int, two_way: bool = False) -> tuple[nn.RNNBase, nn.RNNBase]:
    """Ours and PyTorch's with the same weights, 5 wide inside and 6 at the input."""
    torch.manual_seed(5)
    theirs = THEIRS[cell](6, 5, layers, batch_first=True, bidirectional=two_way)
    ours = recurrent(cell, 6, 5, layers, 0.0, bidirectional=two_way)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def gradients(rnn: nn.RNNBase, *inputs: Tensor) -> dict[str, Tensor | None]:
    """Gradients of the parameters and the inputs, which are then forgotten."""
    named = dict(rnn.named_parameters()) | {f"input {n}": each for n, each in enumerate(inputs)}
    found = {name: each.grad for name, each in named.items()}
    for each in named.values():
        each.grad = None
    return found


def same(ours: dict[str, Tensor | None], theirs: dict[str, Tensor | None]) -> None:
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert gradient is not None, name
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("cell", "layers", "two_way"), list(product(THEIRS, (1, 2, 3), (False, True)))
)
def test_padded_equals_packed(cell: str, layers: int, two_way: bool) -> None:
    ours, theirs = pair(cell, layers, two_way)
    inputs = torch.randn(4, 10, 6, requires_grad=True)
    weights = torch.randn(4, 10, 10 if two_way else 5)  # not zero on the padding

    outputs = run_padded(ours, inputs, LENGTHS)
    (outputs * weights).sum().backward()
    found = gradients(ours, inputs)

    packed = pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True, total_length=10)
    (expected * weights).sum().backward()

    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-6)
    same(found, gradients(theirs, inputs))
    assert not outputs[torch.arange(10) >= LENGTHS.unsqueeze(1)].any()


@pytest.mark.parametrize("cell", THEIRS)
def test_what_lies_in_the_padding_does_not_matter(cell: str) -> None:
    ours, _ = pair(cell, 2, two_way=True)
    inputs = torch.randn(4, 10, 6)
    other = torch.where((torch.arange(10) < LENGTHS.unsqueeze(1)).unsqueeze(-1), inputs, 1e3)
    assert torch.equal(run_padded(ours, inputs, LENGTHS), run_padded(ours, other, LENGTHS))


@pytest.mark.parametrize(("cell", "layers"), list(product(THEIRS, (1, 3))))
@pytest.mark.parametrize("learning", [True, False])
def test_stateful_equals_torch(cell: str, layers: int, learning: bool) -> None:
    ours, theirs = pair(cell, layers)
    inputs = torch.randn(4, 8, 6, requires_grad=learning)
    parts = 2 if cell == "lstm" else 1
    state = tuple(torch.randn(layers, 4, 5, requires_grad=learning) for _ in range(parts))

    outputs, after = run_stateful(ours, inputs, state)
    expected, left = theirs(inputs, state if cell == "lstm" else state[0])
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-6)
    for mine, reference in zip(after, left if cell == "lstm" else (left,), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-6)

    if learning:
        weights, last = torch.randn_like(outputs), torch.randn(layers, 4, 5)
        ((outputs * weights).sum() + sum((each * last).sum() for each in after)).backward()
        found = gradients(ours, inputs, *state)
        ends = left if cell == "lstm" else (left,)
        ((expected * weights).sum() + sum((each * last).sum() for each in ends)).backward()
        same(found, gradients(theirs, inputs, *state))


@pytest.mark.parametrize("cell", THEIRS)
@pytest.mark.parametrize("learning", [True, False])
def test_state_carries_all_there_is_to_remember(cell: str, learning: bool) -> None:
    ours, _ = pair(cell, 2)
    inputs = torch.randn(3, 8, 6, requires_grad=learning)
    start = tuple(torch.zeros(2, 3, 5) for _ in range(2 if cell == "lstm" else 1))
    whole, _ = run_stateful(ours, inputs, start)
    first, state = run_stateful(ours, inputs[:, :3], start)
    second, _ = run_stateful(ours, inputs[:, 3:], state)
    torch.testing.assert_close(torch.cat((first, second), 1), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", THEIRS)
def test_dropout_between_layers_in_training_only(cell: str) -> None:
    torch.manual_seed(6)
    inputs = torch.randn(4, 10, 6, requires_grad=True)
    for layers, drops in ((1, False), (2, True)):
        rnn = recurrent(cell, 6, 5, layers, 0.5, bidirectional=True)
        once, again = (run_padded(rnn, inputs, LENGTHS) for _ in range(2))
        assert torch.equal(once, again) is not drops
        rnn.eval()
        once, again = (run_padded(rnn, inputs, LENGTHS) for _ in range(2))
        assert torch.equal(once, again)


def test_dropout_keeps_the_expectation() -> None:
    """What is kept grows, so that evaluation needs no scale (Srivastava et al. 2014)."""
    torch.manual_seed(6)
    rnn = recurrent("gru", 6, 5, 2, 0.2)
    with torch.no_grad():  # small inputs: the second layer is close to linear
        rnn.weight_ih_l1.mul_(0.1)
    inputs = torch.randn(1, 3, 6, requires_grad=True)
    many = run_padded(rnn, inputs.expand(4_000, -1, -1), torch.full((4_000,), 3))
    expected = run_padded(rnn.eval(), inputs, torch.tensor([3]))
    torch.testing.assert_close(many.mean(0, keepdim=True), expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    ("cell", "tree"),
    [
        ("gru", "GRU(6, 5, num_layers=1, batch_first=True, dropout=0.5)"),
        ("lstm", "LSTM(6, 5, num_layers=1, batch_first=True, dropout=0.5)"),
        ("rnn", "RNN(6, 5, num_layers=1, batch_first=True, dropout=0.5)"),
    ],
)
def test_a_single_layer_is_printed_as_such(cell: str, tree: str) -> None:
    assert str(recurrent(cell, 6, 5, 1, 0.5)) == tree
    assert str(recurrent(cell, 6, 5, 2, 0.5)) == tree.replace("num_layers=1", "num_layers=2")


def test_gru_in_bfloat16_stays_close() -> None:
    """Recurrent products in bfloat16: outputs and gradients within 2 % of float32's, in norm."""
    torch.manual_seed(6)
    rnn = recurrent("gru", 20, 32, 2, 0.0, bidirectional=True)
    inputs = torch.randn(8, 30, 20, requires_grad=True)
    lengths = torch.tensor([30, 30, 28, 25, 20, 20, 9, 4])
    weights = torch.randn(8, 30, 64)

    def run(half: bool) -> dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            outputs = run_padded(rnn, inputs, lengths)
        (outputs * weights).sum().backward()
        found = {name: each for name, each in gradients(rnn, inputs).items() if each is not None}
        return found | {"outputs": outputs.detach()}

    exact, close = run(False), run(True)
    assert not torch.equal(exact["outputs"], close["outputs"])
    for name, expected in exact.items():
        assert (close[name] - expected).norm() < 0.02 * expected.norm(), name


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_of_recurrent_layers(probability: float) -> None:
    """Drops that share between layers, keeps the mean, and follows torch's seed."""
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
