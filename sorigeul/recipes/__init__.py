"""Presets of training (YAML), and recipes: from a corpus to its figures."""

__all__ = ["recipe", "steps"]
