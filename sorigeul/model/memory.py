"""What the speller attends to: tensors of PyTorch, or arrays of NumPy without it."""

from dataclasses import dataclass

from sorigeul.base.arrays import Array, namespace


@dataclass(frozen=True)
class Memory:
    """Listener frames and their keys, computed once and used in every step of the speller."""

    values: Array
    """listener frames (B, S, D)"""
    keys: Array
    """the frames as projected for the score function (B, S, A)"""
    valid: Array
    """boolean (B, S), true for frames that are not padding"""

    def select(self, rows: Array) -> "Memory":
        """The memory of the utterances `rows`, one for each hypothesis of a beam search."""
        return Memory(self.values[rows], self.keys[rows], self.valid[rows])

    def silent(self) -> "Memory":
        """What a speller attends to that hears nothing: one frame of zeros for each utterance.

        Any number of them would give the same context, which is zero.
        """
        xp = namespace(self.values)
        values, keys = xp.zeros_like(self.values[:, :1]), xp.zeros_like(self.keys[:, :1])
        return Memory(values, keys, xp.ones_like(self.valid[:, :1]))
