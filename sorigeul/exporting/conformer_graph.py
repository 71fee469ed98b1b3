"""The blocks of a Conformer listener as a graph of ONNX.

B utterances, S frames, D width, H heads, W width of a head.
"""

import numpy as np

from sorigeul.exporting.graph_builder import Floats, GraphBuilder, Value
from sorigeul.model.config import ROTARY_BASE


def conformer_stack(
    graph: GraphBuilder, stack: str, blocks: int, heads: int, frames: Value, lengths: Value
) -> Value:
    """Frames (B, S, D'), lengths (B,) -> frames (B, S, D), zero past each length.

    `stack` is the name of a `model.conformer.ConformerStack` of so many blocks.
    """
    width = len(graph.weights[f"{stack}.project.weight"]) // heads
    valid = graph.valid(frames, 1, lengths)
    column = valid.unsqueeze(2)
    positions = graph.op("Cast", graph.positions(frames, 1), to=1)  # float32
    angles = positions.unsqueeze(1) * graph.constant(_frequencies(width))
    turned = graph.op("Cos", angles), graph.op("Sin", angles)
    hidden = graph.linear(graph.masked(column, frames), f"{stack}.project")
    for number in range(blocks):
        block = f"{stack}.blocks.{number}"
        hidden = hidden + _feed_forward(graph, f"{block}.feed_forward_before", hidden) * 0.5
        normed = graph.layer_norm(hidden, f"{block}.attention_norm")
        hidden = hidden + _attend(graph, f"{block}.attention", heads, normed, valid, turned)
        hidden = hidden + _convolve(graph, f"{block}.convolution", hidden, column)
        hidden = hidden + _feed_forward(graph, f"{block}.feed_forward_after", hidden) * 0.5
        hidden = graph.layer_norm(hidden, f"{block}.norm")
    return graph.masked(column, hidden)


def _frequencies(width: int) -> Floats:
    """As `model.rotary.frequencies`: of a head (W / 2,)."""
    exponents = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    frequencies: Floats = np.float32(ROTARY_BASE) ** -exponents
    return frequencies


def _silu(graph: GraphBuilder, hidden: Value) -> Value:
    return hidden * graph.op("Sigmoid", hidden)


def _feed_forward(graph: GraphBuilder, layers: str, hidden: Value) -> Value:
    """A feed-forward module: normalisation, and two linear layers with SiLU between them."""
    wide = graph.linear(graph.layer_norm(hidden, f"{layers}.0"), f"{layers}.1")
    return graph.linear(_silu(graph, wide), f"{layers}.4")


def _attend(
    graph: GraphBuilder,
    layer: str,
    heads: int,
    hidden: Value,
    valid: Value,
    turned: tuple[Value, Value],
) -> Value:
    """Self-attention: hidden (B, S, D), valid (B, S), cosines and sines (S, W / 2) -> (B, S, D)."""
    width = graph.weights[f"{layer}.out.weight"].shape[1] // heads
    parts = graph.linear(hidden, f"{layer}.query_key_value").reshape(0, 0, 3 * heads, width)
    query, key, value = parts.transpose(0, 2, 1, 3).split(3, axis=1)  # each (B, H, S, W)
    query, key = (_rotate(graph, vectors, turned) for vectors in (query, key))
    scores = (query @ key.transpose(0, 1, 3, 2)) * width**-0.5
    scores = graph.masked(valid.unsqueeze(1).unsqueeze(1), scores, -np.inf)
    context = graph.op("Softmax", scores, axis=-1) @ value
    return graph.linear(context.transpose(0, 2, 1, 3).flatten_last(), f"{layer}.out")


def _rotate(graph: GraphBuilder, vectors: Value, turned: tuple[Value, Value]) -> Value:
    """As `model.rotary.rotate`: vectors (..., S, W)."""
    first, second = vectors.split(2)
    cosine, sine = turned
    halves = first * cosine - second * sine, first * sine + second * cosine
    return graph.op("Concat", *halves, axis=-1)


def _convolve(graph: GraphBuilder, module: str, hidden: Value, valid: Value) -> Value:
    """The convolution module: hidden (B, S, D), valid (B, S, 1) -> (B, S, D)."""
    normed = graph.layer_norm(hidden, f"{module}.norm")
    values, gates = graph.linear(normed, f"{module}.gate").split(2)
    gated = graph.masked(valid, values * graph.op("Sigmoid", gates))  # it reads past the end
    depthwise = f"{module}.depthwise"
    channels = len(graph.weights[f"{depthwise}.weight"])
    mixed = graph.convolution(gated.transpose(0, 2, 1), depthwise, axes=1, group=channels)
    mixed = graph.layer_norm(mixed.transpose(0, 2, 1), f"{module}.depthwise_norm")
    return graph.linear(_silu(graph, mixed), f"{module}.out")
