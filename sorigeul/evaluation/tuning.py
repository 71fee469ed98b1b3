"""Tuning: weights of the search, and the calibration of confidences, from a dev split.

As minimum error rate training (Och 2003): a search with some weights gives the best texts of each
utterance, with what each scorer gives them. Those weights are chosen that let the fewest errors be
expected among these texts; a search with them gives further texts, and so on. So the models run a
few times only, whatever the number of weights tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from sorigeul.base.progress import progress_bar
from sorigeul.data.batches import Batch, Failure
from sorigeul.evaluation.calibration import correct_shares, correct_words
from sorigeul.evaluation.encoded_corpus import EncodedCorpus
from sorigeul.evaluation.scores import Score, score, squeeze
from sorigeul.recognition.confidence import Calibration, ConfidenceCalibration, fit_calibration
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.transcription import Transcription
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.search.options import BEAM_WIDTH, SearchOptions

_SEARCHES = 3
_TEXTS = 32  # of each utterance and search, to choose from
_STEP_SIZES = (0.08, 0.04, 0.02, 0.01)  # of the range of a weight
_STEPS = 200  # of each size
_NARROWER = (BEAM_WIDTH, 2 * BEAM_WIDTH)
"""beams that are tried in the place of `LM_BEAM_WIDTH`; the wider, the longer a search takes"""
_MORE_CHARACTERS, _MORE_WORDS = 0.05, 0.25  # in %, that such a beam may get wrong
_SHARPNESS = 4.0  # of the probabilities of texts: the larger, the more the best alone counts
_INTERNAL_LM_WEIGHT = 0.1  # at least, to begin with, beside a language model
_LEAST_WEIGHT = 0.001  # of what must be scored to be weighed; 0 in the end

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class TunedResult:
    """The best search that was found, and how good it is."""

    options: SearchOptions
    calibration: ConfidenceCalibration
    before: Score
    """with the options before tuning"""
    after: Score
    searches: int
    """how often the utterances were searched"""
    failures: list[Failure]
    """utterances that were left out because their audio could not be read"""


@dataclass
class _Utterance:
    """The texts that were found for an utterance so far."""

    reference: str
    seen: set[tuple[int, ...]] = field(default_factory=set)
    features: list[list[float]] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)

    def add(self, tokens: tuple[int, ...], features: list[float], text: str) -> None:
        if tokens not in self.seen:
            self.seen.add(tokens)
            self.features.append(features)
            self.errors.append(Levenshtein.distance(squeeze(self.reference), squeeze(text)))


def tune(
    recognizer: Recognizer, batches: Sequence[Batch], normalizer: str, beam: int = 0
) -> TunedResult:
    """Find the search options and the calibration for the utterances of `batches`.

    The character error rate with spaces counts, so that words count too. The recogniser's own
    options are the first that are tried, and stay if none are better; its language models take
    part. Without `beam`, the narrowest is found that is as good as the one that is usual beside a
    language model. Utterances whose audio cannot be read are left out. Raises UserError if that is
    all of them, or if no transcript has a character.
    """
    corpus = EncodedCorpus.encode(recognizer, batches)
    if not corpus.pairs:
        corpus.refuse_failures()
    utterances = [_Utterance(text) for text in corpus.references]
    decode = recognizer.pretrained.vocabulary.decode
    start = replace(recognizer.setup.options, beam=recognizer.search.width)
    tried: dict[SearchOptions, Score] = {}

    def search(options: SearchOptions, label: str) -> list[list[Hypothesis]]:
        found = corpus.search(recognizer, replace(recognizer.search, options=options), label)
        texts = [decode(ranked[0].tokens) for ranked in found]
        tried[replace(options, nbest=1)] = score(corpus.references, texts, normalizer)
        return found

    fitted = _first_to_fit(recognizer, beam)
    if fitted != start:
        search(start, "search as it is")
    has_ctc = recognizer.pretrained.model.config.ctc_weight > 0
    for number in range(1, _SEARCHES + 1):
        if fitted in tried:
            break
        label = f"search {number} of at most {_SEARCHES}"
        hypotheses = search(replace(fitted, nbest=_TEXTS), label)
        for utterance, ranked in zip(utterances, hypotheses, strict=True):
            for hypothesis in ranked:
                features = _features(hypothesis, len(start.lm_weights))
                utterance.add(tuple(hypothesis.tokens), features, decode(hypothesis.tokens))
        fitted = _with_weights(fitted, _fit_weights(utterances, _weights(fitted, has_ctc)))
    best = min(tried, key=lambda options: tried[options].cer)
    if start.lm_weights and not beam:
        for width in _NARROWER:
            narrower = replace(best, beam=width)
            search(narrower, f"a beam of {width}")
            if _is_as_good(tried[narrower], tried[best]):
                best = narrower
                break
    internal = best.internal_lm_weight if best.internal_lm_weight > _LEAST_WEIGHT else 0.0
    final = replace(best, internal_lm_weight=internal)
    calibration = _calibrate(recognizer, batches, final)
    return TunedResult(final, calibration, tried[start], tried[best], len(tried), corpus.failures)


def _is_as_good(narrow: Score, wide: Score) -> bool:
    """Whether a narrower beam makes hardly more errors."""
    return narrow.cer <= wide.cer + _MORE_CHARACTERS and narrow.wer <= wide.wer + _MORE_WORDS


def _first_to_fit(recognizer: Recognizer, beam: int) -> SearchOptions:
    """The recogniser's options, with all in them that can be weighed.

    The beam is as wide as usual if `beam` is 0.
    """
    options = recognizer.setup.options
    width = replace(recognizer.search, options=replace(options, beam=beam)).width
    if width == 1:  # as usual where the speller judges alone, but weights need a beam
        width = BEAM_WIDTH
    # Without a language model the internal one would be in nobody's way.
    internal = max(options.internal_lm_weight, _INTERNAL_LM_WEIGHT) if options.lm_weights else 0.0
    return replace(options, beam=width, internal_lm_weight=internal)


# The texts to choose from.


def _features(hypothesis: Hypothesis, language_models: int) -> list[float]:
    """What is weighed: speller, CTC, length, internal language model, each language model."""
    scores, length = hypothesis.scores, float(len(hypothesis.tokens))
    models = [scores[f"lm_{number + 1}"] for number in range(language_models)]
    ctc, internal = scores.get("ctc", 0.0), -scores.get("internal_lm", 0.0)
    return [scores["speller"], ctc, length, internal, *models]


# The weights.


def _weights(options: SearchOptions, has_ctc: bool) -> list[float]:
    ctc_weight = options.ctc_weight if has_ctc else 0.0
    return [ctc_weight, options.length_bonus, options.internal_lm_weight, *options.lm_weights]


def _with_weights(options: SearchOptions, weights: Sequence[float]) -> SearchOptions:
    ctc_weight, length_bonus, internal_lm_weight, *lm_weights = weights
    return replace(
        options,
        ctc_weight=round(ctc_weight, 3),
        length_bonus=round(length_bonus, 3),
        internal_lm_weight=round(internal_lm_weight, 3),
        lm_weights=tuple(round(weight, 3) for weight in lm_weights),
    )


def _ranges(weights: Sequence[float]) -> list[tuple[float, float]]:
    """The least and the largest value of each weight; 0 for what is not there to be weighed."""
    ctc = (0.05, 0.95) if weights[0] else (0.0, 0.0)
    internal = (_LEAST_WEIGHT, 1.0) if weights[2] else (0.0, 0.0)
    return [ctc, (-1.0, 4.0), internal, *[(0.0, 1.5)] * len(weights[3:])]


def _fit_weights(utterances: Sequence[_Utterance], weights: Sequence[float]) -> list[float]:
    """The weights with the fewest expected errors (Smith and Eisner 2006, equation 3).

    Each text is as probable as its score says, so the errors change smoothly with the weights.
    Those of the best texts alone jump, and lucky weights would be chosen. The search goes by random
    steps in all weights together, which grow smaller: what a language model counts for, and what
    the internal one does against it, are only right together.
    """
    features, errors = _padded(utterances)
    low, high = np.array(_ranges(weights)).T
    generator = np.random.default_rng(0)
    best = np.clip(np.array(weights), low, high)
    fewest = _expected_errors(features, errors, best)
    for size in _STEP_SIZES:
        for step in generator.normal(scale=size * (high - low), size=(_STEPS, len(best))):
            tried = np.clip(best + step, low, high)
            expected = _expected_errors(features, errors, tried)
            if expected < fewest:
                best, fewest = tried, expected
    return [float(weight) for weight in best]


def _padded(utterances: Sequence[_Utterance]) -> tuple[Floats, Floats]:
    """Features (N, C, F) and errors (N, C) of N utterances with C texts at most."""
    most = max(len(utterance.errors) for utterance in utterances)
    size = len(utterances[0].features[0])
    features = np.zeros((len(utterances), most, size))
    errors = np.full((len(utterances), most), np.inf)
    for row, utterance in enumerate(utterances):
        count = len(utterance.errors)
        features[row, :count], errors[row, :count] = utterance.features, utterance.errors
    return features, errors


def _expected_errors(features: Floats, errors: Floats, weights: Floats) -> float:
    """The errors of all utterances, each text as probable as these weights make it."""
    ctc_weight, *others = weights
    scores = _SHARPNESS * (features @ np.array([1 - ctc_weight, ctc_weight, *others]))
    missing = np.isinf(errors)
    scores[missing] = -np.inf
    probabilities = np.exp(scores - scores.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    return float((probabilities * np.where(missing, 0.0, errors)).sum())


# Confidence.


def _calibrate(
    recognizer: Recognizer, batches: Sequence[Batch], options: SearchOptions
) -> ConfidenceCalibration:
    """The calibration of the confidences that the recogniser has with these options."""
    tuned = recognizer.with_options(options)
    words: list[tuple[float, float]] = []
    segments: list[tuple[float, float]] = []

    def transcribe(batch: Batch) -> list[Transcription]:
        return tuned.transcribe_samples(batch.rows())

    with (
        progress_bar("confidence", sum(map(len, batches))) as advance,
        tuned.threads() as threads,
    ):
        transcribed = threads.map(transcribe, batches)
        for batch, transcriptions in zip(batches, transcribed, strict=True):
            for reference, transcription in zip(batch.texts, transcriptions, strict=True):
                found = transcription.segments
                said = [word for segment in found for word in segment.words]
                right = correct_words([word.word for word in said], reference)
                words += [
                    (word.confidence, float(ok)) for word, ok in zip(said, right, strict=True)
                ]
                shares = correct_shares([segment.text for segment in found], reference)
                segments += [
                    (segment.raw_confidence, share)
                    for segment, share in zip(found, shares, strict=True)
                    if share is not None
                ]
            advance(len(batch), "")
    return ConfidenceCalibration(_fit(words), _fit(segments))


def _fit(pairs: Sequence[tuple[float, float]]) -> Calibration:
    return fit_calibration([raw for raw, _ in pairs], [correct for _, correct in pairs])
