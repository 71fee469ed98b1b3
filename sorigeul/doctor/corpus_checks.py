"""Checks that find wrong transcripts, wrong sampling rates and silence in a sample of a corpus.

Does not know about files, manifests, models or settings. The bounds lie between values of intact
corpora and of damaged copies of them (docs/lab.md, "the doctor").
"""

from dataclasses import dataclass

import numpy as np

from sorigeul.doctor.sample import LONG_SILENCE, Sample
from sorigeul.doctor.shifted_texts import Shift
from sorigeul.doctor.text_fit import misfit

FATAL_SHARE = 0.1
"""share of a corpus above which a fault prevents training; up to it the fault is a warning"""

USUAL_MISFIT = 0.1
"""share of texts that may be doubted; 0 to 0.05 in intact corpora, 0.09 with noise at 20 dB"""

_FATAL_MISFIT = 0.25  # half of the texts shuffled gave 0.45 to 0.9
_IMPOSSIBLE_RATE = 10.5  # syllables a second of speech; no corpus has so high a median
_FAST_RATE, _HIGH_PITCH = 8.0, 260.0  # syllables a second and Hz; no corpus has both
_DOUBLE_PITCH = 190.0  # Hz; no corpus of men and women reaches it, men at double speed do
_SLOW_RATE = 4.5  # syllables a second of speech
_TOO_LOW = 0.6  # of the least correlation; if half of the texts are shuffled it is about half
_SILENT_SHARE = 0.1  # of a corpus, with silence around it; Pansori has 0.05 to 0.11 by split
_NAMED = 5  # ids and speakers, at most


@dataclass(frozen=True)
class Finding:
    """A fault of the data or the settings."""

    message: str
    """what is wrong, the most likely cause, and the remedy"""
    fatal: bool
    """whether it prevents training; if not, it is a warning"""


def check_corpus(sample: Sample, max_failures: float, shift: Shift | None = None) -> list[Finding]:
    """Check a sample of a corpus; fatal findings first, the most likely cause first.

    `max_failures` is the share of recordings, of 1, that may be unreadable, and `shift` what
    explains why texts do not fit, if it is known.
    """
    truncation, texts = _check_truncation(sample), _check_texts(sample, shift)
    speed = _check_speed(sample)
    if (texts or speed) and not any(finding.fatal for finding in truncation):
        truncation = []  # some are too short for the texts of others, or at double speed
    # In this order, since earlier findings may be the cause of later ones.
    findings = [
        *_check_unreadable(sample, max_failures),
        *_check_silence(sample),
        *_check_wordless(sample),
        *truncation,
        *speed,
        *texts,
        *_check_bandwidth(sample),
        *_check_silence_around(sample),
    ]
    return sorted(findings, key=lambda finding: not finding.fatal)


def _check_unreadable(sample: Sample, max_failures: float) -> list[Finding]:
    share = len(sample.unreadable) / max(len(sample), 1)
    if not share:
        return []
    message = (
        f"{_count(len(sample.unreadable), sample)} cannot be read, such as "
        f"{sample.unreadable[0]}: copy them again, or prepare again with --check audio, which "
        "leaves them out"
    )
    return [Finding(message, fatal=share > max_failures or not sample.measured)]


def _check_silence(sample: Sample) -> list[Finding]:
    share = len(sample.silent) / max(len(sample), 1)
    if not share:
        return []
    fatal = share > FATAL_SHARE or not sample.measured
    # A few are slips; so many have one cause.
    remedy = (
        "prepare the corpus again from the channel that has speech" if fatal else "leave them out"
    )
    message = (
        f"{_count(len(sample.silent), sample)} hold silence or steady noise, such as "
        f"{sample.silent[0]}: {remedy}"
    )
    return [Finding(message, fatal)]


def _check_wordless(sample: Sample) -> list[Finding]:
    share = len(sample.wordless) / max(len(sample), 1)
    if not share:
        return []
    message = (
        f"{_count(len(sample.wordless), sample)} have speech and no text, such as "
        f"{sample.wordless[0]}: write their texts, or leave them out with sorigeul data filter "
        "--text '\\S'"
    )
    return [Finding(message, fatal=share > FATAL_SHARE or not sample.measured)]


def _check_truncation(sample: Sample) -> list[Finding]:
    found = sample.truncated
    if not found:
        return []
    message = (
        f"{_count(len(found), sample)} are too short for their texts, most of all {found[0].id} "
        f"({found[0].rate:.0f} syllables a second of speech, where people say 5 to 9): they were "
        "cut off; prepare again from the whole recordings"
    )
    return [Finding(message, fatal=len(found) > FATAL_SHARE * len(sample))]


