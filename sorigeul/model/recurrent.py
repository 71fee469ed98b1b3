"""Recurrent layers that never see padding, and print as the seed prints them.

On a GPU they are cuDNN's, on packed sequences. On a CPU, PyTorch records every time step of a GRU
for the backward pass and adds up its weight gradient step by step; `_GRUSteps` runs both directions
side by side and takes that gradient in one product at the end, for the same numbers.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Cell = Literal["gru", "lstm", "rnn"]

_ROWS_WORTH_CASTING = 4


class _PrintsLayers(nn.RNNBase):
    """Prints its number of layers even where it is one, as the seed does."""

    def extra_repr(self) -> str:
        text = super().extra_repr()
        if "num_layers" in text:
            return text
        sizes = f"{self.input_size}, {self.hidden_size}"
        return text.replace(sizes, f"{sizes}, num_layers={self.num_layers}", 1)


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
    # Set afterwards, since the constructor warns that one layer has nowhere to drop out.
    rnn.dropout = dropout
    return rnn


def run_padded(rnn: nn.RNNBase, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Inputs (B, S, D), lengths (B,) -> outputs (B, S, D'), zero past each length."""
    if isinstance(rnn, nn.GRU) and not inputs.is_cuda:
        time = torch.arange(inputs.shape[1], device=inputs.device)
        valid = time < lengths.unsqueeze(1)
        back = lengths.unsqueeze(1) - 1 - time
        backwards = torch.where(back >= 0, back, time)
        return _run_gru(rnn, inputs, None, backwards)[0] * valid.unsqueeze(-1)
    inputs = _acceptable(rnn, inputs)
    packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
    with _autocast_of(rnn, inputs):
        outputs, _ = rnn(packed)
    return pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])[0]


def run_stateful(
    rnn: nn.RNNBase, inputs: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Inputs (B, U, D), state of (layers, B, H) tensors -> outputs (B, U, H), the state after."""
    if isinstance(rnn, nn.GRU) and not inputs.is_cuda and inputs.requires_grad:
        outputs, last = _run_gru(rnn, inputs, state[0], None)
        return outputs, (last,)
    inputs = _acceptable(rnn, inputs)
    if not _can_autocast(rnn, inputs):
        state = tuple(part.float() for part in state)
    with _autocast_of(rnn, inputs):
        outputs, after = rnn(inputs, state if len(state) == 2 else state[0])
    return outputs, after if isinstance(after, tuple) else (after,)


def _acceptable(rnn: nn.Module, inputs: Tensor) -> Tensor:
    """Inputs in a number format that the layers take: float32, or any under autocast.

    Quantized layers (`inference.quantize`), which are no RNNBase, take float32 only.
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
    rnn: nn.GRU, inputs: Tensor, state: Tensor | None, backwards: Tensor | None
) -> tuple[Tensor, Tensor]:
    """All layers of a GRU; `backwards` (B, S) reverses each utterance within its own length."""
    batch = len(inputs)
    hidden, directions = rnn.hidden_size, 2 if rnn.bidirectional else 1
    suffixes = ["", "_reverse"][:directions]
    # The format autocast has for matrix products, which are what takes time here; with few rows it
    # takes longer to convert them than it saves.
    autocast = torch.is_autocast_enabled("cpu") and batch >= _ROWS_WORTH_CASTING
    heavy = torch.get_autocast_dtype("cpu") if autocast else torch.float32
    index = None if backwards is None else backwards.unsqueeze(-1).expand(-1, -1, 3 * hidden)
    last = []
    for layer in range(rnn.num_layers):
        if layer and rnn.dropout:
            inputs = dropout(inputs, rnn.dropout) if rnn.training else inputs

        def weights(kind: str, layer: int = layer) -> list[Tensor]:
            return [getattr(rnn, f"{kind}_l{layer}{suffix}") for suffix in suffixes]

        parts = [
            nn.functional.linear(inputs, weight, bias)
            for weight, bias in zip(weights("weight_ih"), weights("bias_ih"), strict=True)
        ]
        if directions == 2:
            assert index is not None
            parts[1] = parts[1].gather(1, index)
        start = inputs.new_zeros(directions, batch, hidden, dtype=torch.float32)
        if state is not None:
            start = state[layer].float().unsqueeze(0)
        outputs = cast(
            Tensor,
            _GRUSteps.apply(  # type: ignore[no-untyped-call]
                torch.stack([part.transpose(0, 1) for part in parts], dim=1).float(),
                start,
                torch.stack(weights("weight_hh")).to(heavy),
                torch.stack(weights("bias_hh")).to(heavy),
            ),
        )
        last.append(outputs[-1, 0])
        both = [outputs[:, direction].transpose(0, 1) for direction in range(directions)]
        if directions == 2:
            assert index is not None
            both[1] = both[1].gather(1, index[..., :hidden])
        inputs = torch.cat(both, dim=-1)
    return inputs, torch.stack(last)


