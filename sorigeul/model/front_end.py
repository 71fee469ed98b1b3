"""The convolutional front end of the listener: log-mel frames to a quarter as many frames.

Padding has no effect on the output: neither in the convolutions, nor in batch normalisation.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sorigeul.model.batch_norm import BatchNorm2d
from sorigeul.model.config import CONV_REDUCTION, LASConfig

_FIRST_STAGE_LAYERS = 6  # of the convolutions, up to and including the first pooling


class FrontEnd(nn.Module):
    """Convolutions in two stages, each of which halves time and mel bands. Base of the listeners.

    `width` is that of the frames that come out.
    """

    def __init__(self, config: LASConfig) -> None:
        super().__init__()
        self.checkpoint_activations = False
        """compute the convolutions again in the backward pass instead of keeping their outputs"""
        self.before_recomputing: Callable[[], object] | None = None
        """called before a stage is computed again, where a step needs the most memory"""
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
        self.width = wide * (config.n_mels // CONV_REDUCTION)

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
                    context_fn=lambda: (nullcontext(), self._recomputing()),
                )
            else:
                hidden = _run_stage(stage, hidden, valid)
            valid = [length // 2 for length in valid]
        valid_frames = torch.tensor(valid, device=lengths.device).clamp_min_(1)
        # Bands outside, channels inside: the order in channels-last memory, so nothing is copied.
        return hidden.permute(0, 2, 3, 1).flatten(2), valid_frames

    @contextmanager
    def _recomputing(self) -> Iterator[None]:
        """Context in which a stage is computed again."""
        if self.before_recomputing is not None:
            self.before_recomputing()
        with self.keep_running_statistics():
            yield

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
