"""What can ail a corpus, told from figures of a few hundred of its utterances.

Knows sound and text; nothing of files, manifests, models or settings. Every bound below stands
between what sound corpora gave and what damaged copies of them gave (docs/lab.md, "the doctor").
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

MANY = 0.1
"""share of a corpus from which on an ailment keeps it from training; below it is a warning"""
_NARROW = -35.0  # dB above 4.3 kHz against 2.5 to 3.5 kHz
_FASTEST = 10.5  # syllables a second of speech that no corpus has in the middle
_FAST, _HIGH = 8.0, 260.0  # syllables a second and Hz that none has both
_SLOW = 4.5
_UTTERANCES_TO_JUDGE = 10
_RATE_SPREAD = 0.3
"""deviation of the logarithm of syllables a second from utterance to utterance; 0.24 in Pansori"""
_DEVIATIONS = 3.0  # before a correlation counts as too low, or as there at all
_TOO_LOW = 0.6  # of the expected correlation; where half of the texts are shuffled it is about half
_CHANCE = 1.0  # deviations that are none; sound corpora of 200 utterances gave 5 and more
_UTTERANCES_TO_HEAR = 200  # before the sound of the letters can be told
_UNITS, _COMPONENTS, _PERMUTATIONS = 60, 20, 200


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with data or settings, in words."""

    says: str
    """what, the likeliest cause and the remedy"""
    fatal: bool
    """false: training can work all the same"""


@dataclass(frozen=True, eq=False)
class Sample:
    """What is known of some utterances of a corpus."""

    heard: Sequence[Measurements]
    """those with sound and text"""
    silent: Sequence[str] = ()
    unreadable: Sequence[str] = ()
    """reasons"""

    def __len__(self) -> int:
        return len(self.heard) + len(self.silent) + len(self.unreadable)

    @cached_property
    def rate(self) -> float:
        """Syllables a second of speech, of the middle utterance; nan of too few."""
        rates = [one.characters / one.speech for one in self.heard if one.is_hangul]
        return float(np.median(rates)) if len(rates) >= _UTTERANCES_TO_JUDGE else nan

    @cached_property
    def pitch(self) -> float:
        """Hz, of the middle utterance; nan of too few."""
        pitches = [one.pitch for one in self.heard if not np.isnan(one.pitch)]
        return float(np.median(pitches)) if len(pitches) >= _UTTERANCES_TO_JUDGE else nan

    @cached_property
    def narrow(self) -> float:
        """Share of the utterances that have nothing above 4 kHz."""
        return sum(one.treble < _NARROW for one in self.heard) / max(len(self.heard), 1)

    @cached_property
    def lengths(self) -> "Lengths":
        logs = np.log([(one.characters, one.speech) for one in self.heard]).reshape(-1, 2)
        return Lengths(logs[:, 0], logs[:, 1])

    @cached_property
    def text_association(self) -> float:
        """By how many deviations the sound depends more on the text than if they were shuffled."""
        if not self.heard:
            return 0.0
        return association(
            jamo_shares([one.text for one in self.heard]),
            np.array([one.colour for one in self.heard]),
        )


@dataclass(frozen=True, eq=False)
class Lengths:
    """Logarithms of the characters and of the seconds of speech, utterance by utterance."""

    text: Array
    speech: Array

    @cached_property
    def correlation(self) -> float:
        if len(self.text) < 2 or not (self.text.std() and self.speech.std()):
            return 0.0
        return float(np.corrcoef(self.text, self.speech)[0, 1])

    @cached_property
    def expected(self) -> float:
        """The least correlation of texts that vary as these do, said at paces as unequal as any."""
        spread = float(self.text.std()) if len(self.text) else 0.0
        return spread / sqrt(spread**2 + _RATE_SPREAD**2)

    @property
    def tell(self) -> bool:
        """Whether shuffled texts would show: both vary, and the utterances are many enough."""
        varied = len(self.text) > 3 and self.speech.std() >= 0.5 * self.text.std()
        return bool(varied) and self._short_of(0.0)

    @property
    def short(self) -> bool:
        """Whether they correlate significantly less than expected."""
        return self._short_of(self.correlation)

    def _short_of(self, correlation: float) -> bool:
        """Whether a correlation is significantly lower than expected (Fisher 1915)."""
        gap = atanh(self.expected) - atanh(min(correlation, 0.999))
        return gap > _DEVIATIONS / sqrt(max(len(self.text) - 3, 1))


def jamo_shares(texts: Sequence[str]) -> Array:
    """The share of each of the most frequent jamo and letters in each text (B, L)."""
    counts = [Counter(unicodedata.normalize("NFD", "".join(text.split()))) for text in texts]
    frequent = [unit for unit, _ in sum(counts, Counter[str]()).most_common(_UNITS)]
    rows = [[count[unit] / max(count.total(), 1) for unit in frequent] for count in counts]
    return np.array(rows, float).reshape(len(texts), -1)


