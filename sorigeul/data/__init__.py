"""Manifests to padded batches, resumable at any position of an epoch."""

__all__ = ["batches", "config", "cut_audio", "manifests", "sampling", "statistics"]
