"""Corpora on disk to manifests of checked utterances, with splits and a report."""

__all__ = ["catalog", "options", "preparation", "utterances"]
