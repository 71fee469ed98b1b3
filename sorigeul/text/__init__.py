"""Text encodings, normalisers, spoken and written forms, vocabularies (text to ids and back)."""

__all__ = [
    "file_encoding",
    "normalization",
    "numerals",
    "punctuation",
    "spoken_form",
    "transcription_marks",
    "vocabulary",
    "written_form",
]
