"""Reads corpora from disk, checks their utterances and writes manifests, splits and a report."""

__all__ = ["catalog", "options", "preparation", "utterances"]
