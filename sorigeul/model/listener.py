"""The listener: log-mel frames to a shorter sequence of listener frames.

A convolutional front end of two stages (4-fold shorter) and a pyramid of recurrent layers, each
level of which halves the sequence again (Chan et al. 2016, section 3.1). Nothing sees padding: not
the convolutions, not batch normalisation, not the backward recurrent layers.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sorigeul.model.recurrent import recurrent, run_padded

CONV_REDUCTION = 4
"""how many times shorter the convolutions leave the frames"""
_FIRST_STAGE = 6  # layers of the first convolutional stage, its pooling included


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics leave the padding out, and which gives zero there.

    Of processes that train together, it is over the frames of all of them.
    """

    counting = True
    """whether training moves the running statistics; not where it passes over a batch again"""
    # PyTorch makes each of these optional; here they always exist.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, hidden: Tensor, lengths: list[int] | None = None) -> Tensor:
        """Hidden (B, C, T, F) with the valid frames of each utterance, or none where all are."""
        if not self.training:
            outputs: Tensor = super().forward(hidden)
            return outputs if lengths is None else _silence(outputs, lengths)
        if lengths is None and not _in_company():
            if self.counting:
                return super().forward(hidden)
            spare = self.running_mean.clone(), self.running_var.clone()
            return nn.functional.batch_norm(
                hidden, *spare, self.weight, self.bias, True, self.momentum, self.eps
            )
        if lengths is None:
            lengths = [hidden.shape[2]] * len(hidden)
        outputs, mean, variance, count = _PaddedBatchNorm.apply(  # type: ignore[no-untyped-call]
            hidden, self.weight, self.bias, lengths, self.eps
        )
        if self.counting:
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        return outputs

    def extra_repr(self) -> str:
        """As the seed's PyTorch printed it, without the fields that came later."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _PaddedBatchNorm(torch.autograd.Function):
    """Batch normalisation (Ioffe and Szegedy 2015) over the valid frames of a padded batch.

    PyTorch's kernels run over everything; what the padding adds to a sum is taken off again, which
    costs little, since buckets leave little padding. The sums are those of all processes.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, lengths: list[int], eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        everything = hidden.numel() // hidden.shape[1]
        mean, variance = torch.batch_norm_update_stats(hidden, None, None, 0.0)
        # In float64, since a mean far from zero leaves little of the difference of large sums.
        mean, variance = mean.double(), variance.double()
        total = mean * everything - _past(hidden, lengths)
        power = (variance + mean.square()) * everything - _past(hidden, lengths, hidden)
        own = sum(lengths) * hidden.shape[3]
        if not own:  # nothing but padding: exactly nothing, not what rounding leaves of it
            total, power = torch.zeros_like(total), torch.zeros_like(power)
        total, power, count = _over_processes(total, power, torch.full_like(total[:1], own))
        mean = total / count
        variance = (power / count - mean.square()).clamp_min_(0.0).float()
        mean, count = mean.float(), count.float()
        outputs = torch.batch_norm(
            hidden, weight, bias, mean, variance, False, 0.0, eps, torch.backends.cudnn.enabled
        )
        ctx.save_for_backward(hidden, weight, mean, variance, count)
        ctx.lengths, ctx.eps = lengths, eps
        ctx.mark_non_differentiable(mean, variance, count)
        return _silence(outputs, lengths), mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, mean, variance, count = ctx.saved_tensors
        lengths = ctx.lengths
        # As if the statistics were constants; then what they owe to each frame.
        inputs, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, hidden, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        inverse = torch.rsqrt(variance + ctx.eps)
        past = _past(gradient, lengths)
        past_product = (_past(gradient, lengths, hidden) - past * mean) * inverse
        to_weight, to_bias = to_weight - past_product, to_bias - past
        all_weight, all_bias = _over_processes(to_weight, to_bias)
        slope = -weight * inverse.square() * all_weight / count
        offset = -weight * inverse * all_bias / count - slope * mean
        # hidden * slope + offset: batch normalisation's own kernel is the quickest to do it.
        zero, one = torch.zeros_like(mean), torch.ones_like(mean)
        correction = torch.batch_norm(hidden, slope, offset, zero, one, False, 0.0, 0.0, False)
        return _silence(inputs.add_(correction), lengths), to_weight, to_bias, None, None


def _in_company() -> bool:
    """Whether other processes train the same model."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _over_processes(*sums: Tensor) -> tuple[Tensor, ...]:
    """Vectors, each added up over the processes that train together."""
    if not _in_company():
        return sums
    joined = torch.cat(sums)
    dist.all_reduce(joined)
    return torch.split_with_sizes(joined, [len(part) for part in sums])


def _past(hidden: Tensor, lengths: list[int], other: Tensor | None = None) -> Tensor:
    """Sum by channel over the padding of (B, C, T, F), of its product with `other` if given."""
    total = hidden.new_zeros(hidden.shape[1], dtype=torch.float32)
    for row, length in enumerate(lengths):
        if length < hidden.shape[2]:
            tail = hidden[row, :, length:].float()
            if other is not None:
                tail = tail * other[row, :, length:].float()
            total += tail.sum((1, 2))
    return total


def _silence(hidden: Tensor, lengths: list[int]) -> Tensor:
    """Set the padding of (B, C, T, F) to zero, in place."""
    for row, length in enumerate(lengths):
        hidden[row, :, length:] = 0.0
    return hidden


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
        return run_padded(self.rnn, pairs, lengths), lengths


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
        self.checkpoint_activations = False
        """compute the convolutions again for the backward pass rather than keep what they gave"""
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
        # Faster on a CPU (docs/decisions.md); not measured on a GPU.
        self.conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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
        """
        listened, lengths = self.convolve(features, lengths)
        outputs = [(run_padded(self.bottom_rnn, listened, lengths), lengths)]
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
                    _run_stage, stage, hidden, valid, use_reentrant=False,
                    preserve_rng_state=False, context_fn=lambda: (nullcontext(), self.uncounted()),
                )  # fmt: skip
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
