"""Transcription of one recording or of a whole corpus, and the output formats."""

__all__ = [
    "batching",
    "confidence",
    "corpus_transcription",
    "folders",
    "recognizer",
    "search_setup",
    "transcription",
    "writers",
]
