"""Builds a graph of ONNX, node by node, in expressions that read like PyTorch's.

The graph is written here rather than traced by PyTorch's exporter, which has no rule for recurrent
layers, and takes the sizes of its example for constants without saying so. Nothing here ever sees
an example: every size of a batch is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sorigeul.exporting.graph import Graph
from sorigeul.exporting.row_rounding import rounded_rows, should_round

_OPSET = 20
_IR_VERSION = 10  # that of this opset, which onnxruntime 1.18 reads

_LARGE = 1024  # bytes; shapes and the like, which are smaller, must be in the graph
_EPSILON = 1e-5  # of PyTorch's normalisations, if nothing else is asked

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]
"""weights of a model by their names in its `state_dict`"""


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
    """A graph that grows. In `int8`, matrices are stored with eight bits and one scale a row.

    A layer is called by its name in the model, such as "speller.out". Where the model has no weight
    of a name that is asked for, KeyError is raised.
    """

    def __init__(self, weights: Weights, int8: bool = False) -> None:
        self.weights, self._int8 = weights, int8
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, npt.NDArray[Any]] = {}
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
        self._constants[name] = np.asarray(array)
        return Value(self, name)

    def integers(self, numbers: Sequence[int]) -> Value:
        """A list of integers, as shapes and axes are."""
        return self.constant(np.array(numbers, np.int64))

    def weight(self, name: str) -> Value:
        """A weight of the model. In int8, each row of a matrix (its first axis) is rounded."""
        return self.stored(self.weights[name])

    def stored(self, array: Floats) -> Value:
        """As `weight`, for what was put together of several weights."""
        if not (self._int8 and should_round(array.shape)):
            return self.constant(array)
        rows = array.reshape(len(array), -1)
        numbers, scales = rounded_rows(rows)
        stored = self.constant(numbers), self.constant(scales)
        restored = self.op("DequantizeLinear", *stored, axis=0)
        return restored.reshape(*array.shape) if array.ndim > 2 else restored

    def linear(self, inputs: Value, layer: str, bias: bool = True) -> Value:
        """Inputs (..., D) -> outputs (..., D')."""
        outputs = inputs @ self.weight(f"{layer}.weight").transpose(1, 0)
        return outputs + self.weight(f"{layer}.bias") if bias else outputs

    def convolution(
        self, inputs: Value, layer: str, axes: int, group: int = 1, bias: bool = True
    ) -> Value:
        """Inputs (B, C, ...) -> (B, C', ...), as long along each of the last `axes`."""
        parts = ("weight", "bias") if bias else ("weight",)
        parameters = [self.weight(f"{layer}.{part}") for part in parts]
        size = self.weights[f"{layer}.weight"].shape[-1]
        return self.op("Conv", inputs, *parameters, group=group, pads=[size // 2] * (2 * axes))

    def layer_norm(self, inputs: Value, layer: str) -> Value:
        """Inputs (..., D), normalised over D."""
        parameters = [self.weight(f"{layer}.{part}") for part in ("weight", "bias")]
        return self.op("LayerNormalization", inputs, *parameters, axis=-1, epsilon=_EPSILON)

    def batch_norm(self, inputs: Value, layer: str) -> Value:
        """Inputs (B, C, ...), normalised by the running statistics of each channel."""
        names = ("weight", "bias", "running_mean", "running_var")
        parameters = [self.weight(f"{layer}.{name}") for name in names]
        return self.op("BatchNormalization", inputs, *parameters, epsilon=_EPSILON)

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

    def finish(self) -> Graph:
        """The graph as it is computed in memory."""
        large = {
            name: np.ascontiguousarray(array)
            for name, array in self._constants.items()
            if array.nbytes >= _LARGE
        }
        return Graph(self._serialize(elsewhere=large), large)

    def to_bytes(self) -> bytes:
        """The graph as a file of ONNX that needs nothing else, and that its checker accepts."""
        content = self._serialize(elsewhere={})
        onnx.checker.check_model(content, full_check=True)
        return content

    def _serialize(self, elsewhere: Mapping[str, npt.NDArray[Any]]) -> bytes:
        """A file of ONNX without the numbers of the constants that are `elsewhere`."""
        constants = [
            _reference(name, array) if name in elsewhere else numpy_helper.from_array(array, name)
            for name, array in self._constants.items()
        ]
        graph = helper.make_graph(self._nodes, "model", self._inputs, self._outputs, constants)
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        model.producer_name = "sorigeul"
        serialized: bytes = model.SerializeToString()
        return serialized

    def _name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"


def _reference(name: str, array: npt.NDArray[Any]) -> onnx.TensorProto:
    """A constant whose numbers are given to the runtime beside the graph."""
    tensor = TensorProto(name=name, dims=array.shape, data_location=TensorProto.EXTERNAL)
    tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor.external_data.add(key="location", value="memory")
    return tensor