def association(causes: Array, effects: Array, seed: int = 0) -> float:
    """How much of the effects (B, E) a ridge regression on the causes (B, C) explains.

    In deviations above what it explains of permuted effects: some 0 of what does not belong
    together.
    """
    count = len(causes)
    if count < 3:
        return 0.0
    random = np.random.default_rng(seed)
    scaled = [(part - part.mean(0)) / (part.std(0) + 1e-3) for part in (causes, effects)]
    basis, size, _ = np.linalg.svd(scaled[0], full_matrices=False)
    basis *= np.sqrt(size**2 / (size**2 + count))
    # The effects whitened, so that what is loud in all of them, such as the room, does not rule.
    whitened = np.linalg.svd(scaled[1], full_matrices=False)[0][:, :_COMPONENTS]

    def explained(order: npt.NDArray[np.intp]) -> float:
        return float(np.square(basis.T @ whitened[order]).sum())

    chance = [explained(random.permutation(count)) for _ in range(_PERMUTATIONS)]
    return (explained(np.arange(count)) - float(np.mean(chance))) / (float(np.std(chance)) + 1e-9)


# Judgements, the causes of others first.


def check_corpus(sample: Sample, max_failures: float) -> list[Finding]:
    """What ails a sample of a corpus; the likeliest cause first."""
    found = [
        *_unreadable(sample, max_failures),
        *_silent(sample),
        *_wrong_speed(sample),
        *_mismatched(sample),
        *_narrow(sample),
    ]
    return sorted(found, key=lambda one: not one.fatal)


def _unreadable(sample: Sample, max_failures: float) -> list[Finding]:
    share = len(sample.unreadable) / max(len(sample), 1)
    if not share:
        return []
    says = f"{_of(len(sample.unreadable), sample)} cannot be read, such as {sample.unreadable[0]}"
    return [Finding(says, share > max_failures or not sample.heard)]


def _silent(sample: Sample) -> list[Finding]:
    share = len(sample.silent) / max(len(sample), 1)
    if not share:
        return []
    says = (
        f"{_of(len(sample.silent), sample)} hold silence or steady noise, such as "
        f"{sample.silent[0]}: listen to them; prepare the corpus again from the right channel"
    )
    return [Finding(says, share > MANY or not sample.heard)]


def _wrong_speed(sample: Sample) -> list[Finding]:
    rate, pitch = sample.rate, sample.pitch
    sounds = f"{rate:.1f} syllables a second of speech, at a pitch of {pitch:.0f} Hz"
    if rate > _FASTEST or (rate > _FAST and pitch > _HIGH):
        says = (
            f"the recordings hold {sounds}, where people say 5 to 9 at 100 to 250 Hz: they play at "
            "about double speed, likeliest since they were recorded at 8 kHz and their headers say "
            "16 kHz (or headerless PCM does); write the true sampling rate into the files and "
            "prepare again. If they sound right, their transcripts hold more than is said"
        )
        return [Finding(says, fatal=True)]
    if rate < _SLOW and sample.narrow > 0.5:
        says = (
            f"the recordings hold {sounds} and nothing above 4 kHz: listen whether they play at "
            "half speed, as 16 kHz audio does whose headers say 8 kHz"
        )
        return [Finding(says, fatal=False)]
    return []


def _mismatched(sample: Sample) -> list[Finding]:
    lengths, text_association = sample.lengths, sample.text_association
    enough = len(sample.heard) >= _UTTERANCES_TO_HEAR
    remedy = (
        "texts and recordings do not belong together, likeliest since the transcripts are shuffled "
        "or shifted against the files; listen to a few and prepare again"
    )
    if lengths.tell:
        says = (
            "how much is said and how long it takes correlate by only "
            f"{lengths.correlation:.2f} (speech of such lengths: above {lengths.expected:.2f})"
        )
        if lengths.short and lengths.correlation < _TOO_LOW * lengths.expected:
            return [Finding(f"{says}: {remedy}", fatal=True)]
    if enough and text_association < _DEVIATIONS:
        says = (
            "what is said does not show in the sound of the recordings "
            f"({text_association:.1f} deviations from chance)"
        )
        # Where lengths agree, a crowd of speakers and rooms may have drowned the letters.
        fatal = text_association < _CHANCE or lengths.short or not lengths.tell
        return [Finding(f"{says}: {remedy}", fatal)]
    return []


def _narrow(sample: Sample) -> list[Finding]:
    if sample.narrow <= MANY:
        return []
    says = (
        f"{100 * sample.narrow:.0f} % of the recordings hold nothing above 4 kHz: telephone "
        "speech, or upsampled from 8 kHz; it can be trained on, wide-band originals would do better"
    )
    return [Finding(says, fatal=False)]


def _of(count: int, sample: Sample) -> str:
    return f"{count} of {len(sample)} recordings"
