"""The listener: log-mel frames to a shorter sequence of listener frames.

A convolutional front end of two stages (4-fold shorter) and a pyramid of recurrent layers, each
level of which halves the sequence again (Chan et al. 2016, section 3.1). Nothing sees padding: not
the convolutions, not batch normalisation, not the backward recurrent layers.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Cell = Literal["gru", "lstm", "rnn"]
CONV_REDUCTION = 4
"""how many times shorter the convolutions leave the frames"""


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


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics leave the padding out, and which gives zero there."""

    # PyTorch makes each of these optional; here they always exist.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, hidden: Tensor, padding: Tensor | None = None) -> Tensor:
        """Hidden (B, C, T, F); padding (B, 1, T, 1), true past each length, or none."""
        if padding is None:
            return super().forward(hidden)
        if not self.training:
            return super().forward(hidden).masked_fill_(padding, 0.0)
        hidden = hidden.masked_fill(padding, 0.0)
        count = (~padding).sum() * hidden.shape[3]
        mean = hidden.sum((0, 2, 3), dtype=torch.float32) / count
        power = torch.einsum("bctf,bctf->c", hidden, hidden).float() / count
        variance = (power - mean.square()).clamp_min(0.0)
        self._track(mean.detach(), (variance * count / (count - 1)).detach())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        scale, shift = scale.to(hidden.dtype), shift.to(hidden.dtype)
        normalized = torch.addcmul(shift[:, None, None], hidden, scale[:, None, None])
        return normalized.masked_fill(padding, 0.0)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, which recognition uses, towards this batch's."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)

    def extra_repr(self) -> str:
        """As the seed's PyTorch printed it, without the fields that came later."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


def recurrent(
    cell: str, input_size: int, hidden_size: int, num_layers: int, dropout: float, **options: bool
) -> nn.RNNBase:
    """A recurrent layer stack as the seed prints it."""
    rnn = CELLS[cell](input_size, hidden_size, num_layers, batch_first=True, **options)
    # Set afterwards, since the constructor warns that one layer has nowhere to drop out.
    rnn.dropout = dropout
    return rnn


def run_recurrent(rnn: nn.RNNBase, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Inputs (B, S, D), lengths (B,) -> outputs (B, S, D'), zero past each length."""
    packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
    outputs, _ = rnn(packed)
    padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
    return padded


class PyramidalRNN(nn.Module):
    """A recurrent layer over pairs of neighbouring frames: half as long, its input twice as wide.

    Chan et al. 2016, equation 5. An odd last frame is paired with zeros.
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, num_layers: int, dropout: float,
        bidirectional: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.rnn = recurrent(
            cell, 2 * input_size, hidden_size, num_layers, dropout, bidirectional=bidirectional
        )

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (B, S, D), zero past `lengths` -> outputs (B, ceil(S / 2), D'), lengths (B,)."""
        batch, frames, width = inputs.shape
        if frames % 2:
            inputs = nn.functional.pad(inputs, (0, 0, 0, 1))
        pairs = inputs.reshape(batch, -1, 2 * width)
        lengths = torch.div(lengths + 1, 2, rounding_mode="floor")
        return run_recurrent(self.rnn, pairs, lengths), lengths


class Listener(nn.Module):
    """Convolutions, then `1 + levels` stacks of recurrent layers, pyramidal after the first.

    Parameters
    ----------
    n_mels : mel bands F of the input; sets the width of the first recurrent layer
    layers : recurrent layers in all, shared out from the bottom (5 over 3 stacks: 2 + 2 + 1)
    levels : pyramidal stacks, 0 to 2: the sequence shrinks 4, 8 or 16-fold
    channels : channels of the first convolutional stage; the second has twice as many
    """

    def __init__(
        self, n_mels: int, hidden_size: int, layers: int, levels: int, channels: int, cell: str,
        dropout: float, bidirectional: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        narrow, wide = channels, 2 * channels
        self.conv = nn.Sequential(
            nn.Conv2d(1, narrow, kernel_size=3, padding=1),
            nn.Hardtanh(0, 20, inplace=True),
            BatchNorm2d(narrow),
            nn.Conv2d(narrow, narrow, kernel_size=3, padding=1),
            nn.Hardtanh(0, 20, inplace=True),
            nn.MaxPool2d(2, stride=2),
            BatchNorm2d(narrow),
            nn.Conv2d(narrow, wide, kernel_size=3, padding=1),
            nn.Hardtanh(0, 20, inplace=True),
            BatchNorm2d(wide),
            nn.Conv2d(wide, wide, kernel_size=3, padding=1),
            nn.Hardtanh(0, 20, inplace=True),
            BatchNorm2d(wide),
            nn.Conv2d(wide, wide, kernel_size=3, padding=1),
            nn.Hardtanh(0, 20, inplace=True),
            BatchNorm2d(wide),
            nn.MaxPool2d(2, stride=2),
        )
        width = hidden_size * (2 if bidirectional else 1)
        stacks = levels + 1
        sizes = [layers // stacks + (stack < layers % stacks) for stack in range(stacks)]
        self.bottom_rnn = recurrent(
            cell, wide * (n_mels // CONV_REDUCTION), hidden_size, sizes[0], dropout,
            bidirectional=bidirectional,
        )  # fmt: skip
        self._pyramid = ["middle_rnn", "top_rnn"][:levels]
        for name, size in zip(self._pyramid, sizes[1:], strict=True):
            stack = PyramidalRNN(cell, width, hidden_size, size, dropout, bidirectional)
            self.add_module(name, stack)

    def forward(self, features: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features (B, T, F), lengths (B,) -> the output (B, S, D) and lengths (B,) of every stack.

        The last of the list is what the speller attends to; the earlier ones have more frames.
        Every utterance must hold at least `CONV_REDUCTION` frames.
        """
        listened, lengths = self.convolve(features, lengths)
        outputs = [(run_recurrent(self.bottom_rnn, listened, lengths), lengths)]
        for name in self._pyramid:
            outputs.append(self.get_submodule(name)(*outputs[-1]))
        return outputs

    def convolve(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) -> (B, T // 4, channels * F // 4)."""
        hidden = features.unsqueeze(1)
        padding = _padding(hidden, lengths)
        for layer in self.conv:
            if isinstance(layer, nn.MaxPool2d):
                hidden, lengths = layer(hidden), torch.div(lengths, 2, rounding_mode="floor")
                padding = _padding(hidden, lengths)
            elif isinstance(layer, BatchNorm2d):
                # The next convolution reaches one frame past the end, and must find zero there.
                hidden = layer(hidden, padding)
            else:
                hidden = layer(hidden)
        if padding is not None:
            hidden = hidden.masked_fill(padding, 0.0)
        return hidden.transpose(1, 2).flatten(2), lengths


def _padding(hidden: Tensor, lengths: Tensor) -> Tensor | None:
    """Boolean (B, 1, T, 1), true past each length; nothing where no utterance is padded."""
    frames = hidden.shape[2]
    if bool((lengths == frames).all()):
        return None
    past = torch.arange(frames, device=hidden.device) >= lengths.unsqueeze(1)
    return past[:, None, :, None]
