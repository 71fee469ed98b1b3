"""Recordings without texts to a corpus of what models that agree have heard (pseudo-labels)."""

__all__ = ["corpus", "options"]
