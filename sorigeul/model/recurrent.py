"""Recurrent layers (GRU, LSTM, RNN) over padded sequences, with a faster GRU for CPUs.

On a GPU the layers are cuDNN's, on packed sequences. On a CPU, PyTorch records every time step of a
GRU for the backward pass and sums its weight gradient step by step; `_GRUSteps` computes both
directions side by side and that gradient in one matrix product at the end, with the same result.
The layers print as in the seed's model.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

_MIN_ROWS_TO_CAST = 4
"""batch size below which converting to bfloat16 takes longer than it saves"""


class _PrintsLayers(nn.RNNBase):
    """Prints the number of layers even if it is one, as in the seed."""

    def extra_repr(self) -> str:
        """The arguments of the layer, with the number of layers."""
        arguments = super().extra_repr()
        if "num_layers" in arguments:
            return arguments
        sizes = f"{self.input_size}, {self.hidden_size}"
        return arguments.replace(sizes, f"{sizes}, num_layers={self.num_layers}", 1)


class GRU(_PrintsLayers, nn.GRU):
    """Cho et al. 2014."""


class LSTM(_PrintsLayers, nn.LSTM):
    """Hochreiter and Schmidhuber 1997."""


class RNN(_PrintsLayers, nn.RNN):
    """Elman 1990, with tanh."""


CELLS: dict[str, type[GRU] | type[LSTM] | type[RNN]] = {"gru": GRU, "lstm": LSTM, "rnn": RNN}


def recurrent(
    cell: str, input_size: int, hidden_size: int, num_layers: int, dropout: float, **options: bool
) -> nn.RNNBase:
    """A stack of recurrent layers as the seed prints it."""
    rnn = CELLS[cell](input_size, hidden_size, num_layers, batch_first=True, **options)
    # Set afterwards, since the constructor warns about dropout in a stack of one layer.
    rnn.dropout = dropout
    return rnn


def run_padded(rnn: nn.RNNBase, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Inputs (B, S, D), lengths (B,) -> outputs (B, S, D'), zero past each length."""
    if isinstance(rnn, nn.GRU) and not inputs.is_cuda:
        time = torch.arange(inputs.shape[1], device=inputs.device)
        valid = time < lengths.unsqueeze(1)
        mirrored = lengths.unsqueeze(1) - 1 - time
        reversed_frames = torch.where(mirrored >= 0, mirrored, time)
        return _run_gru(rnn, inputs, None, reversed_frames)[0] * valid.unsqueeze(-1)
    inputs = _to_accepted_dtype(rnn, inputs)
    packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
    with _autocast_of(rnn, inputs):
        outputs, _ = rnn(packed)
    return pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])[0]


