"""Renders a line of the script as audio: synthesised speech with background noise."""

import numpy as np

from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.encoding import encode
from sorigeul.synthesis.espeak import Synthesizer
from sorigeul.synthesis.script import Line


def render_flac(synthesizer: Synthesizer, line: Line) -> bytes:
    """Return the audio of ``line`` as a 16-bit FLAC file at 16 kHz, mono."""
    return encode(render(synthesizer, line))


def render(synthesizer: Synthesizer, line: Line) -> Samples:
    """Return the audio of ``line``, float32 (N,): speech, a short silence around it, and noise."""
    speech = synthesizer.speak(line.text, line.voice, line.rate, line.pitch, line.pitch_range)
    random = np.random.default_rng(line.noise_seed)
    before, after = random.uniform(0.08, 0.25, size=2)
    speech = _trim(speech, before, after)
    noise_length = 2 ** len(speech).bit_length()  # a power of two: fast to transform
    noise = random.standard_normal(noise_length, np.float32)
    if line.pink:
        spectrum = np.fft.rfft(noise)
        noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))))
    noise = noise[: len(speech)]
    noise *= np.sqrt(np.mean(speech**2) / np.mean(noise**2)) * 10 ** (-line.snr / 20)
    mixed = speech + noise
    return np.asarray(mixed * (line.peak / np.abs(mixed).max()), np.float32)


def _trim(samples: Samples, before: float, after: float) -> Samples:
    """Cut to the part above -40 dB of the peak, with ``before`` and ``after`` seconds around it."""
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    samples_before, samples_after = round(before * SAMPLE_RATE), round(after * SAMPLE_RATE)
    padded = np.pad(samples, (samples_before, samples_after))
    return padded[loud[0] : loud[-1] + 1 + samples_before + samples_after]
