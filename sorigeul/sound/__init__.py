"""Audio files to float32 mono at 16 kHz; speech segments, log-mel features, augmentation."""

__all__ = [
    "archive_members",
    "array_features",
    "audio",
    "augmentation",
    "degradations",
    "encoding",
    "feature_config",
    "features",
    "microphone",
    "moved_recordings",
    "recording_paths",
    "recording_quality",
    "segments",
    "signal_to_noise",
    "spec_augment",
    "surrounding_silence",
]