def run_stateful(
    rnn: nn.RNNBase, inputs: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Inputs (B, U, D) -> outputs (B, U, H), the state after.

    A state is the hidden state (layers, B, H), and for an LSTM also its cells, of the same shape.
    """
    if isinstance(rnn, nn.GRU) and not inputs.is_cuda and inputs.requires_grad:
        outputs, last_states = _run_gru(rnn, inputs, state[0], None)
        return outputs, (last_states,)
    inputs = _to_accepted_dtype(rnn, inputs)
    if not _can_autocast(rnn, inputs):
        state = tuple(tensor.float() for tensor in state)
    with _autocast_of(rnn, inputs):
        outputs, after = rnn(inputs, state if len(state) == 2 else state[0])
    return outputs, after if isinstance(after, tuple) else (after,)


def gru_step(rnn: nn.RNNBase, projected: Tensor, hidden: Tensor) -> Tensor:
    """One step of all layers: hidden states (layers, B, H) -> those after (layers, B, H).

    `projected` is the input, multiplied by the lowest layer's input weights (B, 3H), with the gates
    in PyTorch's order (reset, update, new). Under autocast, the matrix products alone are computed
    in its dtype.
    """
    gates = 2 * rnn.hidden_size
    after: list[Tensor] = []
    for layer, state in enumerate(hidden.float().unbind()):
        if layer:
            weight, bias = getattr(rnn, f"weight_ih_l{layer}"), getattr(rnn, f"bias_ih_l{layer}")
            projected = nn.functional.linear(after[-1], weight, bias).float()
        weight, bias = getattr(rnn, f"weight_hh_l{layer}"), getattr(rnn, f"bias_hh_l{layer}")
        recurrent = nn.functional.linear(state, weight, bias).float()
        reset, update = (projected[:, :gates] + recurrent[:, :gates]).sigmoid().chunk(2, dim=1)
        new = torch.addcmul(projected[:, gates:], reset, recurrent[:, gates:]).tanh()
        after.append(torch.lerp(new, state, update))
    return torch.stack(after)


def _to_accepted_dtype(rnn: nn.Module, inputs: Tensor) -> Tensor:
    """Inputs in a dtype that the layers accept: float32, or any under autocast.

    Quantized layers (`inference.quantize`), which are not RNNBase, accept float32 only.
    """
    if isinstance(rnn, nn.RNNBase) and _can_autocast(rnn, inputs):
        return inputs if torch.is_autocast_enabled(inputs.device.type) else inputs.float()
    return inputs.float()


def _autocast_of(rnn: nn.Module, inputs: Tensor) -> AbstractContextManager[None]:
    """The context to run the layers in: without autocast if they cannot."""
    if _can_autocast(rnn, inputs):
        return nullcontext()
    return cast(AbstractContextManager[None], torch.autocast("cpu", enabled=False))


def _can_autocast(rnn: nn.Module, inputs: Tensor) -> bool:
    """False for an LSTM on a CPU without AVX-512, for which oneDNN has no bfloat16 kernel."""
    on_cpu = isinstance(rnn, nn.LSTM) and not inputs.is_cuda
    return not on_cpu or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _run_gru(
    rnn: nn.GRU, inputs: Tensor, state: Tensor | None, reversed_frames: Tensor | None
) -> tuple[Tensor, Tensor]:
    """All layers of a GRU: inputs (B, S, D) -> outputs (B, S, D'), last states (layers, B, H).

    `state` is the first state (layers, B, H), zeros if None. For two directions, `reversed_frames`
    (B, S) are the frames in reverse order, in each utterance up to its length.
    """
    batch = len(inputs)
    hidden, directions = rnn.hidden_size, 2 if rnn.bidirectional else 1
    suffixes = ["", "_reverse"][:directions]
    # The recurrent matrix products, which take most of the time, use the dtype of autocast too.
    autocast = torch.is_autocast_enabled("cpu") and batch >= _MIN_ROWS_TO_CAST
    matmul_dtype = torch.get_autocast_dtype("cpu") if autocast else torch.float32
    index = None
    if reversed_frames is not None:
        index = reversed_frames.unsqueeze(-1).expand(-1, -1, 3 * hidden)
    last_states = []
    for layer in range(rnn.num_layers):
        if layer and rnn.dropout:
            inputs = dropout(inputs, rnn.dropout) if rnn.training else inputs

        def parameters(name: str, layer: int = layer) -> list[Tensor]:
            return [getattr(rnn, f"{name}_l{layer}{suffix}") for suffix in suffixes]

        projections = [
            nn.functional.linear(inputs, weight, bias)
            for weight, bias in zip(parameters("weight_ih"), parameters("bias_ih"), strict=True)
        ]
        if directions == 2:
            assert index is not None
            projections[1] = projections[1].gather(1, index)
        start = inputs.new_zeros(directions, batch, hidden, dtype=torch.float32)
        if state is not None:
            start = state[layer].float().unsqueeze(0)
        outputs = cast(
            Tensor,
            _GRUSteps.apply(  # type: ignore[no-untyped-call]
                torch.stack([projected.transpose(0, 1) for projected in projections], 1).float(),
                start,
                torch.stack(parameters("weight_hh")).to(matmul_dtype),
                torch.stack(parameters("bias_hh")).to(matmul_dtype),
            ),
        )
        last_states.append(outputs[-1, 0])
        by_direction = [outputs[:, direction].transpose(0, 1) for direction in range(directions)]
        if directions == 2:
            assert index is not None
            by_direction[1] = by_direction[1].gather(1, index[..., :hidden])
        inputs = torch.cat(by_direction, dim=-1)
    return inputs, torch.stack(last_states)


def dropout(inputs: Tensor, probability: float) -> Tensor:
    """Dropout that is faster than PyTorch's: it draws four numbers of 16 bits at a time."""
    draws = torch.empty(inputs.numel() // 4 + 1, dtype=torch.int64).random_(-(2**63), None)
    numbers = draws.view(torch.int16)[: inputs.numel()].view(inputs.shape)
    dropped = min(round(probability * 2**16), 2**16 - 1)  # of the 2**16 possible numbers
    return inputs * (numbers >= dropped - 2**15) * (2**16 / (2**16 - dropped))


class _GRUSteps(torch.autograd.Function):
    """The time steps of a GRU layer, its P directions side by side.

    Projected inputs (S, P, B, 3H), first state (P, B, H), recurrent weights (P, 3H, H) and biases
    (P, 3H), with the gates in PyTorch's order (reset, update, new) -> states (S, P, B, H).

    The recurrent matrix products are computed in the dtype of the weights, the rest in float32.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, projected: Tensor, start: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        hidden = start.shape[-1]
        states = projected.new_empty(len(projected) + 1, *start.shape)
        states[0] = state = start
        gates = torch.empty_like(projected)  # activations of reset, update, new
        recurrent = torch.empty_like(projected, dtype=weight.dtype)
        transposed, offset = weight.transpose(1, 2), bias.unsqueeze(1)
        # All views of all steps, made before the loop: making them costs as much as computing. The
        # names: x is the projected input of a step, h its recurrent product; reset and update gate
        # are computed together ("ru").
        for x_ru, x_new, reset_update, reset, update, new, h, h_ru, h_new, next_state in zip(
            projected[..., : 2 * hidden].unbind(),
            projected[..., 2 * hidden :].unbind(),
            gates[..., : 2 * hidden].unbind(),
            *(gate.unbind() for gate in gates.chunk(3, dim=-1)),
            recurrent.unbind(),
            recurrent[..., : 2 * hidden].unbind(),
            recurrent[..., 2 * hidden :].unbind(),
            states[1:].unbind(),
            strict=True,
        ):
            torch.baddbmm(offset, state.to(weight.dtype), transposed, out=h)
            torch.add(x_ru, h_ru, out=reset_update).sigmoid_()
            torch.addcmul(x_new, reset, h_new, out=new).tanh_()
            state = torch.lerp(new, state, update, out=next_state)
        ctx.save_for_backward(states, gates, recurrent, weight)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        states, gates, recurrent, weight = ctx.saved_tensors
        recurrent_new = recurrent.chunk(3, dim=-1)[2]
        reset, update, new = gates.chunk(3, dim=-1)
        # Derivatives of a state by its gates before the activation, for all steps at once, since
        # they do not depend on later steps.
        d_new = (1 - update) * (1 - new.square())
        d_reset = d_new * recurrent_new * reset * (1 - reset)
        d_update = (states[:-1] - new) * update * (1 - update)
        factors = torch.stack((d_reset, d_update, d_new * reset), dim=-2)  # (S, P, B, 3, H)
        d_previous = update.contiguous()
        grad_recurrent = torch.empty_like(factors, dtype=weight.dtype)
        grad_states = torch.empty_like(d_previous)
        grad_state = torch.zeros_like(states[0])  # from the step after
        for step in range(len(gradient) - 1, -1, -1):
            torch.add(grad_state, gradient[step], out=grad_states[step])
            torch.mul(grad_states[step].unsqueeze(-2), factors[step], out=grad_recurrent[step])
            through_weight = torch.bmm(grad_recurrent[step].flatten(-2), weight)
            grad_state = torch.addcmul(through_weight.float(), grad_states[step], d_previous[step])
        directions, hidden = weight.shape[0], states.shape[-1]
        flat = grad_recurrent.transpose(0, 1).reshape(directions, -1, 3 * hidden)
        previous_states = states[:-1].to(weight.dtype).transpose(0, 1)
        previous_states = previous_states.reshape(directions, -1, hidden)
        grad_weight = flat.transpose(1, 2) @ previous_states
        grad_bias = flat.sum(1, dtype=torch.float32).to(weight.dtype)
        # Last, since in float32 this changes `grad_recurrent` in place. Only the new gate differs.
        grad_projected = grad_recurrent.float()
        torch.mul(grad_states, d_new, out=grad_projected[..., 2, :])
        return grad_projected.flatten(-2), grad_state, grad_weight, grad_bias
