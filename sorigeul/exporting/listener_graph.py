"""The listener and the CTC head as a graph of ONNX.

B utterances, T feature frames, F mel bands, S listener frames, S' frames of the CTC head, D width,
A width of the keys, V vocabulary.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import nn

from sorigeul.exporting.conformer_graph import conformer_stack
from sorigeul.exporting.graph_builder import GraphBuilder, Value
from sorigeul.exporting.recurrent_graph import run_padded
from sorigeul.model.attention import ScoredAttention
from sorigeul.model.config import CONV_REDUCTION
from sorigeul.model.conformer import ConformerListener, ConformerStack
from sorigeul.model.front_end import FrontEnd
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.listener import Listener, PyramidalRNN
from sorigeul.model.pretrained_listener import PretrainedListener

_Stack = tuple[Value, Value]
"""frames (B, S, D), zero past each length, and lengths (B,)"""


def write_listener(model: ListenAttendSpell, path: Path, int8: bool) -> None:
    """Write the graph: features (B, T, F) with T at least 4, lengths (B,) -> the speller's memory.

    It gives `values` (B, S, D), `keys` (B, S, A), unless they are the values, and `frames` (B,),
    how many are valid; with a CTC head also `ctc_logits` (B, S', V) and `ctc_frames` (B,).
    """
    assert isinstance(model.listener, FrontEnd)  # `export` refuses a pretrained listener
    graph, config = GraphBuilder(int8), model.config
    features = graph.input("features", "FLOAT", "B", "T", config.n_mels)
    lengths = graph.input("lengths", "INT64", "B")
    stacks = list(_stacks(graph, model, _convolve(graph, model.listener, features, lengths)))
    values, lengths = stacks[-1]
    if model.speller.project is not None:
        values = graph.linear(values, model.speller.project)
    graph.output("values", values, "FLOAT", "B", "S", config.speller_width)
    keys = _keys(graph, model, values)
    if keys is not None:
        graph.output("keys", keys, "FLOAT", "B", "S", "A")
    graph.output("frames", lengths, "INT64", "B")
    if config.ctc_weight > 0:
        frames, lengths = stacks[int(math.log2(config.ctc_reduction // CONV_REDUCTION))]
        logits = graph.linear(frames, model.ctc)
        graph.output("ctc_logits", logits, "FLOAT", "B", "S'", config.vocabulary_size)
        graph.output("ctc_frames", lengths, "INT64", "B")
    graph.save(path)


def _convolve(graph: GraphBuilder, front_end: FrontEnd, features: Value, lengths: Value) -> _Stack:
    """As `FrontEnd.convolve`: (B, T, F) -> frames (B, T // 4, ...), undefined in padding."""
    hidden = features.unsqueeze(1)
    lengths = graph.op("Max", lengths, graph.constant(np.int64(CONV_REDUCTION)))
    for layer in front_end.conv:
        if isinstance(layer, nn.Conv2d):
            hidden = graph.op("Conv", hidden, *graph.weight_and_bias(layer), pads=[1, 1, 1, 1])
        elif isinstance(layer, nn.Hardtanh):
            hidden = graph.op("Clip", hidden, layer.min_val, layer.max_val)
        elif isinstance(layer, nn.MaxPool2d):
            hidden = graph.op("MaxPool", hidden, kernel_shape=[2, 2], strides=[2, 2])
            lengths = graph.op("Div", lengths, graph.constant(np.int64(2)))
        elif isinstance(layer, nn.BatchNorm2d):
            names = ("weight", "bias", "running_mean", "running_var")
            statistics = [graph.weight(getattr(layer, name)) for name in names]
            hidden = graph.op("BatchNormalization", hidden, *statistics, epsilon=layer.eps)
            # The convolution after it reads past the end of an utterance.
            valid = graph.valid(hidden, 2, lengths).unsqueeze(1).unsqueeze(3)
            hidden = graph.masked(valid, hidden)
        else:
            raise NotImplementedError(f"a front end with {type(layer).__name__}")
    return hidden.transpose(0, 2, 3, 1).flatten_last(), lengths


def _stacks(graph: GraphBuilder, model: ListenAttendSpell, convolved: _Stack) -> Iterator[_Stack]:
    """The output of every stack of the listener, the lowest first."""
    listener = model.listener
    assert not isinstance(listener, PretrainedListener)
    frames, lengths = convolved
    if isinstance(listener, ConformerListener):
        for number, stack in enumerate(listener.stacks):
            if number:
                frames, lengths = _pairs(graph, frames, lengths)
            assert isinstance(stack, ConformerStack)
            frames = conformer_stack(graph, stack, frames, lengths)
            yield frames, lengths
        return
    frames = _junction(graph, listener, 0, frames, lengths)
    pyramid = [child.rnn for child in listener.children() if isinstance(child, PyramidalRNN)]
    for number, rnn in enumerate([listener.bottom_rnn, *pyramid], 1):
        if number > 1:
            frames, lengths = _pairs(graph, frames, lengths)
        frames = run_padded(graph, rnn, frames, lengths)
        frames = _junction(graph, listener, number, frames, lengths)
        yield frames, lengths


def _junction(
    graph: GraphBuilder, listener: Listener, number: int, frames: Value, lengths: Value
) -> Value:
    """What lies after a part of the listener, by its number."""
    if listener.junctions is None:
        return frames
    norm = listener.junctions[number].norm
    if isinstance(norm, nn.LayerNorm):
        frames = graph.layer_norm(frames, norm)
    return graph.masked(graph.valid(frames, 1, lengths).unsqueeze(2), frames)


def _pairs(graph: GraphBuilder, frames: Value, lengths: Value) -> _Stack:
    """Frames (B, S, D) -> pairs (B, ceil(S / 2), 2 D), the last one with zeros if S is odd."""
    padded = graph.op("Pad", frames, graph.integers([0, 0, 0, 0, 1, 0]))
    pairs = graph.op("Concat", frames.slice(1, 0, 2), padded.slice(1, 1, 2), axis=2)
    one, two = graph.constant(np.int64(1)), graph.constant(np.int64(2))
    return pairs, graph.op("Div", lengths + one, two)


def _keys(graph: GraphBuilder, model: ListenAttendSpell, values: Value) -> Value | None:
    """Values (B, S, D) -> keys (B, S, A), as of `ScoredAttention`; None if they are the same."""
    if model.speller.attention is None:
        return None
    kind: ScoredAttention = model.speller.attention.attention
    layers = [getattr(kind, name) for name in ("key", "value") if hasattr(kind, name)]
    if not layers:
        return None
    keys = [graph.linear(values, layer) for layer in layers]
    return keys[0] if len(keys) == 1 else graph.op("Concat", *keys, axis=2)
