"""The listener: log-mel frames to a shorter sequence of listener frames.

A convolutional front end of two stages shortens the sequence 4-fold. Then each level of a pyramid
of recurrent layers halves it (Chan et al. 2016, section 3.1). Padding has no effect on the output:
neither in the convolutions, nor in batch normalisation, nor in the backward recurrent layers.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sorigeul.model.batch_norm import BatchNorm2d
from sorigeul.model.config import CONV_REDUCTION, LASConfig
from sorigeul.model.recurrent import recurrent, run_padded

_FIRST_STAGE_LAYERS = 6  # of the convolutions, up to and including the first pooling


class PyramidalRNN(nn.Module):
    """Recurrent layers over pairs of neighbouring frames (Chan et al. 2016, equation 5).

    The sequence becomes half as long, the input twice as wide. An odd last frame is paired with
    zeros.
    """

    def __init__(self, config: LASConfig, num_layers: int) -> None:
        super().__init__()
        self.rnn = recurrent(
            config.cell,
            2 * config.width,
            config.hidden_size,
            num_layers,
            config.dropout,
            bidirectional=config.use_bidirectional,
        )

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (B, S, D), zero past `lengths` -> outputs (B, ceil(S / 2), D'), lengths (B,)."""
        batch, frames, width = inputs.shape
        if frames % 2:
            inputs = nn.functional.pad(inputs, (0, 0, 0, 1))
        pairs = inputs.reshape(batch, -1, 2 * width)
        lengths = torch.div(lengths + 1, 2, rounding_mode="floor")
        return run_padded(self.rnn, pairs, lengths), lengths


class Listener(nn.Module):
    """Convolutions, then a stack of recurrent layers and one more for each level of the pyramid.

    The layers are distributed evenly, the lower stacks first (5 layers, 3 stacks: 2 + 2 + 1).
    """

    def __init__(self, config: LASConfig) -> None:
        super().__init__()
        self.checkpoint_activations = False
        """compute the convolutions again in the backward pass instead of keeping their outputs"""
        narrow, wide = config.conv_channels, 2 * config.conv_channels
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
        # Channels-last memory is faster on a CPU (docs/decisions.md); not measured on a GPU.
        self.conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        layers, stacks = config.listener_layer_size, config.pyramid_levels + 1
        sizes = [layers // stacks + (stack < layers % stacks) for stack in range(stacks)]
        self.bottom_rnn = recurrent(
            config.cell,
            wide * (config.n_mels // CONV_REDUCTION),
            config.hidden_size,
            sizes[0],
            config.dropout,
            bidirectional=config.use_bidirectional,
        )
        self._pyramid = ["middle_rnn", "top_rnn"][: config.pyramid_levels]
        for name, size in zip(self._pyramid, sizes[1:], strict=True):
            self.add_module(name, PyramidalRNN(config, size))

    def forward(self, features: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features (B, T, F), lengths (B,) -> the output (B, S, D) and lengths (B,) of every stack.

        The speller attends to the last one; the earlier ones have more frames.
        """
        frames, lengths = self.convolve(features, lengths)
        outputs = [(run_padded(self.bottom_rnn, frames, lengths), lengths)]
        for name in self._pyramid:
            outputs.append(self.get_submodule(name)(*outputs[-1]))
        return outputs

    def convolve(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F), lengths (B,) -> frames (B, T // 4, F // 4 * channels), lengths (B,).

        A convolution reads one frame past the end of an utterance. It must be zero, as if the
        utterance were not padded; the batch normalisation before each convolution sets it to zero.
        The padding of the output is undefined.
        """
        hidden = features.unsqueeze(1)
        # An utterance shorter than one output frame is taken to be followed by silence. One without
        # frames stays empty: it stands in for the utterances of a process that has none, which must
        # still call the model as often as the others.
        valid = [max(length, CONV_REDUCTION) if length else 0 for length in lengths.tolist()]
        if hidden.shape[2] < CONV_REDUCTION:
            hidden = nn.functional.pad(hidden, (0, 0, 0, CONV_REDUCTION - hidden.shape[2]))
        layers = list(self.conv)
        recompute = self.checkpoint_activations and self.training and torch.is_grad_enabled()
        for stage in (layers[:_FIRST_STAGE_LAYERS], layers[_FIRST_STAGE_LAYERS:]):
            if recompute:
                hidden = checkpoint(
                    _run_stage,
                    stage,
                    hidden,
                    valid,
                    use_reentrant=False,
                    preserve_rng_state=False,
                    context_fn=lambda: (nullcontext(), self.keep_running_statistics()),
                )
            else:
                hidden = _run_stage(stage, hidden, valid)
            valid = [length // 2 for length in valid]
        valid_frames = torch.tensor(valid, device=lengths.device).clamp_min_(1)
        # Bands outside, channels inside: the order in channels-last memory, so nothing is copied.
        return hidden.permute(0, 2, 3, 1).flatten(2), valid_frames

    @contextmanager
    def keep_running_statistics(self) -> Iterator[None]:
        """Context in which training does not update the running statistics."""
        norms = [layer for layer in self.conv if isinstance(layer, BatchNorm2d)]
        before = [norm.counting for norm in norms]
        for norm in norms:
            norm.counting = False
        try:
            yield
        finally:
            for norm, counting in zip(norms, before, strict=True):
                norm.counting = counting


def _run_stage(layers: list[nn.Module], hidden: Tensor, valid: list[int]) -> Tensor:
    """Apply the layers of a stage to (B, C, T, F) with `valid` frames of each utterance."""
    for layer in layers:
        if isinstance(layer, BatchNorm2d):
            is_padded = min(valid) < hidden.shape[2]
            hidden = layer(hidden, valid if is_padded else None)
        else:
            hidden = layer(hidden)
    return hidden
