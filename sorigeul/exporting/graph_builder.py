"""Builds a graph of ONNX, node by node, in expressions that read like PyTorch's.

The graph is written here rather than traced by PyTorch's exporter, which has no rule for recurrent
layers, and takes the sizes of its example for constants without saying so. Nothing here ever sees
an example: every size of a batch is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from sorigeul.exporting.row_rounding import rounded_rows, should_round

_OPSET = 20
_IR_VERSION = 10  # that of this opset, which onnxruntime 1.18 reads

Floats = npt.NDArray[np.float32]


class Value:
    """A tensor in a graph: what a node computes, an input, or a constant."""

    def __init__(self, graph: GraphBuilder, name: str) -> None:
        self.graph, self.name = graph, name

    def __add__(self, other: Value | float) -> Value:
        return self.graph.op("Add", self, other)

    def __sub__(self, other: Value | float) -> Value:
        return self.graph.op("Sub", self, other)

    def __mul__(self, other: Value | float) -> Value:
        return self.graph.op("Mul", self, other)

    def __matmul__(self, other: Value) -> Value:
        return self.graph.op("MatMul", self, other)

    def transpose(self, *axes: int) -> Value:
        """The axes in this order."""
        return self.graph.op("Transpose", self, perm=axes)

    def reshape(self, *shape: int) -> Value:
        """In this shape, where 0 keeps the size of the axis and -1 takes what is left."""
        return self.graph.op("Reshape", self, self.graph.integers(shape))

    def unsqueeze(self, axis: int) -> Value:
        """With an axis of size 1."""
        return self.graph.op("Unsqueeze", self, self.graph.integers([axis]))

    def slice(self, axis: int, start: int = 0, step: int = 1) -> Value:
        """Every `step`-th place of an axis from `start` on."""
        last = np.iinfo(np.int64).max
        parts = [self.graph.integers([number]) for number in (start, last, axis, step)]
        return self.graph.op("Slice", self, *parts)

    def split(self, count: int, axis: int = -1) -> list[Value]:
        """An axis in equal parts."""
        return self.graph.ops("Split", count, self, axis=axis, num_outputs=count)

    def flatten_last(self) -> Value:
        """(A, B, C, D) -> (A, B, C D)."""
        return self.reshape(0, 0, -1)


class GraphBuilder:
    """A graph that grows. In `int8`, matrices are stored with eight bits and one scale a row."""

    def __init__(self, int8: bool = False) -> None:
        self._int8 = int8
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def input(self, name: str, kind: str, *shape: str | int) -> Value:
        """An input of a type of ONNX such as "FLOAT"; a size that is open has a name."""
        type_ = TensorProto.DataType.Value(kind)
        self._inputs.append(helper.make_tensor_value_info(name, type_, shape))
        return Value(self, name)

    def output(self, name: str, value: Value, kind: str, *shape: str | int) -> None:
        """Give a value out under this name."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        type_ = TensorProto.DataType.Value(kind)
        self._outputs.append(helper.make_tensor_value_info(name, type_, shape))

    def op(self, operator: str, *inputs: Value | float | None, **attributes: Any) -> Value:
        """What an operator of ONNX gives for these inputs; None leaves one out."""
        return self.ops(operator, 1, *inputs, **attributes)[0]

    def ops(
        self, operator: str, outputs: int, *inputs: Value | float | None, **attributes: Any
    ) -> list[Value]:
        """As `op`, for an operator with several outputs."""
        values = [self.constant(np.float32(x)) if isinstance(x, float | int) else x for x in inputs]
        given = ["" if value is None else value.name for value in values]
        names = [self._name(operator.lower()) for _ in range(outputs)]
        self._nodes.append(helper.make_node(operator, given, names, **attributes))
        return [Value(self, name) for name in names]

    def constant(self, array: npt.ArrayLike) -> Value:
        """A constant."""
        name = self._name("constant")
        self._constants.append(numpy_helper.from_array(np.asarray(array), name))
        return Value(self, name)

    def integers(self, numbers: Sequence[int]) -> Value:
        """A list of integers, as shapes and axes are."""
        return self.constant(np.array(numbers, np.int64))

    def weight(self, tensor: Tensor) -> Value:
        """A weight of the model. In int8, each row of a matrix (its first axis) is rounded."""
        array = tensor.detach().cpu().numpy().astype(np.float32)
        if not (self._int8 and should_round(array.shape)):
            return self.constant(array)
        rows = array.reshape(len(array), -1)
        numbers, scales = rounded_rows(rows)
        stored = self.constant(numbers), self.constant(scales)
        restored = self.op("DequantizeLinear", *stored, axis=0)
        return restored.reshape(*array.shape) if array.ndim > 2 else restored

    def weight_and_bias(self, layer: nn.Conv1d | nn.Conv2d) -> list[Value]:
        """The parameters of a convolution."""
        parameters = [self.weight(layer.weight)]
        return parameters if layer.bias is None else [*parameters, self.weight(layer.bias)]

    def linear(self, inputs: Value, layer: nn.Linear) -> Value:
        """Inputs (..., D) -> outputs (..., D')."""
        outputs = inputs @ self.weight(layer.weight).transpose(1, 0)
        return outputs if layer.bias is None else outputs + self.weight(layer.bias)

    def layer_norm(self, inputs: Value, layer: nn.LayerNorm) -> Value:
        """Inputs (..., D), normalised over D."""
        parameters = self.weight(layer.weight), self.weight(layer.bias)
        return self.op("LayerNormalization", inputs, *parameters, axis=-1, epsilon=layer.eps)

    def positions(self, inputs: Value, axis: int) -> Value:
        """0, 1, ... for each place of an axis (S,), as integers."""
        size = self.op("Squeeze", self.op("Shape", inputs, start=axis, end=axis + 1))
        zero, one = self.constant(np.int64(0)), self.constant(np.int64(1))
        return self.op("Range", zero, size, one)

    def valid(self, inputs: Value, axis: int, lengths: Value) -> Value:
        """Which places of an axis are before the end of each utterance (B, S)."""
        return self.op("Less", self.positions(inputs, axis), lengths.unsqueeze(1))

    def masked(self, valid: Value, inputs: Value, otherwise: float = 0.0) -> Value:
        """Inputs where they are valid, else another value."""
        return self.op("Where", valid, inputs, otherwise)

    def save(self, path: Path) -> None:
        """Check the graph, and write it."""
        graph = helper.make_graph(
            self._nodes, path.stem, self._inputs, self._outputs, self._constants
        )
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        model.producer_name = "sorigeul"
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString())

    def _name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"
