"""Text encodings, jamo, normalisers, spoken and written forms, vocabularies (text to ids)."""

__all__ = [
    "file_encoding",
    "jamo",
    "normalization",
    "numerals",
    "punctuation",
    "spoken_form",
    "transcription_marks",
    "vocabulary",
    "written_form",
]
