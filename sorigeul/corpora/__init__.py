"""Corpora on disk to manifests. Knows folders and file formats, nothing of tensors."""

from sorigeul.corpora.items import Layout, PrepareOptions, Reader, Rejected, Utterance

__all__ = ["Layout", "PrepareOptions", "Reader", "Rejected", "Utterance"]
