"""Transcription of one recording or of a whole corpus, and the output formats."""

__all__ = ["corpus_transcription", "folders", "recognizer", "transcription", "writers"]
