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
    "recording_list",
    "search_setup",
    "streaming",
    "transcription",
    "word_times",
    "writers",
    "written_text",
]
