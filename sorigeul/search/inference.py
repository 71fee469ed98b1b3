"""A trained model made ready for recognition alone: the same model, quicker, on a CPU.

What is done here cannot be trained any more. Knows the layers, not what they hear.
"""

import warnings
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sorigeul.model.las import ListenAttendSpell

Precision = Literal["float32", "bfloat16", "int8"]


def optimize_layout(model: ListenAttendSpell) -> ListenAttendSpell:
    """Lay the speller's matrices out by columns, in place: the same numbers in another order.

    The speller multiplies them with one vector at a time, so that they come from memory anew for
    every character; by columns they are read in the order in which they lie.
    """
    for parameter in model.speller.parameters():
        if parameter.dim() == 2:
            parameter.data = parameter.data.t().contiguous().t()
    return model


def quantize(model: ListenAttendSpell) -> ListenAttendSpell:
    """Round the matrices of recurrent and linear layers to eight bits, in place.

    Weights get one scale a matrix; what they are multiplied with is rounded as it comes (dynamic
    quantization). Convolutions stay, in bfloat16 where the processor multiplies in it.
    """
    with warnings.catch_warnings():
        # PyTorch announces that this moves elsewhere one day; where to has no recurrent layers.
        warnings.simplefilter("ignore", (DeprecationWarning, UserWarning))
        _quantize(model)
    if torch.cpu.get_capabilities().get("avx512_bf16", False):
        for layer in model.listener.conv:
            if isinstance(layer, nn.Conv2d):
                layer.to(torch.bfloat16).register_forward_pre_hook(_as_bfloat16)
    return model


def _as_bfloat16(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(part.to(torch.bfloat16) for part in inputs)


def _quantize(module: nn.Module) -> None:
    from torch.ao.nn.quantized import dynamic
    from torch.ao.quantization import default_dynamic_qconfig

    quantized: dict[type[nn.Module], Any] = {
        nn.GRU: dynamic.GRU,
        nn.LSTM: dynamic.LSTM,
        nn.Linear: dynamic.Linear,
    }
    for name, child in module.named_children():
        kind = next((kind for kind in quantized if isinstance(child, kind)), None)
        if kind is None:
            _quantize(child)
            continue
        plain: Any = child
        if isinstance(child, nn.RNNBase):
            plain = _as_torch_has_it(child, kind)
        plain.qconfig = default_dynamic_qconfig
        setattr(module, name, quantized[kind].from_float(plain))


def _as_torch_has_it(rnn: nn.RNNBase, kind: type[nn.Module]) -> nn.Module:
    """The same recurrent layers without what we add to PyTorch's class, which it looks for."""
    plain = kind(
        rnn.input_size,
        rnn.hidden_size,
        rnn.num_layers,
        batch_first=True,
        bidirectional=rnn.bidirectional,
    )
    plain.load_state_dict(rnn.state_dict())
    return plain
