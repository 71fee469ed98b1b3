"""The blocks of a Conformer listener as a graph of ONNX.

B utterances, S frames, D width, H heads, W width of a head.
"""

import numpy as np
from torch import nn

from sorigeul.exporting.graph_builder import GraphBuilder, Value
from sorigeul.model.conformer import ConformerBlock, ConformerStack
from sorigeul.model.rotary import frequencies


def conformer_stack(
    graph: GraphBuilder, stack: ConformerStack, frames: Value, lengths: Value
) -> Value:
    """Frames (B, S, D'), lengths (B,) -> frames (B, S, D), zero past each length."""
    valid = graph.valid(frames, 1, lengths)
    column = valid.unsqueeze(2)
    positions = graph.op("Cast", graph.positions(frames, 1), to=1)  # float32
    angles = positions.unsqueeze(1) * graph.constant(frequencies(stack.head_width).numpy())
    turned = graph.op("Cos", angles), graph.op("Sin", angles)
    hidden = graph.linear(graph.masked(column, frames), stack.project)
    for block in stack.blocks:
        assert isinstance(block, ConformerBlock)
        hidden = hidden + _feed_forward(graph, block.feed_forward_before, hidden) * 0.5
        normed = graph.layer_norm(hidden, block.attention_norm)
        hidden = hidden + _attend(graph, block, normed, valid, turned)
        hidden = hidden + _convolve(graph, block, hidden, column)
        hidden = hidden + _feed_forward(graph, block.feed_forward_after, hidden) * 0.5
        hidden = graph.layer_norm(hidden, block.norm)
    return graph.masked(column, hidden)


def _silu(graph: GraphBuilder, hidden: Value) -> Value:
    return hidden * graph.op("Sigmoid", hidden)


def _feed_forward(graph: GraphBuilder, layers: nn.Sequential, hidden: Value) -> Value:
    for layer in layers:
        if isinstance(layer, nn.LayerNorm):
            hidden = graph.layer_norm(hidden, layer)
        elif isinstance(layer, nn.Linear):
            hidden = graph.linear(hidden, layer)
        elif isinstance(layer, nn.SiLU):
            hidden = _silu(graph, hidden)
        elif not isinstance(layer, nn.Dropout):
            raise NotImplementedError(f"a feed-forward module with {type(layer).__name__}")
    return hidden


def _attend(
    graph: GraphBuilder,
    block: ConformerBlock,
    hidden: Value,
    valid: Value,
    turned: tuple[Value, Value],
) -> Value:
    """Self-attention: hidden (B, S, D), valid (B, S), cosines and sines (S, W / 2) -> (B, S, D)."""
    layer = block.attention
    width = layer.out.in_features // layer.heads
    parts = graph.linear(hidden, layer.query_key_value).reshape(0, 0, 3 * layer.heads, width)
    query, key, value = parts.transpose(0, 2, 1, 3).split(3, axis=1)  # each (B, H, S, W)
    query, key = (_rotate(graph, vectors, turned) for vectors in (query, key))
    scores = (query @ key.transpose(0, 1, 3, 2)) * width**-0.5
    scores = graph.masked(valid.unsqueeze(1).unsqueeze(1), scores, -np.inf)
    context = graph.op("Softmax", scores, axis=-1) @ value
    return graph.linear(context.transpose(0, 2, 1, 3).flatten_last(), layer.out)


def _rotate(graph: GraphBuilder, vectors: Value, turned: tuple[Value, Value]) -> Value:
    """As `model.rotary.rotate`: vectors (..., S, W)."""
    first, second = vectors.split(2)
    cosine, sine = turned
    halves = first * cosine - second * sine, first * sine + second * cosine
    return graph.op("Concat", *halves, axis=-1)


def _convolve(graph: GraphBuilder, block: ConformerBlock, hidden: Value, valid: Value) -> Value:
    """The convolution module: hidden (B, S, D), valid (B, S, 1) -> (B, S, D)."""
    module = block.convolution
    values, gates = graph.linear(graph.layer_norm(hidden, module.norm), module.gate).split(2)
    gated = graph.masked(valid, values * graph.op("Sigmoid", gates))  # it reads past the end
    layer = module.depthwise
    mixed = graph.op(
        "Conv",
        gated.transpose(0, 2, 1),
        *graph.weight_and_bias(layer),
        group=layer.groups,
        pads=[layer.kernel_size[0] // 2] * 2,
    )
    mixed = graph.layer_norm(mixed.transpose(0, 2, 1), module.depthwise_norm)
    return graph.linear(_silu(graph, mixed), module.out)
