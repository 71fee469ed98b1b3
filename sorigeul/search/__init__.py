"""From the listener's output to character ids: greedy and beam search, fast inference."""

__all__ = ["decoding", "greedy", "inference"]
