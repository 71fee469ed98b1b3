"""The listener: log-mel frames to a shorter sequence of listener frames.

A convolutional front end shortens the sequence 4-fold. Then each level of a pyramid of recurrent
layers halves it (Chan et al. 2016, section 3.1). Padding has no effect on the output, in the
backward recurrent layers neither.
"""

from typing import cast

import torch
from torch import Tensor, nn

from sorigeul.model.config import LASConfig
from sorigeul.model.front_end import FrontEnd
from sorigeul.model.junction import make_junctions
from sorigeul.model.recurrent import recurrent, run_padded


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


class Listener(FrontEnd):
    """Convolutions, then a stack of recurrent layers and one more for each level of the pyramid."""

    def __init__(self, config: LASConfig) -> None:
        super().__init__(config)
        sizes = config.stack_sizes
        self.bottom_rnn = recurrent(
            config.cell,
            self.width,
            config.hidden_size,
            sizes[0],
            config.dropout,
            bidirectional=config.use_bidirectional,
        )
        stack_widths = [config.width] * len(sizes)
        self.junctions = make_junctions(config, [self.width, *stack_widths])
        self._pyramid = ["middle_rnn", "top_rnn"][: config.pyramid_levels]
        for name, size in zip(self._pyramid, sizes[1:], strict=True):
            self.add_module(name, PyramidalRNN(config, size))

    def forward(self, features: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features (B, T, F), lengths (B,) -> the output (B, S, D) and lengths (B,) of every stack.

        The speller attends to the last one; the earlier ones have more frames.
        """
        frames, lengths = self.convolve(features, lengths)
        frames = self._join(0, frames, lengths)
        frames = self._join(1, run_padded(self.bottom_rnn, frames, lengths), lengths)
        outputs = [(frames, lengths)]
        for number, name in enumerate(self._pyramid, 2):
            frames, lengths = self.get_submodule(name)(frames, lengths)
            frames = self._join(number, frames, lengths)
            outputs.append((frames, lengths))
        return outputs

    def _join(self, number: int, frames: Tensor, lengths: Tensor) -> Tensor:
        """Frames (B, S, D) of a part, by its number, as the next one reads them."""
        if self.junctions is None:
            return frames
        return cast(Tensor, self.junctions[number](frames, lengths))
