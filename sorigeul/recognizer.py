"""A recording of any length to text: segments of speech, their times, how sure the model is.

Knows how to put a trained model to use; nothing of training, formats of output, or servers.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from sorigeul import audio, checkpoint, decode
from sorigeul.audio import SAMPLE_RATE
from sorigeul.checkpoint import Pretrained
from sorigeul.features import LogMel

_WHOLE_SECONDS = 20.0
"""recordings up to this long are recognised in one piece, as utterances are in training"""
_SEGMENT_SECONDS = 15.0
"""longest segment of speech in a longer recording"""
_BATCH = 8  # segments recognised side by side


@dataclass(frozen=True)
class Segment:
    """A stretch of speech and its text."""

    start: float
    """seconds from the beginning of the recording"""
    end: float
    text: str
    confidence: float
    """the model's probability of its characters (geometric mean), 0 to 1"""
    finished: bool
    """false where the model reached no end of the sentence: its text is not to be trusted"""
    characters: list[str]
    """the units spelled (U)"""
    alignment: Tensor
    """attention (U, S) over the listener's frames"""


@dataclass(frozen=True)
class Transcription:
    """What was said in a recording."""

    text: str
    segments: list[Segment]
    duration: float
    """seconds"""
    account: tuple[str, ...]
    """what was done to the sound to make it 16 kHz mono"""
    language: str = "ko"


class Recognizer:
    """A trained model, ready for recordings.

    >>> recognizer = Recognizer.from_pretrained("runs/quickstart")
    >>> recognizer.transcribe("meeting.m4a").text
    """

    def __init__(self, pretrained: Pretrained) -> None:
        self.pretrained = pretrained
        self.device = next(pretrained.model.parameters()).device
        self.log_mel = LogMel(pretrained.features).to(self.device)

    @classmethod
    def from_pretrained(
        cls, source: str | Path, device: str | torch.device | None = None
    ) -> "Recognizer":
        """Load a run folder or a Hugging Face id; on a GPU where there is one, unless told.

        Raises `UserError` where `source` is neither, or is damaged.
        """
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(checkpoint.load(source, device))

    def transcribe(self, source: audio.Source, name: str | None = None) -> Transcription:
        """Recognise one recording: a path, bytes or a binary file.

        Recordings over 20 s are cut at pauses into segments of speech. Raises `AudioError` for
        what cannot be heard.
        """
        recording = audio.load(source, name)
        samples = torch.from_numpy(recording.samples)
        segments: list[Segment] = []
        spans = iter(speech_segments(samples))
        while some := list(islice(spans, _BATCH)):
            segments += self._recognize(samples, some)
        return Transcription(
            text=" ".join(segment.text for segment in segments if segment.text),
            segments=segments,
            duration=recording.duration,
            account=recording.account,
        )

    @torch.no_grad()
    def _recognize(self, samples: Tensor, spans: Sequence[tuple[int, int]]) -> Iterator[Segment]:
        """Segments of the recording (N,), given as spans of samples."""
        model, vocabulary = self.pretrained.model, self.pretrained.vocabulary
        pieces = [samples[start:end] for start, end in spans]
        waveforms = torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True).to(self.device)
        lengths = torch.tensor([len(piece) for piece in pieces], device=self.device)
        listened = model.listen(*self.log_mel(waveforms, lengths))
        for (start, end), one in zip(spans, decode.greedy(model, listened), strict=True):
            logs = [math.log(max(chance, 1e-9)) for chance in one.probabilities]
            yield Segment(
                start=start / SAMPLE_RATE,
                end=end / SAMPLE_RATE,
                text=vocabulary.decode(one.tokens).strip(),
                confidence=math.exp(sum(logs) / len(logs)) if logs else 0.0,
                finished=one.finished,
                characters=[vocabulary.units[token] for token in one.tokens],
                alignment=one.alignment.flip(1)
                if self.pretrained.features.input_reverse
                else one.alignment,
            )


def speech_segments(samples: Tensor) -> list[tuple[int, int]]:
    """Spans of speech in a recording (N,) at 16 kHz, cut at pauses; a short one is one span.

    Silero VAD finds the speech in longer ones.
    """
    if len(samples) <= _WHOLE_SECONDS * SAMPLE_RATE:
        return [(0, len(samples))]
    # Imported here: recordings of a sentence, and `--help`, need no second network.
    import silero_vad

    spans = silero_vad.get_speech_timestamps(
        samples,
        silero_vad.load_silero_vad(),
        sampling_rate=SAMPLE_RATE,
        max_speech_duration_s=_SEGMENT_SECONDS,
        min_silence_duration_ms=300,
        speech_pad_ms=150,
    )
    return [(span["start"], span["end"]) for span in spans]
