"""Transcripts to normalised text, and text to ids and back."""

__all__ = ["encoding", "normalization", "vocabulary"]
