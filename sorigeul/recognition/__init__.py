"""Transcription of one recording or of a whole corpus, and the output formats."""

__all__ = [
    "batching",
    "confidence",
    "corpus_transcription",
    "file_transcription",
    "fingerprints",
    "folders",
    "listening",
    "live",
    "model_loading",
    "overlaps",
    "recognizer",
    "search_setup",
    "streaming",
    "transcription",
    "writers",
    "written_text",
]
