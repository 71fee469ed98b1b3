"""Checks whether a corpus can be trained on with given settings: the work of `sorigeul doctor`.

Cheap checks of the data come first, since they take seconds and name a cause; the overfit test on
thirty utterances comes last.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path

from lhotse import MonoCut

from sorigeul.base.errors import UserError
from sorigeul.base.printable import printable
from sorigeul.base.progress import progress_bar
from sorigeul.data import manifests
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.statistics import draw_sample, manifest_statistics
from sorigeul.doctor.corpus_checks import USUAL_MISFIT, Finding, check_corpus
from sorigeul.doctor.measurements import Measurements, measure
from sorigeul.doctor.overfit import Clock, choose_utterances, overfit
from sorigeul.doctor.overfit_diagnosis import describe_outcome, explain_failure
from sorigeul.doctor.sample import LONG_SILENCE, Sample
from sorigeul.doctor.settings_checks import TrainingData, check_settings
from sorigeul.doctor.shifted_texts import Shift, find_shift
from sorigeul.doctor.text_fit import misfit
from sorigeul.sound.audio import AudioError
from sorigeul.training.settings import Settings
from sorigeul.training.starting_point import start_vocabulary, with_encoder

log = logging.getLogger(__name__)

TIME_LIMIT = 270.0
"""seconds; with the start of the program it is below five minutes"""

_SAMPLE_SIZE = 400  # utterances
_MEASURING_SHARE = 0.3  # of the time, at most: a slow disk must leave some for the overfit test
_DATA_SHARE = 0.5  # of the time, after which no shift of texts is looked for any more


def preflight(
    corpus: Path,
    settings: Settings,
    time_limit: float = TIME_LIMIT,
    clock: Clock = time.monotonic,
) -> None:
    """Print whether the manifests in `corpus` can be trained on with these settings.

    Raises UserError with the most likely cause if not, after `time_limit` seconds at the latest.
    """
    if time_limit <= 0:
        raise UserError(f"time_limit is {time_limit:g}, but must be above 0")
    start = clock()
    cuts = manifests.required_manifest(corpus, "train", settings.data.audio_root)
    statistics = manifest_statistics(cuts)
    settings = with_encoder(settings, None)
    vocabulary, pretrained = start_vocabulary(settings, statistics.characters, cuts)
    drawn = draw_sample(cuts, _SAMPLE_SIZE, statistics.utterances, settings.training.seed)
    sample, usable = _measure_sample(drawn, _MEASURING_SHARE * time_limit, clock)
    print(
        f"train: {statistics.utterances:,} utterances, {statistics.seconds / 3600:.2f} h, "
        f"vocabulary of {len(vocabulary):,} ({vocabulary.kind}); {len(sample)} of them examined"
    )
    for line in _describe_sample(sample):
        print(printable(line), flush=True)
    shift = _find_shift(corpus, sample, lambda: clock() - start > _DATA_SHARE * time_limit)
    findings = check_corpus(sample, settings.training.max_failures, shift)
    if not any(finding.fatal for finding in findings):  # which would cause the others
        data = TrainingData(corpus, cuts, statistics, drawn, vocabulary)
        findings += check_settings(data, settings)
    _report(findings)
    chosen = choose_utterances(usable)
    if not chosen:
        raise UserError(f"{corpus}: none of {len(drawn)} utterances of train has sound and text")
    print(
        f"overfit test on {len(chosen)} utterances, {sum(cut.duration for cut in chosen):.0f} s of "
        "sound, without dropout, label smoothing or augmentation",
        flush=True,
    )
    time_left = time_limit - (clock() - start)
    outcome = overfit(chosen, vocabulary, settings, time_left, pretrained, clock)
    print(describe_outcome(outcome))
    if not outcome.passed:
        raise UserError(explain_failure(outcome, settings))
    print("fit to train")


def _report(findings: Sequence[Finding]) -> None:
    """Log the findings as warnings; the first fatal one is raised as UserError instead."""
    fatal = [finding.message for finding in findings if finding.fatal]
    for finding in findings:
        if finding.message not in fatal[:1]:
            log.warning("%s", finding.message)
    if fatal:
        raise UserError(fatal[0])


def _measure_sample(
    cuts: Sequence[MonoCut], seconds: float, clock: Clock
) -> tuple[Sample, list[MonoCut]]:
    """Load and measure the cuts, until `seconds` have passed.

    Returns what was measured, and the cuts that have sound and text.
    """
    measured, silent, wordless, unreadable, usable = [], [], [], [], []
    deadline = clock() + seconds
    with progress_bar("examining", len(cuts)) as advance:
        for number, cut in enumerate(cuts, 1):
            advance(1, "")
            try:
                measurements = _measure(cut)
            except AudioError as error:
                unreadable.append(str(error))
            else:
                if measurements.quality.has_no_speech:
                    silent.append(cut.id)
                elif measurements.characters:
                    measured.append(measurements)
                    usable.append(cut)
                else:
                    wordless.append(cut.id)
            if clock() > deadline and number < len(cuts):
                log.warning("recordings are slow to read: %d of %d examined", number, len(cuts))
                break
    return Sample(measured, silent, wordless, unreadable), usable


def _measure(cut: MonoCut) -> Measurements:
    text, speaker = manifests.transcript(cut), manifests.speaker(cut)
    return measure(cut.id, text, load_cut_audio(cut), speaker)


def _find_shift(corpus: Path, sample: Sample, time_is_up: Callable[[], bool]) -> Shift | None:
    """What explains texts that do not fit, looked for only if there are any: it takes a while."""
    fit = sample.text_fit
    if fit is None or misfit(fit.doubts) <= USUAL_MISFIT:
        return None
    print("some texts do not fit their recordings: looking for rows that have moved", flush=True)
    return find_shift(corpus, fit, time_is_up)


def _describe_sample(sample: Sample) -> Iterator[str]:
    """The statistics that the checks of the corpus use, as lines to print."""
    if not sample.measured:
        return
    yield f"  {', '.join(_describe_speech(sample))}"
    silences = sample.between_silences
    longest = f", {silences[0].id} with {silences[0].silence:.1f} s most of all" if silences else ""
    yield (
        f"  {len(silences)} begin or end with more than {LONG_SILENCE:g} s without speech{longest}"
    )
    lengths, fit = sample.length_correlation, sample.text_fit
    if lengths.is_conclusive:
        yield (
            f"  length of text and length of speech correlate by {lengths.value:.2f} (expected: "
            f"{lengths.least:.2f} or more)"
        )
    if fit is not None:
        yield (
            f"  {100 * misfit(fit.doubts):.0f} % of the texts fit no better than others of their "
            f"length (expected: {100 * USUAL_MISFIT:.0f} % or less)"
        )
    else:
        yield "  texts are too few, too short or too noisy to be aligned with the recordings"


def _describe_speech(sample: Sample) -> Iterator[str]:
    if isfinite(sample.speaking_rate):  # not of a few utterances, nor of other scripts
        yield f"{sample.speaking_rate:.1f} syllables a second of speech"
    if isfinite(sample.pitch):
        yield f"a pitch of {sample.pitch:.0f} Hz"
    yield f"{100 * sample.narrowband_share:.0f} % without sound above 4 kHz"
