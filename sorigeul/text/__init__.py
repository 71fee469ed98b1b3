"""Text encodings, normalisers of transcripts, and vocabularies (text to ids and back)."""

__all__ = ["file_encoding", "normalization", "vocabulary"]
