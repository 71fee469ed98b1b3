"""Faster inference on a CPU: memory layout and tables of the speller, and int8 quantization.

A model that was changed here can no longer be trained.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from sorigeul.model.front_end import FrontEnd
from sorigeul.model.las import ListenAttendSpell


def optimize_layout(model: ListenAttendSpell) -> ListenAttendSpell:
    """Store the speller's matrices by columns, in place, and what its GRU makes of each character.

    The speller multiplies them with one vector at a time, so they are read from memory again for
    every character. Stored by columns, they are read in their order in memory. Numbers change by
    rounding only.
    """
    for parameter in model.speller.parameters():
        if parameter.dim() == 2:
            parameter.data = parameter.data.t().contiguous().t()
    model.speller.tabulate_characters()
    return model


def quantize(model: ListenAttendSpell) -> ListenAttendSpell:
    """Quantize the matrices of recurrent and linear layers to eight bits, in place.

    Dynamic quantization: weights have one scale a row, and activations are rounded as they
    come. Convolutions are not quantized, but run in bfloat16 if the processor multiplies in it.
    """
    with warnings.catch_warnings():
        # PyTorch announces that this will move to a package which has no recurrent layers.
        warnings.simplefilter("ignore", (DeprecationWarning, UserWarning))
        _quantize_children(model)
    model.speller.character_gates = None  # of the weights before
    convolutions = model.listener.conv if isinstance(model.listener, FrontEnd) else ()
    if torch.cpu.get_capabilities().get("avx512_bf16", False):
        for layer in convolutions:
            if isinstance(layer, nn.Conv2d):
                layer.to(torch.bfloat16).register_forward_pre_hook(_as_bfloat16)
    return model


def _as_bfloat16(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.to(torch.bfloat16) for tensor in inputs)


def _quantize_children(module: nn.Module) -> None:
    from torch.ao.nn.quantized import dynamic
    from torch.ao.quantization import per_channel_dynamic_qconfig

    quantized: dict[type[nn.Module], Any] = {
        nn.GRU: dynamic.GRU,
        nn.LSTM: dynamic.LSTM,
        nn.Linear: dynamic.Linear,
    }
    for name, child in module.named_children():
        kind = next((kind for kind in quantized if isinstance(child, kind)), None)
        if kind is None:
            _quantize_children(child)
            continue
        layer: Any = child
        if isinstance(child, nn.RNNBase):
            layer = _as_torch_layer(child, kind)
        layer.qconfig = per_channel_dynamic_qconfig
        setattr(module, name, quantized[kind].from_float(layer))


def _as_torch_layer(rnn: nn.RNNBase, kind: type[nn.Module]) -> nn.Module:
    """The same recurrent layers as an instance of PyTorch's own class.

    Quantization checks for this class and refuses the subclasses of this package.
    """
    layer = kind(
        rnn.input_size,
        rnn.hidden_size,
        rnn.num_layers,
        batch_first=True,
        bidirectional=rnn.bidirectional,
    )
    layer.load_state_dict(rnn.state_dict())
    return layer
