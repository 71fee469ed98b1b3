"""Batch normalisation that ignores padding, over the batches of all processes of a training."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics ignore the padding, and whose output is zero there.

    If several processes train together, the statistics are those of the frames of all of them.
    """

    counting = True
    """whether training updates the running statistics; off while a batch is computed again"""
    # PyTorch declares each of these as optional; here they always exist.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, hidden: Tensor, lengths: list[int] | None = None) -> Tensor:
        """Hidden (B, C, T, F) -> the same shape, normalised for each channel.

        `lengths` are the valid frames of each utterance; None if there is no padding.
        """
        if not self.training:
            outputs: Tensor = super().forward(hidden)
            return outputs if lengths is None else _zero_padding(outputs, lengths)
        if lengths is None and not _is_distributed():
            if self.counting:
                return super().forward(hidden)
            # Copies take the update, so that the running statistics stay as they are.
            copies = self.running_mean.clone(), self.running_var.clone()
            return nn.functional.batch_norm(
                hidden, *copies, self.weight, self.bias, True, self.momentum, self.eps
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
        """The fields that the seed's version of PyTorch printed, without those added since."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _PaddedBatchNorm(torch.autograd.Function):
    """Batch normalisation (Ioffe and Szegedy 2015) over the valid frames of a padded batch.

    PyTorch's kernels sum over all frames; then the sum over the padding is subtracted. This costs
    little, since buckets leave little padding. The sums are over all processes.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, lengths: list[int], eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        padded_count = hidden.numel() // hidden.shape[1]
        mean, variance = torch.batch_norm_update_stats(hidden, None, None, 0.0)
        # In float64, since the difference of two large sums loses precision if the mean is far
        # from zero.
        mean, variance = mean.double(), variance.double()
        total = mean * padded_count - _sum_padding(hidden, lengths)
        squares = (variance + mean.square()) * padded_count - _sum_padding(hidden, lengths, hidden)
        valid_count = sum(lengths) * hidden.shape[3]
        if not valid_count:  # only padding: exactly zero, without rounding errors
            total, squares = torch.zeros_like(total), torch.zeros_like(squares)
        total, squares, count = _sum_over_processes(
            total, squares, torch.full_like(total[:1], valid_count)
        )
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min_(0.0).float()
        mean, count = mean.float(), count.float()
        outputs = torch.batch_norm(
            hidden, weight, bias, mean, variance, False, 0.0, eps, torch.backends.cudnn.enabled
        )
        ctx.save_for_backward(hidden, weight, mean, variance, count)
        ctx.lengths, ctx.eps = lengths, eps
        ctx.mark_non_differentiable(mean, variance, count)
        return _zero_padding(outputs, lengths), mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, mean, variance, count = ctx.saved_tensors
        lengths = ctx.lengths
        # First the gradient as if the statistics were constants; then the correction for their
        # dependence on each frame.
        inverse_std = torch.rsqrt(variance + ctx.eps)
        # The CPU takes the statistics from the first pair, a GPU from the second.
        statistics = (mean, variance, mean, inverse_std)
        grad_hidden, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, hidden, weight, *statistics, False, ctx.eps, [True, True, True]
        )
        padding = _sum_padding(gradient, lengths)
        padding_product = (_sum_padding(gradient, lengths, hidden) - padding * mean) * inverse_std
        grad_weight, grad_bias = grad_weight - padding_product, grad_bias - padding
        total_grad_weight, total_grad_bias = _sum_over_processes(grad_weight, grad_bias)
        slope = -weight * inverse_std.square() * total_grad_weight / count
        offset = -weight * inverse_std * total_grad_bias / count - slope * mean
        # hidden * slope + offset, by the kernel of batch normalisation, which is the fastest.
        zeros, ones = torch.zeros_like(mean), torch.ones_like(mean)
        correction = torch.batch_norm(hidden, slope, offset, zeros, ones, False, 0.0, 0.0, False)
        grad_hidden = _zero_padding(grad_hidden.add_(correction), lengths)
        return grad_hidden, grad_weight, grad_bias, None, None


def _is_distributed() -> bool:
    """Whether other processes train the same model."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _sum_over_processes(*vectors: Tensor) -> tuple[Tensor, ...]:
    """The sum of each vector over all processes that train together."""
    if not _is_distributed():
        return vectors
    joined = torch.cat(vectors)
    dist.all_reduce(joined)
    return torch.split_with_sizes(joined, [len(vector) for vector in vectors])


def _sum_padding(hidden: Tensor, lengths: list[int], factor: Tensor | None = None) -> Tensor:
    """Sum of the padding of (B, C, T, F) for each channel, times `factor` of the same shape."""
    if hidden.is_cuda:
        padding = hidden.float() * _padding_mask(hidden, lengths)
        return (padding if factor is None else padding * factor).sum((0, 2, 3))
    total = hidden.new_zeros(hidden.shape[1], dtype=torch.float32)
    for row, length in enumerate(lengths):
        if length < hidden.shape[2]:
            padding = hidden[row, :, length:].float()
            if factor is not None:
                padding = padding * factor[row, :, length:].float()
            total += padding.sum((1, 2))
    return total


def _zero_padding(hidden: Tensor, lengths: list[int]) -> Tensor:
    """Set the padding of (B, C, T, F) to zero, in place."""
    if hidden.is_cuda:
        return hidden.masked_fill_(_padding_mask(hidden, lengths), 0.0)
    for row, length in enumerate(lengths):
        hidden[row, :, length:] = 0.0
    return hidden


def _padding_mask(hidden: Tensor, lengths: list[int]) -> Tensor:
    """True in the padding of (B, C, T, F), shape (B, 1, T, 1).

    For a GPU, where a loop over the rows would wait for the launch of many small kernels; on a CPU
    the loop is faster, since it touches the padding only.
    """
    valid = torch.tensor(lengths).to(hidden.device, non_blocking=True)
    frames = torch.arange(hidden.shape[2], device=hidden.device)
    return (frames >= valid.unsqueeze(1))[:, None, :, None]
