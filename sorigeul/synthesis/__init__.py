"""The demo corpus: sentences, voices and a speech synthesizer."""

__all__ = ["demo"]
