"""Text encodings, normalisers, spoken forms, and vocabularies (text to ids and back)."""

__all__ = ["file_encoding", "normalization", "spoken_form", "vocabulary"]
