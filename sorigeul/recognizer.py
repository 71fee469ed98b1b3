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
from sorigeul.audio import SAMPLE_RATE, Recording
from sorigeul.checkpoint import Pretrained
from sorigeul.errors import UserError
from sorigeul.features import LogMel
from sorigeul.model import inference
from sorigeul.model.inference import Precision

WHOLE_SECONDS = 20.0
"""recordings up to this long are recognised in one piece, as utterances are in training"""
_SEGMENT_SECONDS = 15.0
"""longest segment of speech in a longer recording"""
_CPU_BATCH = 30.0  # seconds recognised side by side: more no longer fits the caches
_GPU_BATCH = 600.0  # not measured


@dataclass(frozen=True)
class Speech:
    """A recording and the stretches of it in which somebody speaks."""

    recording: Recording
    spans: list[tuple[int, int]]
    """first sample and the one after the last"""

    @classmethod
    def of(cls, recording: Recording) -> "Speech":
        """Find the speech in a recording."""
        return cls(recording, speech_segments(torch.from_numpy(recording.samples)))


_Piece = tuple[Speech, tuple[int, int]]
"""a stretch of a recording to recognise"""


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

    @property
    def confidence(self) -> float:
        """The model's probability of the characters of all segments (geometric mean)."""
        counts = [len(segment.characters) for segment in self.segments]
        logs = [math.log(max(segment.confidence, 1e-9)) for segment in self.segments]
        total = sum(count * log for count, log in zip(counts, logs, strict=True))
        return math.exp(total / sum(counts)) if sum(counts) else 0.0

    @property
    def finished(self) -> bool:
        """Whether the model reached the end of the sentence in every segment."""
        return all(segment.finished for segment in self.segments)


class Recognizer:
    """A trained model, ready for recordings.

    >>> recognizer = Recognizer.from_pretrained("runs/quickstart")
    >>> recognizer.transcribe("meeting.m4a").text
    """

    batch_seconds: float
    """seconds of sound, padding included, recognised side by side; may be set"""

    def __init__(
        self, pretrained: Pretrained, precision: Precision = "float32", beam: int = 0
    ) -> None:
        """Take over a model, which can no longer be trained then.

        In int8, which runs on a CPU only, recurrent and linear layers are rounded to eight bits.
        `beam` texts are searched side by side, as `decode.search` does.
        """
        if beam < 0:
            raise UserError(f"beam is {beam}, but must be 0 or more")
        self.beam = beam
        self.pretrained = pretrained
        self.device = next(pretrained.model.parameters()).device
        if precision == "int8" and self.device.type != "cpu":
            raise UserError("precision int8 is for a CPU: choose bfloat16 or float32 on a GPU")
        if precision == "int8":
            inference.quantize(pretrained.model)
        elif self.device.type == "cpu":
            inference.lay_out(pretrained.model)
        self._half = precision == "bfloat16"
        self.batch_seconds = _CPU_BATCH if self.device.type == "cpu" else _GPU_BATCH
        self.log_mel = LogMel(pretrained.features).to(self.device)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str | torch.device | None = None,
        precision: Precision = "float32",
        beam: int = 0,
    ) -> "Recognizer":
        """Load a run folder or a Hugging Face id; on a GPU where there is one, unless told.

        Raises `UserError` where `source` is neither, or is damaged.
        """
        return cls(checkpoint.load(source, device or default_device()), precision, beam)

    def arithmetic(self) -> torch.autocast:
        """The context in which the model computes at this recognizer's precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._half)

    def transcribe(self, source: audio.Source, name: str | None = None) -> Transcription:
        """Recognise one recording: a path, bytes or a binary file.

        Recordings over 20 s are cut at pauses into segments of speech. Raises `AudioError` for
        what cannot be heard.
        """
        return self.transcribe_all([Speech.of(audio.load(source, name))])[0]

    def transcribe_all(self, speeches: Sequence[Speech]) -> list[Transcription]:
        """Recognise recordings side by side, each as it would be alone.

        Those of about one length cost the least, since shorter ones are padded.
        """
        pieces = [(speech, span) for speech in speeches for span in speech.spans]
        seconds = [(end - start) / SAMPLE_RATE for _, (start, end) in pieces]
        segments = (
            segment
            for batch in side_by_side(seconds, self.batch_seconds)
            for segment in self._recognize(pieces[batch])
        )
        return [
            _transcription(speech.recording, list(islice(segments, len(speech.spans))))
            for speech in speeches
        ]

    @torch.no_grad()
    def _recognize(self, pieces: Sequence[_Piece]) -> Iterator[Segment]:
        model, vocabulary = self.pretrained.model, self.pretrained.vocabulary
        spans = [span for _, span in pieces]
        sounds = [
            torch.from_numpy(speech.recording.samples[start:end]) for speech, (start, end) in pieces
        ]
        waveforms = torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True).to(self.device)
        lengths = torch.tensor([len(sound) for sound in sounds], device=self.device)
        with self.arithmetic():
            listened = model.listen(*self.log_mel(waveforms, lengths))
            found = decode.search(model, listened, self.beam)
        for (start, end), one in zip(spans, found, strict=True):
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


def default_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _transcription(recording: Recording, segments: list[Segment]) -> Transcription:
    return Transcription(
        text=" ".join(segment.text for segment in segments if segment.text),
        segments=segments,
        duration=recording.duration,
        account=recording.account,
    )


def side_by_side(seconds: Sequence[float], limit: float) -> Iterator[slice]:
    """Share out sounds of these lengths, in their order: as many at a time as `limit` seconds hold.

    Padding counts: each is as long as the longest beside it. One longer than `limit` is alone.
    """
    first, longest = 0, 0.0
    for place, length in enumerate(seconds):
        longest = max(longest, length)
        if place > first and longest * (place + 1 - first) > limit:
            yield slice(first, place)
            first, longest = place, length
    if seconds:
        yield slice(first, len(seconds))


def speech_segments(samples: Tensor) -> list[tuple[int, int]]:
    """Spans of speech in a recording (N,) at 16 kHz, cut at pauses; a short one is one span.

    Silero VAD finds the speech in longer ones.
    """
    if len(samples) <= WHOLE_SECONDS * SAMPLE_RATE:
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