def dropout(inputs: Tensor, probability: float) -> Tensor:
    """Dropout that draws four numbers of 16 bits at a time: PyTorch's draws them one by one."""
    draws = torch.empty(inputs.numel() // 4 + 1, dtype=torch.int64).random_(-(2**63), None)
    number = draws.view(torch.int16)[: inputs.numel()].view(inputs.shape)
    dropped = min(round(probability * 2**16), 2**16 - 1)  # of the 2**16 numbers
    return inputs * (number >= dropped - 2**15) * (2**16 / (2**16 - dropped))


class _GRUSteps(torch.autograd.Function):
    """The time steps of a GRU layer, its directions side by side (P of them).

    Input projections (S, P, B, 3H), first state (P, B, H), recurrent weights (P, 3H, H) and biases
    (P, 3H), gates in PyTorch's order (reset, update, new) -> states (S, P, B, H).

    The recurrent products are taken in the weights' number format, everything else in float32.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, projected: Tensor, start: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        hidden = start.shape[-1]
        states = projected.new_empty(len(projected) + 1, *start.shape)
        states[0] = state = start
        gates = torch.empty_like(projected)  # reset, update, new: activated
        recurrent = torch.empty_like(projected, dtype=weight.dtype)
        turned, offset = weight.transpose(1, 2), bias.unsqueeze(1)
        # Everything a step touches, cut up beforehand: cutting costs as much as computing.
        for into_both, into_new, both, reset, update, new, fed, fed_both, fed_new, after in zip(
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
            torch.baddbmm(offset, state.to(weight.dtype), turned, out=fed)
            torch.add(into_both, fed_both, out=both).sigmoid_()
            torch.addcmul(into_new, reset, fed_new, out=new).tanh_()
            state = torch.lerp(new, state, update, out=after)
        ctx.save_for_backward(states, gates, recurrent, weight)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        states, gates, recurrent, weight = ctx.saved_tensors
        recurrent_new = recurrent.chunk(3, dim=-1)[2]
        reset, update, new = gates.chunk(3, dim=-1)
        # Everything that does not depend on the steps after, for all steps at once.
        to_new = (1 - update) * (1 - new.square())
        to_reset = to_new * recurrent_new * reset * (1 - reset)
        to_update = (states[:-1] - new) * update * (1 - update)
        factors = torch.stack((to_reset, to_update, to_new * reset), dim=-2)  # (S, P, B, 3, H)
        kept = update.contiguous()
        into_states = torch.empty_like(factors, dtype=weight.dtype)
        arrived = torch.empty_like(kept)
        carried = torch.zeros_like(states[0])
        for step in range(len(gradient) - 1, -1, -1):
            torch.add(carried, gradient[step], out=arrived[step])
            torch.mul(arrived[step].unsqueeze(-2), factors[step], out=into_states[step])
            back = torch.bmm(into_states[step].flatten(-2), weight)
            carried = torch.addcmul(back.float(), arrived[step], kept[step])
        width, hidden = weight.shape[0], states.shape[-1]
        flat = into_states.transpose(0, 1).reshape(width, -1, 3 * hidden)
        before = states[:-1].to(weight.dtype).transpose(0, 1).reshape(width, -1, hidden)
        to_weight = flat.transpose(1, 2) @ before
        to_bias = flat.sum(1, dtype=torch.float32).to(weight.dtype)
        # Last, since in float32 this is `into_states` itself: only the new gate's share differs.
        into_inputs = into_states.float()
        torch.mul(arrived, to_new, out=into_inputs[..., 2, :])
        return into_inputs.flatten(-2), carried, to_weight, to_bias
