"""Where an utterance can be cut between its words, by forced alignment with the CTC head."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from sorigeul.alignment.script import Script
from sorigeul.base.arrays import inference, to_numpy
from sorigeul.model.ctc_alignment import ctc_spans
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.word_times import word_spans
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.segments import SpeechSegment

Spans = npt.NDArray[np.float64]

_HOP = 80  # samples, of each of which the level is known
_REACH = 10  # hops on either side of a boundary among which the quietest place is looked for
_LEAST_PROBABILITY = 1e-30  # so that its logarithm is finite


@dataclass(frozen=True)
class WordPlaces:
    """The W words of an utterance in time."""

    texts: list[str]
    edges: list[float]
    """where to cut, in seconds: its start, a place between each two words, its end (W + 1)"""
    scores: list[float]
    """mean log-probability of the characters of each word (W)"""


@inference()
def place_words(
    recognizer: Recognizer, utterances: Sequence[Samples], scripts: Sequence[Script]
) -> list[WordPlaces | None]:
    """Utterances (N,) at 16 kHz and their texts -> their words in time.

    The model must have a CTC head. None for a text that cannot be placed: a word of it has no
    character that the model knows, or there are more characters than frames.
    """
    vocabulary, model = recognizer.pretrained.vocabulary, recognizer.pretrained.model
    with recognizer.autocast():
        segments = [SpeechSegment(samples, 0, len(samples)) for samples in utterances]
        encoded = recognizer.encode(*recognizer.padded(segments))[0]
        logits = model.ctc_logits(encoded)
    rows = [_tokens_of_words(script) for script in scripts]
    counts = np.array([sum(map(len, row)) for row in rows])
    tokens = np.zeros((len(rows), counts.max()), np.int64)
    for row, of_words in enumerate(rows):
        tokens[row, : counts[row]] = [token for word in of_words for token in word]
    found = ctc_spans(logits, encoded.ctc_lengths, tokens, counts, vocabulary.pad_id)
    frames = to_numpy(encoded.ctc_lengths)
    places: list[WordPlaces | None] = []
    for row, (samples, script) in enumerate(zip(utterances, scripts, strict=True)):
        count = counts[row]
        # In units of several characters a word has the space before it, whatever else it has.
        is_known = all(vocabulary.decode(word.tokens).strip() for word in script.words)
        if not count or not is_known or not found.aligned[row, :count].all():
            places.append(None)
            continue
        seconds = len(samples) / SAMPLE_RATE
        spans = np.stack((found.first[row, :count], found.last[row, :count] + 1), axis=1)
        ends = list(accumulate(map(len, rows[row])))
        words = [
            (end - len(word.tokens), end) for end, word in zip(ends, script.words, strict=True)
        ]
        scores = np.log(found.probability[row, :count].clip(_LEAST_PROBABILITY))
        places.append(
            WordPlaces(
                [word.text for word in script.words],
                _edges(word_spans(spans * (seconds / frames[row]), words, samples), samples),
                [round(float(scores[first:end].mean()), 3) for first, end in words],
            )
        )
    return places


def _tokens_of_words(script: Script) -> list[list[int]]:
    """The ids of each word, with those of the space before it, of which the first has none."""
    first, *others = [word.tokens for word in script.words] or [[]]
    return [first, *(script.space + word for word in others)]


def _edges(spans: Spans, samples: Samples) -> list[float]:
    """Where to cut an utterance (N,) before, between and after words of these times (W, 2).

    Between two words in the middle of the pause, or of what neither is sure to have, or close to
    that, at the quietest place. To the thousandth of a second, as the table has it.
    """
    hops = max(len(samples) // _HOP, 1)
    padded = np.pad(samples, (0, max(hops * _HOP - len(samples), 0)))
    levels = np.square(padded[: hops * _HOP], dtype=np.float64).reshape(hops, _HOP).mean(1)
    edges = [0.0]
    for before, after in pairwise(spans):
        middle = min(int((before[1] + after[0]) / 2 * SAMPLE_RATE / _HOP), hops - 1)
        first = max(middle - _REACH, 0)
        quietest = first + int(levels[first : middle + _REACH + 1].argmin())
        edges.append(max(round((quietest + 0.5) * _HOP / SAMPLE_RATE, 3), edges[-1]))
    return [*edges, max(len(samples) / SAMPLE_RATE, edges[-1])]
