"""Recordings to text: one recording, or a whole corpus, and the formats to write it in."""

__all__ = ["corpus_transcription", "recognizer", "writers"]
