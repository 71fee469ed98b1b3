"""Checks that find wrong transcripts, wrong sampling rates and silence in a sample of a corpus.

Does not know about files, manifests, models or settings. The bounds lie between values of intact
corpora and of damaged copies of them (docs/lab.md, "the doctor").
"""

from dataclasses import dataclass

from sorigeul.doctor.sample import LONG_SILENCE, SIGNIFICANT_DEVIATIONS, Sample

FATAL_SHARE = 0.1
"""share of a corpus above which a fault prevents training; up to it the fault is a warning"""

_IMPOSSIBLE_RATE = 10.5  # syllables a second of speech; no corpus has so high a median
_FAST_RATE, _HIGH_PITCH = 8.0, 260.0  # syllables a second and Hz; no corpus has both
_SLOW_RATE = 4.5  # syllables a second of speech
_TOO_LOW = 0.6  # of the expected correlation; if half of the texts are shuffled it is about half
_CHANCE = 1.0  # deviations that mean nothing; intact corpora of 200 utterances gave 5 and more
_SILENT_SHARE = 0.1  # of a corpus, with silence around it; Pansori has 0.05 to 0.11 by split
_LEAST_UTTERANCES = 200  # for the association of text and spectra


@dataclass(frozen=True)
class Finding:
    """A fault of the data or the settings."""

    message: str
    """what is wrong, the most likely cause, and the remedy"""
    fatal: bool
    """whether it prevents training; if not, it is a warning"""


def check_corpus(sample: Sample, max_failures: float) -> list[Finding]:
    """Check a sample of a corpus; fatal findings first, the most likely cause first.

    `max_failures` is the share of recordings, of 1, that may be unreadable.
    """
    # In this order, since earlier findings may be the cause of later ones.
    findings = [
        *_check_unreadable(sample, max_failures),
        *_check_silence(sample),
        *_check_speed(sample),
        *_check_texts(sample),
        *_check_bandwidth(sample),
        *_check_silence_around(sample),
    ]
    return sorted(findings, key=lambda finding: not finding.fatal)


def _check_unreadable(sample: Sample, max_failures: float) -> list[Finding]:
    share = len(sample.unreadable) / max(len(sample), 1)
    if not share:
        return []
    message = (
        f"{_count(len(sample.unreadable), sample)} cannot be read, such as {sample.unreadable[0]}"
    )
    return [Finding(message, fatal=share > max_failures or not sample.measured)]


def _check_silence(sample: Sample) -> list[Finding]:
    share = len(sample.silent) / max(len(sample), 1)
    if not share:
        return []
    message = (
        f"{_count(len(sample.silent), sample)} hold silence or steady noise, such as "
        f"{sample.silent[0]}: listen to them; prepare the corpus again from the right channel"
    )
    return [Finding(message, fatal=share > FATAL_SHARE or not sample.measured)]


def _check_speed(sample: Sample) -> list[Finding]:
    rate, pitch = sample.speaking_rate, sample.pitch
    measured = f"{rate:.1f} syllables a second of speech, at a pitch of {pitch:.0f} Hz"
    if rate > _IMPOSSIBLE_RATE or (rate > _FAST_RATE and pitch > _HIGH_PITCH):
        message = (
            f"the recordings hold {measured}, where people say 5 to 9 at 100 to 250 Hz: they play "
            "at about double speed, most likely because they were recorded at 8 kHz and their "
            "headers say 16 kHz (or they have no headers); write the true sampling rate into the "
            "files and prepare again. If they sound right, their transcripts hold more than is "
            "spoken"
        )
        return [Finding(message, fatal=True)]
    if rate < _SLOW_RATE and sample.narrowband_share > 0.5:
        message = (
            f"the recordings hold {measured} and nothing above 4 kHz: listen to some; they may "
            "play at half speed, as 16 kHz audio does if its headers say 8 kHz"
        )
        return [Finding(message, fatal=False)]
    return []


def _check_texts(sample: Sample) -> list[Finding]:
    """Whether the transcripts belong to the recordings."""
    lengths, text_association = sample.length_correlation, sample.text_association
    cause = (
        "texts and recordings do not belong together, most likely because the transcripts are "
        "shuffled or shifted against the files; listen to a few and prepare again"
    )
    too_low = lengths.is_too_low and lengths.value < _TOO_LOW * lengths.expected
    if lengths.is_conclusive and too_low:
        message = (
            f"length of text and length of speech correlate by only {lengths.value:.2f} "
            f"(expected: above {lengths.expected:.2f}): {cause}"
        )
        return [Finding(message, fatal=True)]
    enough = len(sample.measured) >= _LEAST_UTTERANCES
    if enough and text_association < SIGNIFICANT_DEVIATIONS:
        message = (
            "the text does not show in the sound of the recordings "
            f"({text_association:.1f} deviations from chance): {cause}"
        )
        # If the lengths agree, many different speakers and rooms may have masked the text.
        lengths_agree = lengths.is_conclusive and not lengths.is_too_low
        return [Finding(message, fatal=text_association < _CHANCE or not lengths_agree)]
    return []


def _check_bandwidth(sample: Sample) -> list[Finding]:
    if sample.narrowband_share <= FATAL_SHARE:
        return []
    message = (
        f"{100 * sample.narrowband_share:.0f} % of the recordings hold nothing above 4 kHz: "
        "telephone speech, or upsampled from 8 kHz; it can be trained on, but wide-band originals "
        "would do better"
    )
    return [Finding(message, fatal=False)]


def _check_silence_around(sample: Sample) -> list[Finding]:
    found = sample.between_silences
    if len(found) <= _SILENT_SHARE * len(sample.measured):
        return []
    worst = ", ".join(f"{utterance.id} ({utterance.silence:.1f} s)" for utterance in found[:5])
    message = (
        f"{_count(len(found), sample)} begin or end with more than {LONG_SILENCE:g} s without "
        f"speech, most of all {worst}: recognition leaves that out, but training hears it; cut it "
        "off, or train with silence_share 0.3 too"
    )
    return [Finding(message, fatal=False)]


def _count(recordings: int, sample: Sample) -> str:
    return f"{recordings} of {len(sample)} recordings"
