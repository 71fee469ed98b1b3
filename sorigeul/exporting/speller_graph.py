"""A step of the speller as a graph of ONNX: one more character of every hypothesis.

B utterances, K hypotheses of each, S listener frames, D width, A width of the keys, L layers,
V vocabulary. With recurrent attention, every hypothesis has a memory of its own, and K is 1.
"""

import numpy as np

from sorigeul.exporting.graph_builder import GraphBuilder, Value, Weights
from sorigeul.exporting.recurrent_graph import RecurrentLayers, run_step
from sorigeul.exporting.weight_shapes import ATTENTION
from sorigeul.model.config import LASConfig


def speller_graph(config: LASConfig, weights: Weights, int8: bool = False) -> GraphBuilder:
    """The graph: `tokens` (B, K), the memory and the state -> the scores of what follows.

    The memory is `values` (B, S, D), `keys` (B, S, A), unless they are the values, and `valid`
    (B, S); without attention there is none. The state is `hidden` (L, B, K, D), for an LSTM also
    `cells`, of the same shape, with `feed_context` also `merged` (B, K, D), and with recurrent
    attention the alignment of the step before, `previous` (B, S). The graph gives `logits`
    (B, K, V), with attention `alignment` (B, K, S), and the state after: `next_hidden` and so on.
    Raises KeyError for a weight that there is not.
    """
    graph = GraphBuilder(weights, int8)
    rnn = RecurrentLayers("speller.rnn", config.cell, config.speller_layer_size)
    width = config.speller_width
    cell_names = ["hidden", "cells"] if config.cell == "lstm" else ["hidden"]
    tokens = graph.input("tokens", "INT64", "B", "K")
    shape = (rnn.count, "B", "K", width)
    state = {name: graph.input(name, "FLOAT", *shape) for name in cell_names}
    inputs = graph.op("Gather", graph.weight("speller.embedding.weight"), tokens)
    if config.feed_context:
        merged = graph.input("merged", "FLOAT", "B", "K", width)
        inputs = graph.op("Concat", inputs, merged, axis=2)
    before = [state[name].reshape(0, -1, width) for name in cell_names]
    flat = inputs.reshape(-1, (2 if config.feed_context else 1) * width)
    outputs, after = run_step(graph, rnn, flat, before)
    sizes = graph.op("Concat", graph.op("Shape", tokens), graph.integers([width]), axis=0)
    query = merged = graph.op("Reshape", outputs, sizes)
    if config.use_attention:
        memory = _Memory(graph, config)
        shares = graph.op("Softmax", memory.scores(query), axis=-1)
        context, alignment = memory.mix(shares)
        joined = graph.op("Concat", context, query, axis=2)
        merged = graph.op("Tanh", graph.linear(joined, f"{ATTENTION}.W"))
        graph.output("alignment", alignment, "FLOAT", "B", "K", "S")
        if memory.previous is not None:
            last = graph.op("Squeeze", alignment, graph.integers([1]))
            graph.output("next_previous", last, "FLOAT", "B", "S")
    logits = graph.linear(merged, "speller.out")
    graph.output("logits", logits, "FLOAT", "B", "K", config.vocabulary_size)
    layers = graph.integers([rnn.count])
    for name, part in zip(cell_names, after, strict=True):
        restored = graph.op("Reshape", part, graph.op("Concat", layers, sizes, axis=0))
        graph.output(f"next_{name}", restored, "FLOAT", *shape)
    if config.feed_context:
        graph.output("next_merged", merged, "FLOAT", "B", "K", width)
    return graph


class _Memory:
    """The memory as inputs of the graph, and what each kind of attention makes of it."""

    def __init__(self, graph: GraphBuilder, config: LASConfig) -> None:
        width = config.speller_width
        self._graph, self._kind = graph, config.score_function
        self._width, self._heads = width, config.attention_heads
        self.values = graph.input("values", "FLOAT", "B", "S", width)
        self.keys = self.values
        if self._kind != "self":
            size = 2 * width if self._kind == "multi-head" else width
            self.keys = graph.input("keys", "FLOAT", "B", "S", size)
        self.valid = graph.input("valid", "BOOL", "B", "S").unsqueeze(1)
        is_recurrent = self._kind == "location"
        self.previous = graph.input("previous", "FLOAT", "B", "S") if is_recurrent else None

    def scores(self, query: Value) -> Value:
        """Query (B, K, D) -> scores (B, K, S), or (B, H, K, S), minus infinity in the padding."""
        graph, valid = self._graph, self.valid
        if self._kind == "self":
            scores = query @ self.keys.transpose(0, 2, 1)
        elif self._kind == "dot":
            scores = self._linear(query, "query") @ self.keys.transpose(0, 2, 1)
            scores = scores * self._width**-0.5
        elif self._kind == "location":
            assert self.previous is not None
            previous = self.previous.unsqueeze(1)
            location = graph.convolution(previous, f"{ATTENTION}.location_conv", axes=1, bias=False)
            moved = self._linear(location.transpose(0, 2, 1), "location", bias=False)
            hidden = self._linear(query, "query") + self.keys + moved  # K is 1
            scores = self._linear(graph.op("Tanh", hidden), "score", bias=False).transpose(0, 2, 1)
        elif self._kind == "additive":
            hidden = self._linear(query, "query").unsqueeze(2) + self.keys.unsqueeze(1)
            scores = self._linear(graph.op("Tanh", hidden), "score", bias=False)
            scores = graph.op("Squeeze", scores, graph.integers([3]))
        elif self._kind == "multi-head":
            keys = self._split(self.keys.split(2)[0])
            queries = self._split(self._linear(query, "query"))
            scale = (self._width // self._heads) ** -0.5
            scores = (queries @ keys.transpose(0, 1, 3, 2)) * scale
            valid = valid.unsqueeze(1)
        else:
            raise NotImplementedError(f"no graph for the attention {self._kind}")
        return graph.masked(valid, scores, -np.inf)

    def mix(self, weights: Value) -> tuple[Value, Value]:
        """Weights (B, K, S), or (B, H, K, S) -> context (B, K, D) and alignment (B, K, S)."""
        graph = self._graph
        if self._kind != "multi-head":
            return weights @ self.values, weights
        values = self._split(self.keys.split(2)[1])
        context = (weights @ values).transpose(0, 2, 1, 3).flatten_last()
        mean = graph.op("ReduceMean", weights, graph.integers([1]), keepdims=0)
        return context, mean

    def _linear(self, inputs: Value, part: str, bias: bool = True) -> Value:
        """Through a linear layer of the attention."""
        return self._graph.linear(inputs, f"{ATTENTION}.{part}", bias)

    def _split(self, tensor: Value) -> Value:
        """(B, L, D) -> (B, H, L, D / H)."""
        shape = (0, 0, self._heads, self._width // self._heads)
        return tensor.reshape(*shape).transpose(0, 2, 1, 3)
