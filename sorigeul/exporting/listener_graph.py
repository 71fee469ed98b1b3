"""The listener and the CTC head as a graph of ONNX.

B utterances, T feature frames, F mel bands, S listener frames, S' frames of the CTC head, D width,
A width of the keys, V vocabulary.
"""

import math
from collections.abc import Iterator

import numpy as np

from sorigeul.exporting.conformer_graph import conformer_stack
from sorigeul.exporting.graph_builder import GraphBuilder, Value, Weights
from sorigeul.exporting.recurrent_graph import RecurrentLayers, run_padded
from sorigeul.exporting.weight_shapes import ATTENTION, RECURRENT_STACKS
from sorigeul.model.config import CONV_REDUCTION, LASConfig

_FRONT_END = (
    "conv",
    "clip",
    "norm",
    "conv",
    "clip",
    "pool",
    "norm",
    *("conv", "clip", "norm") * 3,
    "pool",
)
"""the layers of `model.front_end.FrontEnd.conv`, under their numbers there"""

_Stack = tuple[Value, Value]
"""frames (B, S, D), zero past each length, and lengths (B,)"""


def listener_graph(config: LASConfig, weights: Weights, int8: bool = False) -> GraphBuilder:
    """The graph: features (B, T, F) with T at least 4, lengths (B,) -> the speller's memory.

    It gives `values` (B, S, D), `keys` (B, S, A), unless they are the values, and `frames` (B,),
    how many are valid; with a CTC head also `ctc_logits` (B, S', V) and `ctc_frames` (B,). Raises
    KeyError for a weight that there is not. A pretrained listener has no graph.
    """
    assert not config.is_pretrained
    graph = GraphBuilder(weights, int8)
    features = graph.input("features", "FLOAT", "B", "T", config.n_mels)
    lengths = graph.input("lengths", "INT64", "B")
    stacks = list(_stacks(graph, config, _convolve(graph, features, lengths)))
    values, lengths = stacks[-1]
    if config.speller_width != config.width:
        values = graph.linear(values, "speller.project")
    graph.output("values", values, "FLOAT", "B", "S", config.speller_width)
    keys = _keys(graph, config, values)
    if keys is not None:
        graph.output("keys", keys, "FLOAT", "B", "S", "A")
    graph.output("frames", lengths, "INT64", "B")
    if config.ctc_weight > 0:
        frames, lengths = stacks[int(math.log2(config.ctc_reduction // CONV_REDUCTION))]
        logits = graph.linear(frames, "ctc")
        graph.output("ctc_logits", logits, "FLOAT", "B", "S'", config.vocabulary_size)
        graph.output("ctc_frames", lengths, "INT64", "B")
    return graph


def _convolve(graph: GraphBuilder, features: Value, lengths: Value) -> _Stack:
    """As `FrontEnd.convolve`: (B, T, F) -> frames (B, T // 4, ...), undefined in padding."""
    hidden = features.unsqueeze(1)
    lengths = graph.op("Max", lengths, graph.constant(np.int64(CONV_REDUCTION)))
    for number, kind in enumerate(_FRONT_END):
        layer = f"listener.conv.{number}"
        if kind == "pool":
            hidden = graph.op("MaxPool", hidden, kernel_shape=[2, 2], strides=[2, 2])
            lengths = graph.op("Div", lengths, graph.constant(np.int64(2)))
        elif kind == "norm":
            hidden = graph.batch_norm(hidden, layer)
            # The convolution after it reads past the end of an utterance.
            valid = graph.valid(hidden, 2, lengths).unsqueeze(1).unsqueeze(3)
            hidden = graph.masked(valid, hidden)
        elif kind == "conv":
            hidden = graph.convolution(hidden, layer, axes=2)
        else:
            hidden = graph.op("Clip", hidden, 0, 20)
    return hidden.transpose(0, 2, 3, 1).flatten_last(), lengths


def _stacks(graph: GraphBuilder, config: LASConfig, convolved: _Stack) -> Iterator[_Stack]:
    """The output of every stack of the listener, the lowest first."""
    frames, lengths = convolved
    if config.listener == "conformer":
        heads = config.attention_heads
        for number, blocks in enumerate(config.stack_sizes):
            if number:
                frames, lengths = _pairs(graph, frames, lengths)
            stack = f"listener.stacks.{number}"
            frames = conformer_stack(graph, stack, blocks, heads, frames, lengths)
            yield frames, lengths
        return
    frames = _junction(graph, config, 0, frames, lengths)
    for number, size in enumerate(config.stack_sizes):
        if number:
            frames, lengths = _pairs(graph, frames, lengths)
        name = f"listener.{RECURRENT_STACKS[number]}"
        layers = RecurrentLayers(name, config.cell, size, config.use_bidirectional)
        frames = run_padded(graph, layers, frames, lengths)
        frames = _junction(graph, config, number + 1, frames, lengths)
        yield frames, lengths


def _junction(
    graph: GraphBuilder, config: LASConfig, number: int, frames: Value, lengths: Value
) -> Value:
    """What lies between two parts of a pyramid: a normalisation, if it has them."""
    if config.junction_norm:
        frames = graph.layer_norm(frames, f"listener.junctions.{number}.norm")
    return graph.masked(graph.valid(frames, 1, lengths).unsqueeze(2), frames)


def _pairs(graph: GraphBuilder, frames: Value, lengths: Value) -> _Stack:
    """Frames (B, S, D) -> pairs (B, ceil(S / 2), 2 D), the last one with zeros if S is odd."""
    padded = graph.op("Pad", frames, graph.integers([0, 0, 0, 0, 1, 0]))
    pairs = graph.op("Concat", frames.slice(1, 0, 2), padded.slice(1, 1, 2), axis=2)
    one, two = graph.constant(np.int64(1)), graph.constant(np.int64(2))
    return pairs, graph.op("Div", lengths + one, two)


def _keys(graph: GraphBuilder, config: LASConfig, values: Value) -> Value | None:
    """Values (B, S, D) -> keys (B, S, A), as of `ScoredAttention`; None if they are the same."""
    if not config.use_attention or config.score_function == "self":
        return None
    is_additive = config.score_function in ("additive", "location")
    keys = graph.linear(values, f"{ATTENTION}.key", bias=not is_additive)
    if config.score_function != "multi-head":
        return keys
    return graph.op("Concat", keys, graph.linear(values, f"{ATTENTION}.value"), axis=2)
