"""Audio files to float32 mono at 16 kHz; speech segments, log-mel features, augmentation."""

__all__ = [
    "audio",
    "augmentation",
    "degradations",
    "features",
    "microphone",
    "segments",
    "spec_augment",
]
