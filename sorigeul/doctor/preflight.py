"""Whether a corpus and settings can train, told within minutes: the story of `sorigeul doctor`.

First the environment, then what can be told of the data without training, since that takes seconds
and explains more; then thirty utterances learnt by heart. Knows what the commands print and advise.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from lhotse import CutSet, MonoCut

from sorigeul.base.errors import UserError
from sorigeul.base.progress import progress_bar
from sorigeul.data import manifests
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.statistics import draw_sample, manifest_statistics, too_fast_for_ctc
from sorigeul.doctor.corpus_checks import MANY, Finding, Sample, check_corpus
from sorigeul.doctor.measurements import measure
from sorigeul.doctor.overfit import OVERFIT_LR, PASSED_CRR, Outcome, choose_utterances, overfit
from sorigeul.sound.audio import AudioError
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.settings import Settings
from sorigeul.training.starting_point import start_vocabulary

log = logging.getLogger(__name__)

TIME_LIMIT = 270.0
"""seconds; with the start of the program it is below five minutes"""

_EXAMINED = 400  # utterances
_SHARE_OF_EXAMINATION = 0.3  # of the time, at most: a slow disk must leave some to learn in


def preflight(corpus: Path, settings: Settings, time_limit: float = TIME_LIMIT) -> None:
    """Say whether the manifests in `corpus` can be trained on with these settings.

    Raises UserError with the likeliest cause if not, after `time_limit` seconds at the latest.
    """
    if time_limit <= 0:
        raise UserError(f"time_limit is {time_limit:g}, but must be above 0")
    start = time.monotonic()
    cuts = manifests.required_manifest(corpus, "train", settings.data.audio_root)
    survey = manifest_statistics(cuts)
    vocabulary, pretrained = start_vocabulary(settings, survey.characters)
    drawn = draw_sample(cuts, _EXAMINED, survey.utterances, settings.training.seed)
    sample, usable = _examine(drawn, _SHARE_OF_EXAMINATION * time_limit)
    print(
        f"train: {survey.utterances:,} utterances, {survey.seconds / 3600:.2f} h, vocabulary of "
        f"{len(vocabulary):,} ({vocabulary.kind}); {len(sample)} of them examined"
    )
    for line in _describe_sample(sample):
        print(line, flush=True)
    found = check_corpus(sample, settings.training.max_failures)
    if not any(one.fatal for one in found):  # from which the rest would only follow
        found += _too_fast(cuts, survey.utterances, drawn, vocabulary, settings)
        found += _vocabulary_gaps(corpus, survey.characters, vocabulary, settings)
    fatal = [one.says for one in found if one.fatal]
    for one in found:
        if one.says not in fatal[:1]:
            log.warning("%s", one.says)
    if fatal:
        raise UserError(fatal[0])
    few = choose_utterances(usable)
    if not few:
        raise UserError(f"{corpus}: none of {len(drawn)} utterances of train has sound and text")
    print(
        f"learning {len(few)} utterances by heart, {sum(cut.duration for cut in few):.0f} s of "
        "sound, without dropout, smoothing or augmentation",
        flush=True,
    )
    outcome = overfit(
        few, vocabulary, settings, time_limit - (time.monotonic() - start), pretrained
    )
    print(_describe_outcome(outcome))
    if not outcome.learnt:
        raise UserError(why_not(outcome, settings))
    print("fit to train")


# The data.


def _examine(cuts: Sequence[MonoCut], seconds: float) -> tuple[Sample, list[MonoCut]]:
    """Listen to the cuts, within so many seconds; those fit to be learnt are returned as well."""
    heard, silent, unreadable, usable = [], [], [], []
    deadline = time.monotonic() + seconds
    with progress_bar("examining", len(cuts)) as advance:
        for number, cut in enumerate(cuts, 1):
            advance(1, "")
            try:
                figures_of_it = measure(cut.id, manifests.text(cut), load_cut_audio(cut))
            except AudioError as error:
                unreadable.append(str(error))
            else:
                if figures_of_it.is_silent:
                    silent.append(cut.id)
                elif figures_of_it.characters:
                    heard.append(figures_of_it)
                    usable.append(cut)
            if time.monotonic() > deadline and number < len(cuts):
                log.warning("recordings are slow to read: %d of %d examined", number, len(cuts))
                break
    return Sample(heard, silent, unreadable), usable


def _describe_sample(sample: Sample) -> Iterator[str]:
    """The figures that the judgement rests on."""
    if not sample.heard:
        return
    lengths = sample.lengths
    yield (
        f"  {sample.rate:.1f} syllables a second of speech, at {sample.pitch:.0f} Hz; "
        f"{100 * sample.narrow:.0f} % without sound above 4 kHz"
    )
    yield (
        f"  length of text and of speech correlate by {lengths.correlation:.2f} (expected: above "
        f"{lengths.expected:.2f}); text shows in the sound by "
        f"{sample.text_association:.1f} deviations"
    )


def _too_fast(
    cuts: CutSet,
    utterances: int,
    drawn: Sequence[MonoCut],
    vocabulary: Vocabulary,
    settings: Settings,
) -> Iterator[Finding]:
    """Whether text comes faster than the frames that the speller attends to, or that CTC reads."""
    model, features = settings.model, settings.features
    paces = [len(vocabulary.split(manifests.text(cut))) / cut.duration for cut in drawn]
    middle, fast = np.percentile(paces, [50, 90])
    readers = {model.reduction: "the speller has"}
    if model.ctc_weight > 0:
        same = model.ctc_reduction == model.reduction
        readers[model.ctc_reduction] = "the speller and CTC have" if same else "CTC has"
    for reduction, reader in readers.items():
        rate = features.frames_per_second / reduction
        count, example = 0, ""
        for name, reason in too_fast_for_ctc(cuts, vocabulary, rate):
            count, example = count + 1, example or f"{name}, {reason.replace('CTC ', '')}"
        if not count:
            continue
        many = count > MANY * utterances
        yield Finding(
            f"{100 * count / utterances:.1f} % of the utterances are spoken too fast for the "
            f"{rate:.4g} frames a second that {reader} at {reduction}-fold time_reduction; the "
            f"middle utterance has {middle:.1f} characters a second, those of fast speakers "
            f"{fast:.1f} ({example}): "
            + (
                _more_frames_advice(reduction, vocabulary, settings)
                if many
                else "few enough to do no harm"
            ),
            many,
        )


def _more_frames_advice(reduction: int, vocabulary: Vocabulary, settings: Settings) -> str:
    """How to get more frames to a character."""
    if reduction > 8:
        return "set time_reduction 8"
    if vocabulary.kind == "jamo":
        return "set vocabulary syllable, or use_pyramidal False, which shrinks time 4-fold"
    if settings.features.frames_per_second < 100:
        return "set stride 10"
    return "set use_pyramidal False, which shrinks time 4-fold"


def _vocabulary_gaps(
    corpus: Path, train: Mapping[str, int], vocabulary: Vocabulary, settings: Settings
) -> Iterator[Finding]:
    """Text that the vocabulary lacks."""
    built = settings.training.vocabulary == vocabulary.kind
    splits: dict[str, Mapping[str, int]] = {"train": train}
    for split in ("dev", "test"):
        if (cuts := manifests.manifest(corpus, split, settings.data.audio_root)) is not None:
            splits[split] = manifest_statistics(cuts).characters
    for split, characters in splits.items():
        unknown = vocabulary.unknown_characters(characters)
        share = sum(unknown.values()) / max(sum(characters.values()), 1)
        if not unknown:
            continue
        if not built:
            remedy = (
                f"{settings.training.vocabulary} lacks them; set vocabulary syllable, or normalise "
                "the transcripts as its own were"
            )
        elif settings.training.min_count > 1:
            remedy = f"lower min_count, which is {settings.training.min_count}"
        else:
            remedy = "train lacks them; split the corpus so that it holds what the others do"
        listed = " ".join(sorted(unknown, key=lambda one: -unknown[one])[:20])
        yield Finding(
            f"the vocabulary lacks {100 * share:.2f} % of the text of {split}, "
            f"{len(unknown)} different characters that are never recognised ({listed}): {remedy}",
            share > MANY,
        )


# The learning.


def _describe_outcome(outcome: Outcome) -> str:
    ctc = "" if outcome.ctc_crr is None else f", {outcome.ctc_crr:.1f} % of the CTC head"
    return (
        f"{'learnt' if outcome.learnt else 'not learnt'} in {outcome.seconds:.0f} s, "
        f"{outcome.epochs} epochs at lr {outcome.lr:g}: CRR {outcome.crr:.1f} % of the speller{ctc}"
        f" (teacher-forced {outcome.forced_crr:.1f} %, loss {outcome.loss:.2f})"
    )


def why_not(outcome: Outcome, settings: Settings) -> str:
    """The likeliest reason why utterances that are sound were not learnt, and the remedy."""
    model, few = settings.model, f"{outcome.utterances} utterances"
    guide = "guide_weight 2, with ctc_weight 0.3 (which wants input_reverse False)"
    if not outcome.finite:
        return (
            f"the loss did not stay finite on {few}: lower lr (it is {outcome.lr:g}) or "
            "max_grad_norm, or set precision float32"
        )
    if outcome.learnt_by_ctc:
        advice = "raise guide_weight" if model.guide_weight else f"set {guide}"
        return (
            f"the CTC head knows {few} by heart (CRR {outcome.ctc_crr:.0f} %) and the speller does "
            f"not ({outcome.crr:.0f} %): its attention found no alignment; {advice}, and "
            "score_function dot"
        )
    if outcome.lr > OVERFIT_LR and not outcome.falling:
        return f"{few} could not be learnt by heart at lr {outcome.lr:g}: set lr 0.001"
    if outcome.forced_crr >= PASSED_CRR and not model.guide_weight:
        return (
            f"the speller knows {few} only while it is told each character before (teacher-forced "
            f"{outcome.forced_crr:.0f} %, free-running {outcome.crr:.0f} %): its attention found "
            f"no alignment; set {guide}"
        )
    if outcome.falling:
        return (
            f"{outcome.seconds:.0f} s were too short to learn {few} by heart (CRR "
            f"{outcome.crr:.0f} %, the loss still falls): raise --time_limit, leave the machine "
            "free for it, or choose a smaller hidden_size"
        )
    return (
        f"{few} could not be learnt by heart (CRR {outcome.crr:.0f} %, the loss stands at "
        f"{outcome.loss:.2f}): see the warnings if there are any, listen to some recordings with "
        "their texts, and try --preset small"
    )
