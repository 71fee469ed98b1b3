"""Checks whether settings fit a corpus: enough frames for fast speakers, a complete vocabulary."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lhotse import CutSet, MonoCut

from sorigeul.data import manifests
from sorigeul.data.statistics import ManifestStatistics, manifest_statistics, too_fast_for_ctc
from sorigeul.doctor.corpus_checks import FATAL_SHARE, Finding
from sorigeul.model.config import CTC_REDUCTION
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.settings import Settings


@dataclass(frozen=True)
class TrainingData:
    """The training split of a corpus, as the settings would use it."""

    corpus: Path
    """folder of manifests"""
    cuts: CutSet
    """all of train"""
    statistics: ManifestStatistics
    """of train"""
    sample: Sequence[MonoCut]
    """some cuts of train"""
    vocabulary: Vocabulary


def check_settings(data: TrainingData, settings: Settings) -> list[Finding]:
    """Check that the settings fit the corpus."""
    return [
        *_check_lengths(data),
        *_check_frame_rate(data, settings),
        *_check_vocabulary(data, settings),
    ]


def _check_lengths(data: TrainingData) -> Iterator[Finding]:
    """Whether there are utterances without a length, which have no rate."""
    found = [
        id_ for id_, _, seconds in manifests.as_lazy_cuts(data.cuts).transcripts() if not seconds
    ]
    if found:
        yield Finding(
            f"{len(found)} of {data.statistics.utterances} utterances have no length above 0, such "
            f"as {found[0]}: leave them out with sorigeul data filter --min_duration 0.1",
            fatal=len(found) > FATAL_SHARE * data.statistics.utterances,
        )


def _check_frame_rate(data: TrainingData, settings: Settings) -> Iterator[Finding]:
    """Whether an utterance has more characters than frames for the speller or for CTC."""
    model = settings.model
    rates = [
        len(data.vocabulary.encode_all(manifests.transcript(cut))) / cut.duration
        for cut in data.sample
        if cut.duration
    ]
    if not rates:
        return
    counted = "units" if data.vocabulary.kind == "bpe" else "characters"
    median_rate, fast_rate = np.percentile(rates, [50, 90])
    readers = {model.reduction: "the speller has"}
    if model.ctc_weight > 0:
        same = model.ctc_reduction == model.reduction
        readers[model.ctc_reduction] = "the speller and CTC have" if same else "CTC has"
    for reduction, reader in readers.items():
        frame_rate = settings.features.frames_per_second / reduction
        share, example = _too_fast(data, data.vocabulary, frame_rate)
        if not share:
            continue
        fatal = share > FATAL_SHARE
        consequence = "few enough to do no harm"
        if fatal:
            consequence = _advise_more_frames(data, reduction, settings)
        yield Finding(
            f"{100 * share:.1f} % of the utterances have too much text for the {frame_rate:.4g} "
            f"frames a second that {reader} at {reduction}-fold time_reduction; the median "
            f"utterance has {median_rate:.1f} {counted} a second, a tenth have more than "
            f"{fast_rate:.1f} ({example}): {consequence}",
            fatal,
        )


def _too_fast(data: TrainingData, vocabulary: Vocabulary, frame_rate: float) -> tuple[float, str]:
    """Share of the utterances with more characters than frames, of 1, and one of them."""
    count, example = 0, ""
    for utterance, reason in too_fast_for_ctc(data.cuts, vocabulary, frame_rate):
        count += 1
        example = example or f"{utterance}, {reason.replace('CTC ', '')}"
    return count / data.statistics.utterances, example


def _advise_more_frames(data: TrainingData, reduction: int, settings: Settings) -> str:
    """The first setting that gives frames enough for each character; tried on all utterances."""
    frames_per_second, vocabulary = settings.features.frames_per_second, data.vocabulary
    remedies = []
    if reduction > CTC_REDUCTION:
        remedies.append(("time_reduction 8", vocabulary, frames_per_second / CTC_REDUCTION))
    if vocabulary.kind == "jamo":
        syllables = Vocabulary.named("syllable", data.statistics.characters, 1)
        remedies.append(("vocabulary syllable", syllables, frames_per_second / reduction))
    if frames_per_second < 100:
        remedies.append(("stride 10", vocabulary, 100 / reduction))
    lowest = settings.model.lowest_reduction
    if reduction > lowest:
        unpyramidal = f"use_pyramidal False, which shrinks time {lowest}-fold"
        remedies.append((unpyramidal, vocabulary, frames_per_second / lowest))
    for setting, its_vocabulary, frame_rate in remedies:
        if _too_fast(data, its_vocabulary, frame_rate)[0] <= FATAL_SHARE:
            return f"set {setting}"
    return "nobody speaks so fast: the recordings were cut; prepare again from the whole ones"


def _check_vocabulary(data: TrainingData, settings: Settings) -> Iterator[Finding]:
    """Whether the vocabulary lacks characters of train, dev or test."""
    training = settings.training
    splits: dict[str, Mapping[str, int]] = {"train": data.statistics.characters}
    for split in ("dev", "test"):
        cuts = manifests.manifest(data.corpus, split, settings.data.audio_root)
        if cuts is not None:
            splits[split] = manifest_statistics(cuts).characters
    for split, characters in splits.items():
        missing = data.vocabulary.unknown_characters(characters)
        if not missing:
            continue
        share = sum(missing.values()) / max(sum(characters.values()), 1)
        if training.vocabulary != data.vocabulary.kind:  # a table, not built from train
            remedy = (
                f"{training.vocabulary} lacks them; set vocabulary syllable, which is made of train"
            )
        elif training.min_count > 1:
            remedy = f"lower min_count, which is {training.min_count}"
        else:
            remedy = "train lacks them; split the corpus so that it holds what the others do"
        most_frequent = sorted(missing, key=lambda character: -missing[character])[:20]
        yield Finding(
            f"the vocabulary lacks {100 * share:.2f} % of the text of {split}, "
            f"{len(missing)} different characters that are never recognised "
            f"({' '.join(most_frequent)}): {remedy}",
            fatal=share > FATAL_SHARE,
        )
