"""From manifests to padded batches, resumable at any position of an epoch."""

__all__ = [
    "babble",
    "batches",
    "config",
    "cut_audio",
    "manifests",
    "mixing",
    "sampling",
    "statistics",
]
