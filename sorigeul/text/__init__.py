"""Text encodings, normalisers, spoken forms, and vocabularies (text to ids and back)."""

__all__ = ["file_encoding", "normalization", "numerals", "spoken_form", "vocabulary"]
