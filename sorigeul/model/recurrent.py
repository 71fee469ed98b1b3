"""Recurrent layers that never see padding, and print as the seed prints them.

On a GPU they are cuDNN's, on packed sequences. On a CPU, PyTorch records every time step of a GRU
for the backward pass and adds up its weight gradient step by step; `_GRUSteps` runs both directions
side by side and takes that gradient in one product at the end, for the same numbers.
"""

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Cell = Literal["gru", "lstm", "rnn"]


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
    packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
    outputs, _ = rnn(packed)
    return pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])[0]


def run_stateful(
    rnn: nn.RNNBase, inputs: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Inputs (B, U, D), state of (layers, B, H) tensors -> outputs (B, U, H), the state after."""
    if isinstance(rnn, nn.GRU) and not inputs.is_cuda and inputs.requires_grad:
        outputs, last = _run_gru(rnn, inputs, state[0], None)
        return outputs, (last,)
    outputs, after = rnn(inputs, state if isinstance(rnn, nn.LSTM) else state[0])
    return outputs, after if isinstance(rnn, nn.LSTM) else (after,)


def _run_gru(
    rnn: nn.GRU, inputs: Tensor, state: Tensor | None, backwards: Tensor | None
) -> tuple[Tensor, Tensor]:
    """All layers of a GRU; `backwards` (B, S) reverses each utterance within its own length."""
    batch = len(inputs)
    hidden, directions = rnn.hidden_size, 2 if rnn.bidirectional else 1
    suffixes = ["", "_reverse"][:directions]
    index = None if backwards is None else backwards.unsqueeze(-1).expand(-1, -1, 3 * hidden)
    last = []
    for layer in range(rnn.num_layers):
        if layer and rnn.dropout:
            inputs = nn.functional.dropout(inputs, rnn.dropout, rnn.training)

        def weights(kind: str, layer: int = layer) -> list[Tensor]:
            return [getattr(rnn, f"{kind}_l{layer}{suffix}") for suffix in suffixes]

        projected = nn.functional.linear(
            inputs, torch.cat(weights("weight_ih")), torch.cat(weights("bias_ih"))
        ).float()
        parts = list(torch.tensor_split(projected, directions, dim=-1))
        if directions == 2:
            assert index is not None
            parts[1] = parts[1].gather(1, index)
        start = inputs.new_zeros(directions, batch, hidden, dtype=torch.float32)
        if state is not None:
            start = state[layer].float().unsqueeze(0)
        outputs = cast(
            Tensor,
            _GRUSteps.apply(  # type: ignore[no-untyped-call]
                torch.stack(parts).permute(2, 0, 1, 3).contiguous(),
                start,
                torch.stack(weights("weight_hh")).float(),
                torch.stack(weights("bias_hh")).float(),
            ),
        )
        last.append(outputs[-1, 0])
        both = [outputs[:, direction].transpose(0, 1) for direction in range(directions)]
        if directions == 2:
            assert index is not None
            both[1] = both[1].gather(1, index[..., :hidden])
        inputs = torch.cat(both, dim=-1)
    return inputs, torch.stack(last)


class _GRUSteps(torch.autograd.Function):
    """The time steps of a GRU layer, its directions side by side (P of them).

    Input projections (S, P, B, 3H), first state (P, B, H), recurrent weights (P, 3H, H) and biases
    (P, 3H), gates in PyTorch's order (reset, update, new) -> states (S, P, B, H).
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, projected: Tensor, start: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        steps, hidden = len(projected), start.shape[-1]
        states = projected.new_empty(steps + 1, *start.shape)
        states[0] = start
        gates = torch.empty_like(projected)  # reset, update, new: activated
        recurrent_new = torch.empty_like(states[1:])
        turned, offset = weight.transpose(1, 2), bias.unsqueeze(1)
        for step in range(steps):
            state = states[step]
            fed = torch.baddbmm(offset, state, turned)
            both = gates[step, ..., : 2 * hidden]
            torch.add(projected[step, ..., : 2 * hidden], fed[..., : 2 * hidden], out=both)
            both.sigmoid_()
            new = gates[step, ..., 2 * hidden :]
            recurrent_new[step] = fed[..., 2 * hidden :]
            torch.addcmul(
                projected[step, ..., 2 * hidden :], both[..., :hidden], recurrent_new[step], out=new
            ).tanh_()
            torch.lerp(new, state, both[..., hidden:], out=states[step + 1])
        ctx.save_for_backward(states, gates, recurrent_new, weight)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        states, gates, recurrent_new, weight = ctx.saved_tensors
        hidden = states.shape[-1]
        reset, update, new = gates.split(hidden, dim=-1)
        # Everything that does not depend on the steps after, for all steps at once.
        to_new = (1 - update) * (1 - new.square())
        to_update = (states[:-1] - new) * update * (1 - update)
        to_reset = recurrent_new * reset * (1 - reset)
        into_inputs = torch.empty_like(gates)
        into_states = torch.empty_like(gates)
        carried = torch.zeros_like(states[0])
        for step in range(len(gradient) - 1, -1, -1):
            carried = carried + gradient[step]
            towards_new = carried * to_new[step]
            here, there = into_inputs[step], into_states[step]
            torch.mul(towards_new, to_reset[step], out=here[..., :hidden])
            torch.mul(carried, to_update[step], out=here[..., hidden : 2 * hidden])
            here[..., 2 * hidden :] = towards_new
            there[..., : 2 * hidden] = here[..., : 2 * hidden]
            torch.mul(towards_new, reset[step], out=there[..., 2 * hidden :])
            carried = torch.baddbmm(carried * update[step], there, weight)
        width = weight.shape[0]
        flat = into_states.transpose(0, 1).reshape(width, -1, 3 * hidden)
        before = states[:-1].transpose(0, 1).reshape(width, -1, hidden)
        return into_inputs, carried, flat.transpose(1, 2) @ before, flat.sum(1)
