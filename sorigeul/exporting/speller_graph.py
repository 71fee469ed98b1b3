"""A step of the speller as a graph of ONNX: one more character of every hypothesis.

B utterances, K hypotheses of each, S listener frames, D width, A width of the keys, L layers,
V vocabulary. With recurrent attention, every hypothesis has a memory of its own, and K is 1.
"""

from pathlib import Path

import numpy as np

from sorigeul.exporting.graph_builder import GraphBuilder, Value
from sorigeul.exporting.recurrent_graph import run_step
from sorigeul.model.attention import (
    AdditiveAttention,
    DotAttention,
    LocationAttention,
    MultiHeadAttention,
    SelfAttention,
)
from sorigeul.model.las import ListenAttendSpell


def write_speller(model: ListenAttendSpell, path: Path, int8: bool) -> None:
    """Write the graph: `tokens` (B, K), the memory and the state -> the scores of what follows.

    The memory is `values` (B, S, D), `keys` (B, S, A), unless they are the values, and `valid`
    (B, S); without attention there is none. The state is `hidden` (L, B, K, D), for an LSTM also
    `cells`, of the same shape, with `feed_context` also `merged` (B, K, D), and with recurrent
    attention the alignment of the step before, `previous` (B, S). The graph gives `logits`
    (B, K, V), with attention `alignment` (B, K, S), and the state after: `next_hidden` and so on.
    """
    graph, speller = GraphBuilder(int8), model.speller
    width = model.config.speller_width
    cell_names = ["hidden", "cells"] if speller.has_cells else ["hidden"]
    tokens = graph.input("tokens", "INT64", "B", "K")
    shape = (speller.rnn.num_layers, "B", "K", width)
    state = {name: graph.input(name, "FLOAT", *shape) for name in cell_names}
    inputs = graph.op("Gather", graph.weight(speller.embedding.weight), tokens)
    if speller.feed_context:
        merged = graph.input("merged", "FLOAT", "B", "K", width)
        inputs = graph.op("Concat", inputs, merged, axis=2)
    before = [state[name].reshape(0, -1, width) for name in cell_names]
    flat = inputs.reshape(-1, speller.rnn.input_size)
    outputs, after = run_step(graph, speller.rnn, flat, before)
    sizes = graph.op("Concat", graph.op("Shape", tokens), graph.integers([width]), axis=0)
    query = merged = graph.op("Reshape", outputs, sizes)
    if speller.attention is not None:
        kind = speller.attention.attention
        memory = _Memory(graph, model)
        weights = graph.op("Softmax", memory.scores(query), axis=-1)
        context, alignment = memory.mix(weights)
        joined = graph.op("Concat", context, query, axis=2)
        merged = graph.op("Tanh", graph.linear(joined, kind.W))
        graph.output("alignment", alignment, "FLOAT", "B", "K", "S")
        if memory.previous is not None:
            last = graph.op("Squeeze", alignment, graph.integers([1]))
            graph.output("next_previous", last, "FLOAT", "B", "S")
    graph.output("logits", graph.linear(merged, speller.out), "FLOAT", "B", "K", "V")
    layers = graph.integers([speller.rnn.num_layers])
    for name, part in zip(cell_names, after, strict=True):
        restored = graph.op("Reshape", part, graph.op("Concat", layers, sizes, axis=0))
        graph.output(f"next_{name}", restored, "FLOAT", *shape)
    if speller.feed_context:
        graph.output("next_merged", merged, "FLOAT", "B", "K", width)
    graph.save(path)


class _Memory:
    """The memory as inputs of the graph, and what each kind of attention makes of it."""

    def __init__(self, graph: GraphBuilder, model: ListenAttendSpell) -> None:
        attention = model.speller.attention
        assert attention is not None
        kind = attention.attention
        width = model.config.speller_width
        self._graph, self._kind = graph, kind
        self.values = graph.input("values", "FLOAT", "B", "S", width)
        self.keys = self.values
        if hasattr(kind, "key"):
            size = 2 * width if isinstance(kind, MultiHeadAttention) else width
            self.keys = graph.input("keys", "FLOAT", "B", "S", size)
        self.valid = graph.input("valid", "BOOL", "B", "S").unsqueeze(1)
        self.previous = graph.input("previous", "FLOAT", "B", "S") if kind.recurrent else None

    def scores(self, query: Value) -> Value:
        """Query (B, K, D) -> scores (B, K, S), or (B, H, K, S), minus infinity in the padding."""
        graph, kind = self._graph, self._kind
        if isinstance(kind, SelfAttention):
            scores = query @ self.keys.transpose(0, 2, 1)
        elif isinstance(kind, DotAttention):
            scale = kind.query.out_features**-0.5
            scores = (graph.linear(query, kind.query) @ self.keys.transpose(0, 2, 1)) * scale
        elif isinstance(kind, LocationAttention):
            assert self.previous is not None
            convolution = kind.location_conv
            location = graph.op(
                "Conv",
                self.previous.unsqueeze(1),
                graph.weight(convolution.weight),
                pads=[convolution.kernel_size[0] // 2] * 2,
            )
            moved = graph.linear(location.transpose(0, 2, 1), kind.location)
            hidden = graph.linear(query, kind.query) + self.keys + moved  # K is 1
            scores = graph.linear(graph.op("Tanh", hidden), kind.score).transpose(0, 2, 1)
        elif isinstance(kind, AdditiveAttention):
            hidden = graph.linear(query, kind.query).unsqueeze(2) + self.keys.unsqueeze(1)
            scores = graph.linear(graph.op("Tanh", hidden), kind.score)
            scores = graph.op("Squeeze", scores, graph.integers([3]))
        elif isinstance(kind, MultiHeadAttention):
            keys = self._heads(kind, self.keys.split(2)[0])
            queries = self._heads(kind, graph.linear(query, kind.query))
            scale = (kind.query.out_features // kind.heads) ** -0.5
            scores = (queries @ keys.transpose(0, 1, 3, 2)) * scale
        else:
            raise NotImplementedError(f"an attention of the kind {type(kind).__name__}")
        valid = self.valid
        if isinstance(kind, MultiHeadAttention):
            valid = valid.unsqueeze(1)
        return graph.masked(valid, scores, -np.inf)

    def mix(self, weights: Value) -> tuple[Value, Value]:
        """Weights (B, K, S), or (B, H, K, S) -> context (B, K, D) and alignment (B, K, S)."""
        graph, kind = self._graph, self._kind
        if not isinstance(kind, MultiHeadAttention):
            return weights @ self.values, weights
        values = self._heads(kind, self.keys.split(2)[1])
        context = (weights @ values).transpose(0, 2, 1, 3).flatten_last()
        mean = graph.op("ReduceMean", weights, graph.integers([1]), keepdims=0)
        return context, mean

    def _heads(self, kind: MultiHeadAttention, tensor: Value) -> Value:
        """(B, L, D) -> (B, H, L, D / H)."""
        width = kind.query.out_features // kind.heads
        return tensor.reshape(0, 0, kind.heads, width).transpose(0, 2, 1, 3)
