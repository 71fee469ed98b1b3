"""Statistics of a sample of a corpus: speaking rate, pitch, bandwidth, how well text fits sound.

Does not know about files, manifests, models or settings. The bounds lie between values of intact
corpora and of damaged copies of them (docs/lab.md, "the doctor").
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import atanh, nan, sqrt

import numpy as np
import numpy.typing as npt

from sorigeul.doctor.measurements import Array, Measurements

SIGNIFICANT_DEVIATIONS = 3.0
"""standard deviations from which on a difference counts as one"""

LONG_SILENCE = 1.0
"""seconds without speech at the beginning or the end of an utterance that are worth a word"""

_LEAST_UTTERANCES = 10  # for a median
_RATE_SPREAD = 0.3
"""deviation of the logarithm of syllables a second from utterance to utterance; 0.24 in Pansori"""
_FREQUENT_UNITS, _COMPONENTS, _PERMUTATIONS = 60, 20, 200


@dataclass(frozen=True, eq=False)
class Sample:
    """Some utterances of a corpus."""

    measured: Sequence[Measurements]
    """the utterances that have sound and text"""
    silent: Sequence[str] = ()
    """ids"""
    unreadable: Sequence[str] = ()
    """reasons"""

    def __len__(self) -> int:
        return len(self.measured) + len(self.silent) + len(self.unreadable)

    @cached_property
    def speaking_rate(self) -> float:
        """Median syllables a second of speech; nan of less than ten utterances."""
        rates = [
            utterance.characters / utterance.speech
            for utterance in self.measured
            if utterance.is_hangul
        ]
        return _median(rates)

    @cached_property
    def pitch(self) -> float:
        """Median pitch in Hz; nan of less than ten utterances."""
        pitches = [utterance.pitch for utterance in self.measured]
        return _median([pitch for pitch in pitches if not np.isnan(pitch)])

    @cached_property
    def between_silences(self) -> Sequence[Measurements]:
        """The utterances that begin or end with a long silence, the longest first."""
        found = [utterance for utterance in self.measured if utterance.silence > LONG_SILENCE]
        return sorted(found, key=lambda utterance: -utterance.silence)

    @cached_property
    def narrowband_share(self) -> float:
        """Share of the utterances that have nothing above 4 kHz, of 1."""
        narrow = sum(utterance.quality.is_narrowband for utterance in self.measured)
        return narrow / max(len(self.measured), 1)

    @cached_property
    def length_correlation(self) -> "LengthCorrelation":
        lengths = [(utterance.characters, utterance.speech) for utterance in self.measured]
        logs = np.log(lengths).reshape(-1, 2)
        return LengthCorrelation(logs[:, 0], logs[:, 1])

    @cached_property
    def text_association(self) -> float:
        """How much the spectra depend on the texts, in deviations from shuffled texts."""
        if not self.measured:
            return 0.0
        return association(
            jamo_shares([utterance.text for utterance in self.measured]),
            np.array([utterance.spectrum for utterance in self.measured]),
        )


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) >= _LEAST_UTTERANCES else nan


@dataclass(frozen=True, eq=False)
class LengthCorrelation:
    """Correlation of the length of the text and the length of the speech."""

    log_characters: Array
    """(B,)"""
    log_speech: Array
    """of seconds (B,)"""

    @cached_property
    def value(self) -> float:
        """Pearson's r; 0 where it is not defined."""
        if len(self.log_characters) < 2:
            return 0.0
        if not (self.log_characters.std() and self.log_speech.std()):
            return 0.0
        return float(np.corrcoef(self.log_characters, self.log_speech)[0, 1])

    @cached_property
    def expected(self) -> float:
        """Least correlation of texts that vary as these do, at speaking rates that vary most."""
        spread = float(self.log_characters.std()) if len(self.log_characters) else 0.0
        return spread / sqrt(spread**2 + _RATE_SPREAD**2)

    @property
    def is_conclusive(self) -> bool:
        """Whether it would show shuffled texts: lengths vary, in enough utterances."""
        if len(self.log_characters) <= 3:
            return False
        speech_varies = bool(self.log_speech.std() >= 0.5 * self.log_characters.std())
        return speech_varies and self._is_below_expected(0.0)

    @property
    def is_too_low(self) -> bool:
        """Whether it is significantly lower than expected."""
        return self._is_below_expected(self.value)

    def _is_below_expected(self, correlation: float) -> bool:
        """Whether a correlation is significantly lower than expected (Fisher 1915)."""
        gap = atanh(self.expected) - atanh(min(correlation, 0.999))
        return gap > SIGNIFICANT_DEVIATIONS / sqrt(max(len(self.log_characters) - 3, 1))


def jamo_shares(texts: Sequence[str]) -> Array:
    """Share that each of the most frequent jamo and other characters has in each text (B, L)."""
    counts = [Counter(unicodedata.normalize("NFD", "".join(text.split()))) for text in texts]
    frequent = [unit for unit, _ in sum(counts, Counter[str]()).most_common(_FREQUENT_UNITS)]
    rows = [[count[unit] / max(count.total(), 1) for unit in frequent] for count in counts]
    return np.array(rows, float).reshape(len(texts), -1)


def association(causes: Array, effects: Array, seed: int = 0) -> float:
    """How much of the effects (B, E) a ridge regression on the causes (B, C) explains.

    In standard deviations above what it explains of permuted effects: about 0 if effects do not
    depend on causes.
    """
    count = len(causes)
    if count < 3:
        return 0.0
    random = np.random.default_rng(seed)
    scaled_causes, scaled_effects = (
        (values - values.mean(0)) / (values.std(0) + 1e-3) for values in (causes, effects)
    )
    basis, singular_values, _ = np.linalg.svd(scaled_causes, full_matrices=False)
    basis *= np.sqrt(singular_values**2 / (singular_values**2 + count))
    # Whitened, so that what all effects share, such as the sound of the room, does not dominate.
    whitened = np.linalg.svd(scaled_effects, full_matrices=False)[0][:, :_COMPONENTS]

    def explained(order: npt.NDArray[np.intp]) -> float:
        return float(np.square(basis.T @ whitened[order]).sum())

    by_chance = [explained(random.permutation(count)) for _ in range(_PERMUTATIONS)]
    above_chance = explained(np.arange(count)) - float(np.mean(by_chance))
    return above_chance / (float(np.std(by_chance)) + 1e-9)
