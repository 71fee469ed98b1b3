"""Batch normalisation whose statistics leave padding out, over one process or several."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


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
