"""Text encodings, normalisers, spoken and written forms, vocabularies (text to ids and back)."""

__all__ = [
    "file_encoding",
    "normalization",
    "numerals",
    "spoken_form",
    "vocabulary",
    "written_form",
]
