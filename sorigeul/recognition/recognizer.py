"""`Recognizer`: from a recording of any length to a transcription with segments and confidence."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.pretrained.loading import PretrainedModel, load_pretrained
from sorigeul.recognition.batching import group_by_seconds
from sorigeul.recognition.transcription import Segment, Transcription
from sorigeul.search import inference
from sorigeul.search.decoding import search
from sorigeul.search.inference import Precision
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, Recording
from sorigeul.sound.features import LogMel
from sorigeul.sound.segments import SegmentedRecording

_CPU_BATCH_SECONDS = 30.0  # more does not fit the caches
_GPU_BATCH_SECONDS = 600.0  # not measured
_MIN_PROBABILITY = 1e-9  # so that its logarithm is finite


class Recognizer:
    """A trained model, ready to transcribe recordings.

    >>> recognizer = Recognizer.from_pretrained("runs/quickstart")
    >>> recognizer.transcribe("meeting.m4a").text
    """

    batch_seconds: float
    """most seconds of audio in a batch, padding included; may be set"""

    def __init__(
        self, pretrained: PretrainedModel, precision: Precision = "float32", beam: int = 0
    ) -> None:
        """Take over a model, which can no longer be trained afterwards.

        `beam` is the width of the beam, as of `search.decoding.search`. In int8, recurrent and
        linear layers are quantized to eight bits. Raises UserError for int8 on a GPU and for a
        negative `beam`.
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
            inference.optimize_layout(pretrained.model)
        self._use_bfloat16 = precision == "bfloat16"
        on_cpu = self.device.type == "cpu"
        self.batch_seconds = _CPU_BATCH_SECONDS if on_cpu else _GPU_BATCH_SECONDS
        self.log_mel = LogMel(pretrained.features).to(self.device)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str | torch.device | None = None,
        precision: Precision = "float32",
        beam: int = 0,
    ) -> "Recognizer":
        """Load a model from a run folder or by its Hugging Face id.

        Without a `device` it runs on a GPU if there is one. Raises UserError if `source` is
        neither, or is damaged.
        """
        return cls(load_pretrained(source, device or default_device()), precision, beam)

    def autocast(self) -> torch.autocast:
        """The context in which the model computes at the precision of this recognizer."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._use_bfloat16)

    def transcribe(self, source: audio.Source, name: str | None = None) -> Transcription:
        """Recognise one recording: a path, bytes or a binary file.

        A recording of more than 20 s is cut at its pauses into segments of speech. `name` stands
        for the recording in error messages. Raises AudioError if it cannot be read or is silent.
        """
        return self.transcribe_all([SegmentedRecording.from_recording(audio.load(source, name))])[0]

    def transcribe_all(self, recordings: Sequence[SegmentedRecording]) -> list[Transcription]:
        """Recognise recordings in batches, with the same results as one by one.

        This is fastest for recordings of similar length, since shorter ones are padded.
        """
        speech_segments = [
            _SpeechSegment.from_span(recording, span)
            for recording in recordings
            for span in recording.spans
        ]
        seconds = [len(speech.samples) / SAMPLE_RATE for speech in speech_segments]
        segments = (
            segment
            for batch in group_by_seconds(seconds, self.batch_seconds)
            for segment in self._recognize(speech_segments[batch])
        )
        return [
            _transcription(recording.recording, list(islice(segments, len(recording.spans))))
            for recording in recordings
        ]

    @torch.no_grad()
    def _recognize(self, batch: Sequence["_SpeechSegment"]) -> Iterator[Segment]:
        model, vocabulary = self.pretrained.model, self.pretrained.vocabulary
        waveforms = torch.nn.utils.rnn.pad_sequence(
            [speech.samples for speech in batch], batch_first=True
        ).to(self.device)
        lengths = torch.tensor([len(speech.samples) for speech in batch], device=self.device)
        with self.autocast():
            encoded = model.listen(*self.log_mel(waveforms, lengths))
            hypotheses = search(model, encoded, self.beam)
        reversed_input = self.pretrained.features.input_reverse
        for speech, hypothesis in zip(batch, hypotheses, strict=True):
            alignment = hypothesis.alignment
            yield Segment(
                start=speech.start,
                end=speech.end,
                text=vocabulary.decode(hypothesis.tokens).strip(),
                confidence=_geometric_mean(hypothesis.probabilities),
                finished=hypothesis.finished,
                characters=[vocabulary.units[token] for token in hypothesis.tokens],
                alignment=alignment.flip(1) if reversed_input else alignment,
            )


@dataclass(frozen=True)
class _SpeechSegment:
    """A speech segment of a recording, to be recognised."""

    samples: Tensor
    """float32 (N,), 16 kHz"""
    start: float
    """seconds from the beginning of the recording"""
    end: float

    @classmethod
    def from_span(cls, recording: SegmentedRecording, span: tuple[int, int]) -> "_SpeechSegment":
        start, end = span
        samples = torch.from_numpy(recording.recording.samples[start:end])
        return cls(samples, start / SAMPLE_RATE, end / SAMPLE_RATE)


def default_device() -> str:
    """A GPU if there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _geometric_mean(probabilities: Sequence[float]) -> float:
    """The geometric mean; 0 for no probabilities."""
    logs = [math.log(max(probability, _MIN_PROBABILITY)) for probability in probabilities]
    return math.exp(sum(logs) / len(logs)) if logs else 0.0


def _transcription(recording: Recording, segments: list[Segment]) -> Transcription:
    return Transcription(
        text=" ".join(segment.text for segment in segments if segment.text),
        segments=segments,
        duration=recording.duration,
        account=recording.account,
    )
