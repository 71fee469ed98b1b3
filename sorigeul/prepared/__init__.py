"""Prepared corpora: what is in them, whether they are whole, and new ones made of them."""

__all__ = ["checks", "corpus", "derivation", "report", "statistics"]
