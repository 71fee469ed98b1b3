"""Recurrent layers as a graph: whole utterances by ONNX's own operators, and single steps.

ONNX's GRU, LSTM and RNN know lengths: in a padded utterance the backward direction begins at its
end. A single step is written out, since those operators are slow at it.

B utterances, S frames, N hypotheses, D width, H hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sorigeul.exporting.graph_builder import Floats, GraphBuilder, Value
from sorigeul.model.config import Cell

_GATES: dict[Cell, tuple[int, ...]] = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2), "rnn": (0,)}
"""ONNX's gates by their positions in PyTorch: update, reset, hidden; input, output, forget, cell"""


@dataclass(frozen=True)
class RecurrentLayers:
    """Recurrent layers of the model, under their name there."""

    name: str
    cell: Cell
    count: int
    """of layers"""
    bidirectional: bool = False


def run_padded(
    graph: GraphBuilder, layers: RecurrentLayers, inputs: Value, lengths: Value
) -> Value:
    """Inputs (B, S, D), lengths (B,) -> outputs (B, S, D'), zero past each length."""
    gates, hidden = _GATES[layers.cell], _hidden_size(graph, layers)
    suffixes = ["", "_reverse"][: 2 if layers.bidirectional else 1]
    direction = "bidirectional" if layers.bidirectional else "forward"
    attributes = {"linear_before_reset": 1} if layers.cell == "gru" else {}

    def parameters(name: str) -> Floats:
        """Of both directions, one after the other, in ONNX's order of gates."""
        parts = []
        for suffix in suffixes:
            weight = graph.weights[f"{layers.name}.{name}{suffix}"]
            own = weight.reshape(len(gates), hidden, *weight.shape[1:])
            parts += [own[gate] for gate in gates]
        return np.concatenate(parts)

    frames = inputs.transpose(1, 0, 2)
    steps = graph.op("Cast", lengths, to=6)  # int32
    rows = len(gates) * hidden
    for layer in range(layers.count):
        input_weight, state_weight = (
            graph.stored(parameters(f"weight_{part}_l{layer}")) for part in ("ih", "hh")
        )
        width = graph.weights[f"{layers.name}.weight_ih_l{layer}"].shape[1]
        biases = [parameters(f"bias_{part}_l{layer}").reshape(-1, rows) for part in ("ih", "hh")]
        outputs = graph.op(
            layers.cell.upper(),
            frames,
            input_weight.reshape(-1, rows, width),
            state_weight.reshape(-1, rows, hidden),
            graph.constant(np.concatenate(biases, axis=1)),  # no matrix, whatever its shape
            steps,
            hidden_size=hidden,
            direction=direction,
            **attributes,
        )
        frames = outputs.transpose(0, 2, 1, 3).flatten_last()
    return frames.transpose(1, 0, 2)


def _hidden_size(graph: GraphBuilder, layers: RecurrentLayers) -> int:
    return int(graph.weights[f"{layers.name}.weight_hh_l0"].shape[1])


def run_step(
    graph: GraphBuilder, layers: RecurrentLayers, inputs: Value, state: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """One step of all layers: inputs (N, D) -> outputs (N, H), the state after.

    A state is the hidden state (layers, N, H), and for an LSTM also its cells, of the same shape.
    """
    count, hidden = layers.count, _hidden_size(graph, layers)
    before = [graph.ops("Split", count, part, axis=0, num_outputs=count) for part in state]
    after: list[list[Value]] = []
    for layer in range(count):
        own = [parts[layer].reshape(-1, hidden) for parts in before]
        from_input, from_state = (
            operand @ graph.weight(f"{layers.name}.weight_{part}_l{layer}").transpose(1, 0)
            + graph.weight(f"{layers.name}.bias_{part}_l{layer}")
            for operand, part in ((inputs, "ih"), (own[0], "hh"))
        )
        after.append(_next_state(graph, layers.cell, (from_input, from_state), own))
        inputs = after[-1][0]
    states = [
        graph.op("Concat", *(part.unsqueeze(0) for part in parts), axis=0)
        for parts in zip(*after, strict=True)
    ]
    return inputs, states


def _next_state(
    graph: GraphBuilder, cell: Cell, sums: tuple[Value, Value], before: Sequence[Value]
) -> list[Value]:
    """The state (N, H) of a layer after a step, from what its input and its state add up to."""
    from_input, from_state = sums

    def sigmoid(value: Value) -> Value:
        return graph.op("Sigmoid", value)

    def tanh(value: Value) -> Value:
        return graph.op("Tanh", value)

    if cell == "gru":
        gates = zip(from_input.split(3), from_state.split(3), strict=True)
        (reset_input, reset_state), (update_input, update_state), (new_input, new_state) = gates
        reset, update = sigmoid(reset_input + reset_state), sigmoid(update_input + update_state)
        new = tanh(new_input + reset * new_state)
        return [new + update * (before[0] - new)]
    if cell == "lstm":
        enter, forget, new, leave = (from_input + from_state).split(4)
        cells = sigmoid(forget) * before[1] + sigmoid(enter) * tanh(new)
        return [sigmoid(leave) * tanh(cells), cells]
    if cell == "rnn":
        return [tanh(from_input + from_state)]
    raise NotImplementedError(f"no graph for the cell {cell}")
