"""The listener: log-mel frames to a shorter sequence of listener frames.

A convolutional front end of two stages (4-fold shorter) and a pyramid of recurrent layers, each
level of which halves the sequence again (Chan et al. 2016, section 3.1). Nothing sees padding: not
the convolutions, not batch normalisation, not the backward recurrent layers.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sorigeul.model.batch_norm import BatchNorm2d
from sorigeul.model.config import CONV_REDUCTION, LASConfig
from sorigeul.model.recurrent import recurrent, run_padded

_FIRST_STAGE = 6  # layers of the first convolutional stage, its pooling included


class PyramidalRNN(nn.Module):
    """A recurrent layer over pairs of neighbouring frames: half as long, its input twice as wide.

    Chan et al. 2016, equation 5. An odd last frame is paired with zeros.
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
    """Convolutions, then a stack of recurrent layers and one for each level of the pyramid.

    The layers are dealt to the stacks from the bottom (5 over 3 stacks: 2 + 2 + 1).
    """

    def __init__(self, config: LASConfig) -> None:
        super().__init__()
        self.checkpoint_activations = False
        """compute the convolutions again for the backward pass rather than keep what they gave"""
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
        # Faster on a CPU (docs/decisions.md); not measured on a GPU.
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

        The last of the list is what the speller attends to; the earlier ones have more frames.
        """
        encoded, lengths = self.convolve(features, lengths)
        outputs = [(run_padded(self.bottom_rnn, encoded, lengths), lengths)]
        for name in self._pyramid:
            outputs.append(self.get_submodule(name)(*outputs[-1]))
        return outputs

    def convolve(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) -> (B, T // 4, F // 4 * channels), lengths.

        The padding comes out as anything. A convolution reaches one frame past the end of an
        utterance, and must find zero there, as if the utterance stood alone: batch normalisation,
        which stands before each, sees to that.
        """
        hidden = features.unsqueeze(1)
        # What is shorter than one output frame counts as followed by silence; what has no frame at
        # all, as nothing: it is there only to let a process without utterances keep step.
        valid = [max(length, CONV_REDUCTION) if length else 0 for length in lengths.tolist()]
        if hidden.shape[2] < CONV_REDUCTION:
            hidden = nn.functional.pad(hidden, (0, 0, 0, CONV_REDUCTION - hidden.shape[2]))
        layers = list(self.conv)
        again = self.checkpoint_activations and self.training and torch.is_grad_enabled()
        for stage in (layers[:_FIRST_STAGE], layers[_FIRST_STAGE:]):
            if again:
                hidden = checkpoint(
                    _run_stage,
                    stage,
                    hidden,
                    valid,
                    use_reentrant=False,
                    preserve_rng_state=False,
                    context_fn=lambda: (nullcontext(), self.uncounted()),
                )
            else:
                hidden = _run_stage(stage, hidden, valid)
            valid = [length // 2 for length in valid]
        frames = torch.tensor(valid, device=lengths.device).clamp_min_(1)
        # Band by band, channels innermost: as channels-last memory lies, so that nothing is copied.
        return hidden.permute(0, 2, 3, 1).flatten(2), frames

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Within, what passes through leaves the running statistics as they are."""
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
    """Layers of the front end down to a pooling; `valid` frames of each utterance before it."""
    for layer in layers:
        if isinstance(layer, BatchNorm2d):
            padded = min(valid) < hidden.shape[2]
            hidden = layer(hidden, valid if padded else None)
        else:
            hidden = layer(hidden)
    return hidden
