"""Statistics of a sample of a corpus: speaking rate, pitch, bandwidth, how well text fits sound.

Does not know about files, manifests, models or settings. The bounds lie between values of intact
corpora and of damaged copies of them (docs/lab.md, "the doctor").
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import atanh, nan, sqrt, tanh

import numpy as np

from sorigeul.doctor.measurements import Array, Measurements
from sorigeul.doctor.text_fit import TextFit, doubts, misfit, train_models

LONG_SILENCE = 1.0
"""seconds without speech at the beginning or the end of an utterance that are worth a word"""

_SIGNIFICANT_DEVIATIONS = 3.0  # from which on a difference counts as one
_LEAST_UTTERANCES = 10  # for a median
_LEAST_ALIGNED = 200  # utterances; models of fewer doubt texts that belong to their recordings
_LEAST_DYNAMIC_RANGE = 27.0  # dB; letters drown in more noise: at 20 dB, 25 is the median
_LEAST_OF_SPEAKER = 5  # utterances
_SPEAKER_DEVIATIONS, _SPEAKER_MISFIT = 5.0, 0.5  # from which on a speaker's texts are named
_RATE_SPREAD = 0.3
"""deviation of the logarithm of syllables a second from utterance to utterance; 0.24 in Pansori"""
_FASTEST_RATE = 18.0
"""syllables a second of speech; of 5,800 utterances of three corpora, the fastest has 14.3"""


@dataclass(frozen=True, eq=False)
class Sample:
    """Some utterances of a corpus."""

    measured: Sequence[Measurements]
    """the utterances that have sound and text"""
    silent: Sequence[str] = ()
    """ids"""
    wordless: Sequence[str] = ()
    """ids of those that have sound and no text"""
    unreadable: Sequence[str] = ()
    """reasons"""

    def __len__(self) -> int:
        return sum(map(len, (self.measured, self.silent, self.wordless, self.unreadable)))

    @cached_property
    def truncated(self) -> Sequence[Measurements]:
        """The utterances whose texts take longer to say than they last, the worst first."""
        found = [one for one in self.measured if one.is_hangul and one.rate > _FASTEST_RATE]
        return sorted(found, key=lambda utterance: -utterance.rate)

    @cached_property
    def whole(self) -> Sequence[Measurements]:
        """The utterances that are not truncated."""
        truncated = {utterance.id for utterance in self.truncated}
        return [utterance for utterance in self.measured if utterance.id not in truncated]

    @cached_property
    def speaking_rate(self) -> float:
        """Median syllables a second of speech; nan of less than ten utterances of Hangul."""
        return _median([utterance.rate for utterance in self.whole if utterance.is_hangul])

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
        lengths = [(utterance.characters, utterance.speech) for utterance in self.whole]
        logs = np.log(lengths).reshape(-1, 2)
        return LengthCorrelation(logs[:, 0], logs[:, 1])

    @cached_property
    def text_fit(self) -> TextFit | None:
        """How well texts fit by forced alignment; None of too few, too short or too noisy ones."""
        clear = [
            utterance
            for utterance in self.whole
            if utterance.quality.dynamic_range >= _LEAST_DYNAMIC_RANGE
        ]
        frames = [utterance.frames for utterance in clear]
        texts = [utterance.text for utterance in clear]
        models = train_models(frames, texts) if len(clear) >= _LEAST_ALIGNED else None
        if models is None:
            return None
        fit = TextFit(clear, models, doubts(models, frames, texts))
        return fit if np.isfinite(fit.doubts).sum() >= _LEAST_ALIGNED else None

    @cached_property
    def doubted_speakers(self) -> Sequence[str]:
        """Speakers whose texts do not fit, although those of the others do."""
        fit = self.text_fit
        if fit is None:
            return []
        by_speaker = defaultdict[str, list[int]](list)
        for number, utterance in enumerate(fit.utterances):
            if np.isfinite(fit.doubts[number]):
                by_speaker[utterance.speaker].append(number)
        found = []
        for speaker, numbers in by_speaker.items():
            own = fit.doubts[numbers]
            rest = np.delete(fit.doubts, numbers)
            rest = rest[np.isfinite(rest)]
            if len(own) < _LEAST_OF_SPEAKER or len(rest) < _LEAST_OF_SPEAKER:
                continue
            deviation = max(float(rest.std()), 0.1) / sqrt(len(own))
            significant = own.mean() > rest.mean() + _SPEAKER_DEVIATIONS * deviation
            if significant and misfit(own) > _SPEAKER_MISFIT:
                found.append(speaker)
        return found


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
    def least(self) -> float:
        """Least correlation if texts belong to recordings, at speaking rates that vary most.

        Of texts that vary as these do, less three deviations of chance (Fisher 1915).
        """
        spread = float(self.log_characters.std()) if len(self.log_characters) else 0.0
        expected = min(spread / sqrt(spread**2 + _RATE_SPREAD**2), 0.999)
        deviation = 1 / sqrt(max(len(self.log_characters) - 3, 1))
        return tanh(atanh(expected) - _SIGNIFICANT_DEVIATIONS * deviation)

    @property
    def is_conclusive(self) -> bool:
        """Whether it would show shuffled texts: lengths vary, in enough utterances."""
        if len(self.log_characters) <= 3:
            return False
        speech_varies = bool(self.log_speech.std() >= 0.5 * self.log_characters.std())
        return speech_varies and self.least > 0

    @property
    def is_too_low(self) -> bool:
        return self.value < self.least
