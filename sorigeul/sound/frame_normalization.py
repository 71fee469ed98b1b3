"""From mel power to features: logarithm, normalisation, padding, time reversal.

With tensors or with arrays of NumPy (`base.arrays`).

B utterances, T frames, F mel bands.
"""

import math

from sorigeul.base.arrays import Array, log_sum_exp, namespace
from sorigeul.sound.feature_config import FeatureConfig

_LOG_FLOOR = 1e-10  # librosa's power_to_db floor: digital silence stays finite
_SPEECH_DEPTH = 3.5 * math.log(10)  # 35 dB: softer than the loudest frame, it is no speech
_FLOOR_DEPTH = 6 * math.log(10)  # 60 dB below the loudest band
_STD_FLOOR = 1e-2  # a constant band carries no information: its rounding noise stays small


def normalized_frames(mel: Array, lengths: Array, config: FeatureConfig) -> tuple[Array, Array]:
    """Mel power (B, T, F), lengths (B,) in samples -> features (B, T, F), lengths (B,) in frames.

    Frames after the end of an utterance are zero, which is the mean of normalised features.
    """
    xp = namespace(mel)
    features = xp.log(mel.clip(_LOG_FLOOR))
    frames = lengths // config.hop_length + 1
    valid = valid_mask(frames, features.shape[1])[:, :, None]
    if config.normalization == "utterance":
        features = _normalize(features, valid)
    elif config.normalization == "speech":
        features, loud = _loud_frames(features, valid)
        features = _normalize(features, loud) * valid
    features = xp.where(valid, features, 0.0)
    if config.input_reverse:
        features = reverse(features, frames)
    return features, frames


def valid_mask(lengths: Array, size: int) -> Array:
    """Lengths (B,) -> boolean mask (B, size), true for the valid frames of each utterance."""
    return namespace(lengths).arange(size, device=lengths.device) < lengths[:, None]


def reverse(features: Array, lengths: Array) -> Array:
    """Reverse the valid frames of (B, T, F) in time; the padding stays where it is."""
    xp = namespace(features)
    time = xp.arange(features.shape[1], device=lengths.device)
    index = lengths[:, None] - 1 - time
    index = xp.where(index >= 0, index, time)
    rows = xp.arange(len(features), device=lengths.device)[:, None]
    return features[rows, index]


def _normalize(features: Array, counted: Array) -> Array:
    """Scale each band (B, T, F) to mean 0 and standard deviation 1 over the `counted` frames.

    ``counted``: boolean (B, T, 1). The other frames are scaled alike.
    """
    xp = namespace(features)
    count = counted.sum(1, keepdims=True)
    mean = (features * counted).sum(1, keepdims=True) / count
    centred = features - mean
    variance = xp.square(centred * counted).sum(1, keepdims=True) / count
    return centred / xp.sqrt(variance).clip(_STD_FLOOR)


def _loud_frames(features: Array, valid: Array) -> tuple[Array, Array]:
    """Log-mel (B, T, F), and which of its ``valid`` frames are loud enough for speech (B, T, 1).

    What is far below the loudest band is raised to one floor: in digital silence, or in the
    rounding noise of a quiet recording, differences mean nothing.
    """
    xp = namespace(features)
    loudness = xp.where(valid, log_sum_exp(features), -math.inf)
    loudest = xp.amax(loudness, axis=1, keepdims=True)
    peak = xp.amax(xp.where(valid, features, -math.inf), axis=(1, 2), keepdims=True)
    return xp.maximum(features, peak - _FLOOR_DEPTH), loudness > loudest - _SPEECH_DEPTH
