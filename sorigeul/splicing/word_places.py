"""Where an utterance can be cut between its words, by forced alignment with the CTC head."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from sorigeul.alignment.script import Script, Word
from sorigeul.base.arrays import inference, to_numpy
from sorigeul.model.ctc_alignment import ctc_spans
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.word_times import word_spans
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.segments import SpeechSegment
from sorigeul.text.vocabulary import Vocabulary

Floats = npt.NDArray[np.float64]

UNKNOWN = -1000.0
"""score of a word with letters that the model does not know: it cannot say where these end"""
_HOP = 80  # samples, of each of which the level is known
_REACH = 0.05  # seconds on either side of a boundary among which the quietest place is looked for
_LEAST_PROBABILITY = 1e-30  # so that its logarithm is finite


@dataclass(frozen=True)
class WordPlaces:
    """The W words of an utterance in time."""

    texts: list[str]
    edges: list[float]
    """where to cut, in seconds: its start, a place between each two words, its end (W + 1)"""
    scores: list[float]
    """mean log-probability of the characters of each word, or `UNKNOWN` (W)"""


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
    texts = [_tokens(script) for script in scripts]
    counts = np.array(list(map(len, texts)))
    tokens = np.zeros((len(texts), counts.max()), np.int64)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = text
    found = ctc_spans(logits, encoded.ctc_lengths, tokens, counts, vocabulary.pad_id)
    frames = to_numpy(encoded.ctc_lengths)
    places: list[WordPlaces | None] = []
    for row, (samples, script) in enumerate(zip(utterances, scripts, strict=True)):
        own = slice(counts[row])
        # In units of several characters a word has the space before it, whatever else it has.
        is_heard = all(vocabulary.decode(word.tokens).strip() for word in script.words)
        if not script.tokens or not is_heard or not found.aligned[row, own].all():
            places.append(None)
            continue
        spans = np.stack((found.first[row, own], found.last[row, own] + 1), axis=1) / frames[row]
        scores = np.log(found.probability[row, own].clip(_LEAST_PROBABILITY))
        places.append(_place(script, vocabulary, spans, scores, samples))
    return places


def _tokens(script: Script) -> list[int]:
    """The ids of a text, with spaces between its words."""
    tokens: list[int] = []
    for word in script.words:
        tokens += [*(script.space if tokens else []), *word.tokens]
    return tokens


def _place(
    script: Script, vocabulary: Vocabulary, spans: Floats, scores: Floats, samples: Samples
) -> WordPlaces:
    """The words of a text of U tokens, whose spans (U, 2) are shares of the sound (N,)."""
    lengths = [len(word.tokens) for word in script.words]
    ends = list(accumulate(lengths, lambda end, length: end + len(script.space) + length))
    ranges = [(end - length, end) for end, length in zip(ends, lengths, strict=True)]
    words = word_spans(spans * (len(samples) / SAMPLE_RATE), ranges, samples)
    return WordPlaces(
        [word.text for word in script.words],
        _edges(words, samples),
        [
            round(float(scores[first:end].mean()), 3) if _is_known(word, vocabulary) else UNKNOWN
            for word, (first, end) in zip(script.words, ranges, strict=True)
        ],
    )


def _is_known(word: Word, vocabulary: Vocabulary) -> bool:
    """Whether the model knows all letters and digits of a word."""
    written = vocabulary.decode(word.tokens)
    return list(filter(str.isalnum, word.text)) == list(filter(str.isalnum, written))


def _edges(words: Floats, samples: Samples) -> list[float]:
    """Where to cut an utterance (N,) before, between and after words of these times (W, 2).

    Between two words at the quietest place near the middle of their pause, or of what neither is
    sure to have, and in the inner half of neither word. To the thousandth of a second, as the table
    has it.
    """
    seconds = len(samples) / SAMPLE_RATE
    hops = max(len(samples) // _HOP, 1)
    padded = np.pad(samples, (0, max(hops * _HOP - len(samples), 0)))
    levels = np.square(padded[: hops * _HOP], dtype=np.float64).reshape(hops, _HOP).mean(1)
    times = (np.arange(hops) + 0.5) * _HOP / SAMPLE_RATE
    edges = [0.0]
    for before, after in pairwise(words):
        middle = (before[1] + after[0]) / 2
        first = max(middle - _REACH, before[0] + 0.75 * (before[1] - before[0]))
        last = min(middle + _REACH, after[0] + 0.25 * (after[1] - after[0]))
        (near,) = np.nonzero((times >= first) & (times <= last))
        quietest = times[near[levels[near].argmin()]] if len(near) else middle
        edges.append(round(float(np.clip(quietest, edges[-1], seconds)), 3))
    return [*edges, round(max(seconds, edges[-1]), 3)]
