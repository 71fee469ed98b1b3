"""The same code for tensors of PyTorch and arrays of NumPy: what the search computes with.

Most functions have one name and one meaning in both, if arguments are called `axis` and `keepdims`,
which PyTorch understands too. `namespace` gives the module they are in. Here are those that differ.
Does not load PyTorch: whoever has a tensor has loaded it.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = Any
"""a tensor of PyTorch or an array of NumPy; all those of one computation are of the same kind"""


def namespace(array: Array) -> Any:
    """The module whose functions take this array: `numpy` or `torch`."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


@contextmanager
def inference() -> Iterator[None]:
    """Without gradients, and without warnings of infinities, which are scores here.

    A decorator too.
    """
    with ExitStack() as stack:
        stack.enter_context(np.errstate(divide="ignore", invalid="ignore", over="ignore"))
        if "torch" in sys.modules:
            stack.enter_context(sys.modules["torch"].no_grad())
        yield


def to_numpy(array: Array) -> npt.NDArray[Any]:
    """As an array of NumPy, on the CPU."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.detach().cpu().numpy())


def astype(array: Array, dtype: Any) -> Array:
    """With numbers of another type, which is one of the array's own `namespace`."""
    return array.astype(dtype) if isinstance(array, np.ndarray) else array.to(dtype)


def log_softmax(scores: Array) -> Array:
    """Logarithm of the softmax over the last axis."""
    if not isinstance(scores, np.ndarray):
        return scores.log_softmax(-1)
    shifted = scores - scores.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def log_sum_exp(scores: Array) -> Array:
    """Logarithm of the sum of exponentials over the last axis, which is kept with size 1."""
    if not isinstance(scores, np.ndarray):
        return scores.logsumexp(-1, keepdim=True)
    peak = scores.max(-1, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0)
    return np.log(np.exp(scores - peak).sum(-1, keepdims=True)) + peak


def cumulative_log_sum_exp(scores: Array) -> Array:
    """Logarithm of the sums of exponentials up to each place of the last axis."""
    if not isinstance(scores, np.ndarray):
        return scores.logcumsumexp(-1)
    return np.logaddexp.accumulate(scores, axis=-1)


def largest_of_first(scores: Array) -> tuple[Array, Array]:
    """The largest along the first axis, and its places there."""
    if not isinstance(scores, np.ndarray):
        return scores.max(0)  # type: ignore[no-any-return]
    return scores.max(0), scores.argmax(0)


def largest(scores: Array, count: int) -> tuple[Array, Array]:
    """The `count` largest of each row (R, N), the largest first, and their places (R, count)."""
    if not isinstance(scores, np.ndarray):
        return scores.topk(count, dim=1)  # type: ignore[no-any-return]
    places = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    values = np.take_along_axis(scores, places, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(places, order, axis=1)
