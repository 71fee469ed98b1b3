"""Recurrent layers as a graph: whole utterances by ONNX's own operators, and single steps.

ONNX's GRU, LSTM and RNN know lengths: in a padded utterance the backward direction begins at its
end. A single step is written out, since those operators are slow at it.

B utterances, S frames, N hypotheses, D width, H hidden size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sorigeul.exporting.graph_builder import GraphBuilder, Value

_GATES = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2), "RNN": (0,)}
"""ONNX's gates by their positions in PyTorch: update, reset, hidden; input, output, forget, cell"""


def _operator(rnn: nn.RNNBase) -> str:
    kinds = {"GRU": nn.GRU, "LSTM": nn.LSTM, "RNN": nn.RNN}
    return next(name for name, kind in kinds.items() if isinstance(rnn, kind))


def run_padded(graph: GraphBuilder, rnn: nn.RNNBase, inputs: Value, lengths: Value) -> Value:
    """Inputs (B, S, D), lengths (B,) -> outputs (B, S, D'), zero past each length."""
    operator, hidden = _operator(rnn), rnn.hidden_size
    suffixes = ["", "_reverse"][: 2 if rnn.bidirectional else 1]
    direction = "bidirectional" if rnn.bidirectional else "forward"
    attributes = {"linear_before_reset": 1} if operator == "GRU" else {}

    def parameters(name: str) -> Tensor:
        """Of both directions, one after the other, in ONNX's order of gates."""
        parts = []
        for suffix in suffixes:
            gates = getattr(rnn, name + suffix).detach().split(hidden)
            parts += [gates[place] for place in _GATES[operator]]
        return torch.cat(parts)

    frames = inputs.transpose(1, 0, 2)
    steps = graph.op("Cast", lengths, to=6)  # int32
    for layer in range(rnn.num_layers):
        input_weight, state_weight = (
            graph.weight(parameters(f"weight_{part}_l{layer}")) for part in ("ih", "hh")
        )
        rows = len(_GATES[operator]) * hidden
        biases = [parameters(f"bias_{part}_l{layer}").view(-1, rows) for part in ("ih", "hh")]
        outputs = graph.op(
            operator,
            frames,
            input_weight.reshape(-1, rows, rnn.input_size if not layer else hidden * len(suffixes)),
            state_weight.reshape(-1, rows, hidden),
            graph.constant(torch.cat(biases, dim=1).numpy()),  # no matrix, whatever its shape
            steps,
            hidden_size=hidden,
            direction=direction,
            **attributes,
        )
        frames = outputs.transpose(0, 2, 1, 3).flatten_last()
    return frames.transpose(1, 0, 2)


def run_step(
    graph: GraphBuilder, rnn: nn.RNNBase, inputs: Value, state: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """One step of all layers: inputs (N, D) -> outputs (N, H), the state after.

    A state is the hidden state (layers, N, H), and for an LSTM also its cells, of the same shape.
    """
    before = [
        graph.ops("Split", rnn.num_layers, part, axis=0, num_outputs=rnn.num_layers)
        for part in state
    ]
    after: list[list[Value]] = []
    for layer in range(rnn.num_layers):
        own = [parts[layer].reshape(-1, rnn.hidden_size) for parts in before]
        from_input, from_state = (
            operand @ graph.weight(getattr(rnn, f"weight_{part}_l{layer}")).transpose(1, 0)
            + graph.weight(getattr(rnn, f"bias_{part}_l{layer}"))
            for operand, part in ((inputs, "ih"), (own[0], "hh"))
        )
        after.append(_next_state(graph, rnn, (from_input, from_state), own))
        inputs = after[-1][0]
    states = [
        graph.op("Concat", *(part.unsqueeze(0) for part in parts), axis=0)
        for parts in zip(*after, strict=True)
    ]
    return inputs, states


def _next_state(
    graph: GraphBuilder, rnn: nn.RNNBase, sums: tuple[Value, Value], before: Sequence[Value]
) -> list[Value]:
    """The state (N, H) of a layer after a step, from what its input and its state add up to."""
    from_input, from_state = sums

    def sigmoid(value: Value) -> Value:
        return graph.op("Sigmoid", value)

    def tanh(value: Value) -> Value:
        return graph.op("Tanh", value)

    if isinstance(rnn, nn.GRU):
        gates = zip(from_input.split(3), from_state.split(3), strict=True)
        (reset_input, reset_state), (update_input, update_state), (new_input, new_state) = gates
        reset, update = sigmoid(reset_input + reset_state), sigmoid(update_input + update_state)
        new = tanh(new_input + reset * new_state)
        return [new + update * (before[0] - new)]
    if isinstance(rnn, nn.LSTM):
        enter, forget, cell, leave = (from_input + from_state).split(4)
        cells = sigmoid(forget) * before[1] + sigmoid(enter) * tanh(cell)
        return [sigmoid(leave) * tanh(cells), cells]
    return [tanh(from_input + from_state)]
