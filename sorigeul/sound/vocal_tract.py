"""Vocal tract length perturbation: the frequency axis of log-mel features stretched, for training.

Jaitly and Hinton 2013, "Vocal Tract Length Perturbation (VTLP) improves speech recognition". A
corpus has few speakers; this makes others of them.
"""

import torch
from torch import Tensor

from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.mel import mel_band_centres

_NYQUIST = SAMPLE_RATE / 2
_HIGHEST_FORMANTS = 4800.0  # Hz; up to here frequencies are multiplied, as in the paper


def perturb_vocal_tract(features: Tensor, chosen: Tensor, largest_warp: float) -> Tensor:
    """Log-mel features (B, T, F) with the frequencies of the `chosen` (B,) utterances stretched.

    The factor of each is drawn evenly from ``1 - largest_warp`` to ``1 + largest_warp``, from
    torch's global CPU generator. Silence and padding, where all bands are equal, stay as they are.
    """
    factors = 1 + largest_warp * (2 * torch.rand(len(features), dtype=torch.float64) - 1)
    factors = torch.where(chosen.cpu(), factors, 1.0)
    positions = band_positions(factors, features.shape[2]).to(features.device, features.dtype)
    lower = positions.floor().clamp(0, features.shape[2] - 2)
    share = (positions - lower).unsqueeze(1)
    index = lower.long().unsqueeze(1).expand(features.shape)
    return torch.lerp(features.gather(2, index), features.gather(2, index + 1), share)


def band_positions(factors: Tensor, bands: int) -> Tensor:
    """Factors (B,) -> for each band, the place (B, F) among the bands that it is to be read from.

    Frequencies are multiplied by the factor up to the highest formants, and above so that the
    Nyquist frequency stays (Jaitly and Hinton 2013, section 3).
    """
    centres = torch.from_numpy(mel_band_centres(bands))
    factors = factors.unsqueeze(1)
    bend = _HIGHEST_FORMANTS * factors.clamp_max(1.0) / factors
    slope = (_NYQUIST - bend * factors) / (_NYQUIST - bend)
    warped = torch.where(
        centres <= bend, factors * centres, _NYQUIST - slope * (_NYQUIST - centres)
    )
    upper = torch.searchsorted(centres, warped.contiguous()).clamp(1, bands - 1)
    below, above = centres[upper - 1], centres[upper]
    return (upper - 1 + (warped - below) / (above - below)).clamp(0, bands - 1)
