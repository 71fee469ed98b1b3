"""Any recording to float32 mono at 16 kHz, to speech segments, to log-mel features."""

__all__ = ["audio", "augmentation", "features", "segments", "spec_augment"]
