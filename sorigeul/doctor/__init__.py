"""Checks of a corpus and its settings before a long training."""

__all__ = ["environment", "preflight"]
