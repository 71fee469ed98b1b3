"""What the CTC head hears in a recording: probabilities of its frames of speech, and their times.

N samples, S frames of speech (silence is left out), V' units that occur in the text.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sorigeul.alignment.script import Script
from sorigeul.base.memory import return_freed_memory
from sorigeul.recognition.batching import segments_in_batches
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.segments import Segmenter, SpeechSegment

Values = npt.NDArray[np.float64]

HOP = 160
"""samples, for each of which `levels` has a value"""
_FLOOR = -100.0  # dB


@dataclass(frozen=True, eq=False)
class HeardSpeech:
    """A recording as the CTC head hears it."""

    scores: Tensor
    """log-probability of each of `units`, and at last that of all others together (S, V' + 1)"""
    units: Sequence[int]
    """ids of the vocabulary; the last one is the blank (V')"""
    path: npt.NDArray[np.int64]
    """the most probable id of the vocabulary in each frame (S,); `pad_id` is the blank"""
    times: Values
    """start and end of each frame in seconds (S, 2)"""
    levels: Values
    """mean power of each hundredth of a second in dB, where full scale is 0"""
    seconds: float
    """length of the recording"""
    silent: Sequence[int]
    """ids that are no characters to be heard: the specials, the space"""

    @cached_property
    def reading(self) -> tuple[list[int], list[int]]:
        """The characters that the path emits, without spaces, and the frame where each begins."""
        begins = np.flatnonzero(np.diff(self.path, prepend=-1) != 0)
        begins = begins[np.isin(self.path[begins], self.silent, invert=True)]
        return self.path[begins].tolist(), begins.tolist()


def hear(recognizer: Recognizer, blocks: Iterable[Samples], script: Script) -> HeardSpeech:
    """Hear a recording, given in blocks of samples (n,) at 16 kHz, of which a script is the text.

    The model must have a CTC head.
    """
    vocabulary = recognizer.pretrained.vocabulary
    units = [*sorted({*script.tokens, *script.space}), vocabulary.pad_id]
    segmenter = Segmenter(recognizer.limits)
    heard: list[tuple[Tensor, Tensor, Values]] = []
    levels = _Levels()

    def segments() -> Iterator[SpeechSegment]:
        for block in blocks:
            levels.feed(block)
            yield from segmenter.feed(block)
        yield from segmenter.finish()

    for batch in segments_in_batches(segments(), recognizer.batch_seconds):
        heard.extend(_judge(recognizer, batch, units))
        return_freed_memory()  # batches of ever other sizes leave holes
    return HeardSpeech(
        scores=torch.cat([scores for scores, _, _ in heard] or [torch.empty(0, len(units) + 1)]),
        units=units,
        path=torch.cat([path for _, path, _ in heard] or [torch.empty(0)]).long().numpy(),
        times=np.concatenate([times for _, _, times in heard] or [np.empty((0, 2))]),
        levels=levels.finish(),
        seconds=segmenter.samples / SAMPLE_RATE,
        silent=[*script.space, vocabulary.sos_id, vocabulary.eos_id, vocabulary.pad_id],
    )


@torch.no_grad()
def _judge(
    recognizer: Recognizer, segments: Sequence[SpeechSegment], units: Sequence[int]
) -> list[tuple[Tensor, Tensor, Values]]:
    """Scores, path and times of the frames that belong to each segment alone."""
    with recognizer.autocast():
        encoded = recognizer.encode(*recognizer.padded(segments))[0]
        logits = recognizer.pretrained.model.ctc_logits(encoded)
    if logits is None:
        raise ValueError("this model has no CTC head")
    log_probabilities = logits.float().log_softmax(-1)
    others = torch.ones(logits.shape[-1], dtype=torch.bool, device=logits.device)
    others[list(units)] = False
    rest = log_probabilities[:, :, others].logsumexp(-1, keepdim=True)
    # Half precision, since a recording of hours has hundreds of thousands of frames.
    scores = torch.cat((log_probabilities[:, :, list(units)], rest), -1).half().cpu()
    paths = logits.argmax(-1).cpu()
    return [
        _own(recognizer, segment, scores[row, :frames], paths[row, :frames])
        for row, (segment, frames) in enumerate(
            zip(segments, encoded.ctc_lengths.tolist(), strict=True)
        )
    ]


def _own(
    recognizer: Recognizer, segment: SpeechSegment, scores: Tensor, path: Tensor
) -> tuple[Tensor, Tensor, Values]:
    """The frames of a segment that are not shared with a neighbour, and their times."""
    begin = segment.start - segment.overlap_before
    edges = (begin + np.linspace(0, len(segment.samples), len(path) + 1)) / SAMPLE_RATE
    times = np.stack((edges[:-1], edges[1:]), axis=1)
    own = recognizer.own_frames(segment, len(path))
    # Clones, so that what is not kept can be freed.
    return scores[own].clone(), path[own].clone(), times[own]


class _Levels:
    """The level of a recording, as its samples come."""

    def __init__(self) -> None:
        self._rest = np.empty(0, np.float32)
        self._levels: list[npt.NDArray[Any]] = []

    def feed(self, block: Samples) -> None:
        samples = np.concatenate((self._rest, block))
        whole = len(samples) // HOP * HOP
        self._measure(samples[:whole])
        self._rest = samples[whole:]

    def finish(self) -> Values:
        if len(self._rest):
            self._measure(np.pad(self._rest, (0, HOP - len(self._rest))))
        return np.concatenate(self._levels or [np.empty(0)])

    def _measure(self, samples: Samples) -> None:
        power = np.mean(samples.reshape(-1, HOP).astype(np.float64) ** 2, axis=1)
        self._levels.append(10 * np.log10(power + 10 ** (_FLOOR / 10)))