def _check_speed(sample: Sample) -> list[Finding]:
    rate, pitch = sample.speaking_rate, sample.pitch  # nan fails every comparison
    measured = f"{rate:.1f} syllables a second of speech, at a pitch of {pitch:.0f} Hz"
    if (rate > _IMPOSSIBLE_RATE and pitch > _DOUBLE_PITCH) or (
        rate > _FAST_RATE and pitch > _HIGH_PITCH
    ):
        message = (
            f"the recordings hold {measured}, where people say 5 to 9 at 100 to 250 Hz: they play "
            "at about double speed, most likely because they were recorded at 8 kHz and their "
            "headers say 16 kHz (or they have no headers); write the true sampling rate into the "
            "files and prepare again"
        )
        return [Finding(message, fatal=True)]
    if rate > _IMPOSSIBLE_RATE:
        message = (
            f"the texts have {rate:.1f} syllables for each second of speech, where people say 5 to "
            "9: they hold more than is spoken, most likely because the recordings were cut; "
            "prepare again from the whole recordings"
        )
        return [Finding(message, fatal=True)]
    if rate < _SLOW_RATE and sample.narrowband_share > 0.5:
        message = (
            f"the recordings hold {measured} and nothing above 4 kHz: listen to some; they may "
            "play at half speed, as 16 kHz audio does if its headers say 8 kHz"
        )
        return [Finding(message, fatal=False)]
    return []


def _check_texts(sample: Sample, shift: Shift | None) -> list[Finding]:
    """Whether the transcripts belong to the recordings."""
    lengths, fit = sample.length_correlation, sample.text_fit
    lengths_are_wrong = lengths.is_conclusive and lengths.is_too_low
    measured = (
        f"length of text and length of speech correlate by only {lengths.value:.2f} "
        f"(expected: {lengths.least:.2f} or more)"
    )
    if fit is None:
        if not lengths_are_wrong:
            return []
        message = (
            f"{measured}: texts and recordings do not belong together, most likely because the "
            "transcripts are shuffled or shifted against the files; listen to a few and prepare "
            "again"
        )
        return [Finding(message, fatal=lengths.value < _TOO_LOW * lengths.least)]
    share, speakers = misfit(fit.doubts), sample.doubted_speakers
    doubted = [fit.utterances[number].id for number in np.argsort(-np.nan_to_num(fit.doubts))]
    examples = ", ".join(doubted[:_NAMED])
    counted = f"about {100 * share:.0f} % of the texts do not belong to their recordings"
    if shift is not None:
        rows = f"{abs(shift.rows)} row{'s' if abs(shift.rows) > 1 else ''}"
        message = (
            f"{counted}: {100 * shift.share:.0f} % of the recordings have their text {rows} "
            f"{'before' if shift.rows < 0 else 'after'} their own in the order of the {shift.order}"
            f", between {shift.first} and {shift.last}; a line was "
            f"{'lost' if shift.rows < 0 else 'added'} in the texts there: put it right in the "
            "source and prepare again"
        )
        return [Finding(message, fatal=True)]
    if speakers:
        message = (
            f"{counted}, those of the speakers {', '.join(speakers[:_NAMED])} most of all (such as "
            f"{examples}): their transcripts are shuffled or of other files; put them right and "
            "prepare again"
        )
        return [Finding(message, fatal=share > _FATAL_MISFIT)]
    if share > USUAL_MISFIT:
        message = (
            f"{counted} (such as {examples}): the transcripts are shuffled or of other files; "
            "listen to those named, put the transcripts right and prepare again"
        )
        return [Finding(message, fatal=share > _FATAL_MISFIT)]
    if lengths_are_wrong:
        message = (
            f"{measured}, although the texts fit: some recordings hold more than their texts, or "
            f"pauses that are long, such as {', '.join(_most_unusual_rates(sample))}: listen to "
            "those"
        )
        return [Finding(message, fatal=False)]
    return []


def _most_unusual_rates(sample: Sample) -> list[str]:
    rates = np.log([utterance.rate for utterance in sample.whole])
    order = np.argsort(-np.abs(rates - np.median(rates)))
    return [sample.whole[number].id for number in order[:_NAMED]]


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
        "off"
    )
    return [Finding(message, fatal=False)]


def _count(recordings: int, sample: Sample) -> str:
    return f"{recordings} of {len(sample)} recordings"
