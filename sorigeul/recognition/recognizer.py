"""`Recognizer`: from a recording of any length to a transcription with segments and confidence."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import torch
from rapidfuzz.distance import LCSseq
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.pretrained.loading import PretrainedModel, load_pretrained
from sorigeul.recognition.batching import group_by_seconds
from sorigeul.recognition.character_times import character_times
from sorigeul.recognition.overlaps import RecognizedSegment, join_overlaps
from sorigeul.recognition.streaming import TranscriptionStream
from sorigeul.recognition.transcription import Segment, Transcription
from sorigeul.search import inference
from sorigeul.search.decoding import search
from sorigeul.search.greedy import ctc_best_paths, ctc_collapse
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.search.inference import Precision
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, AudioOptions
from sorigeul.sound.features import LogMel
from sorigeul.sound.segments import SegmentedRecording, SegmentLimits, SpeechSegment

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
    limits: SegmentLimits
    """how recordings are cut into segments; may be set"""

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
        self.limits = SegmentLimits.for_longest_utterance(pretrained.longest_utterance)
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

    def transcribe(
        self,
        source: audio.Source,
        name: str | None = None,
        options: AudioOptions | None = None,
    ) -> Transcription:
        """Recognise one recording: a path, bytes or a binary file.

        Only what a speech detector takes for speech is recognised, in segments that are cut at
        pauses. `name` stands for the recording in error messages. Raises AudioError if it cannot be
        read or is silent.
        """
        with self.open(source, name, options) as stream:
            for _ in stream:
                pass
            return stream.transcription()

    @contextmanager
    def open(
        self,
        source: audio.Source,
        name: str | None = None,
        options: AudioOptions | None = None,
        live: bool = False,
    ) -> Iterator[TranscriptionStream]:
        """Recognise a recording segment by segment, as it is read, in constant memory.

        `live`: every segment is recognised as soon as it has been spoken, not together with later
        ones. The arguments and errors are otherwise those of `transcribe`.

        >>> with recognizer.open("meeting.m4a") as stream:
        ...     for segment in stream:
        ...         print(segment.start, segment.text)
        """
        with audio.open_stream(source, name, options or AudioOptions()) as stream:
            yield TranscriptionStream(
                stream,
                self.recognize,
                self.pretrained.vocabulary,
                self.limits,
                0.0 if live else self.batch_seconds,
            )

    def transcribe_all(self, recordings: Sequence[SegmentedRecording]) -> list[Transcription]:
        """Recognise recordings in batches, with the same results as one by one.

        This is fastest for recordings of similar length, since shorter ones are padded.
        """
        vocabulary = self.pretrained.vocabulary
        segments = [segment for recording in recordings for segment in recording.segments]
        seconds = [len(segment.samples) / SAMPLE_RATE for segment in segments]
        recognized = (
            segment
            for batch in group_by_seconds(seconds, self.batch_seconds)
            for segment in self.recognize(segments[batch])
        )
        return [
            Transcription.from_segments(
                list(join_overlaps(islice(recognized, len(recording.segments)), vocabulary)),
                recording.duration,
                recording.account,
            )
            for recording in recordings
        ]

    @torch.no_grad()
    def recognize(self, batch: Sequence[SpeechSegment]) -> list[RecognizedSegment]:
        """Recognise segments of speech in one batch."""
        model = self.pretrained.model
        waveforms = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(speech.samples) for speech in batch], batch_first=True
        ).to(self.device)
        lengths = torch.tensor([len(speech.samples) for speech in batch], device=self.device)
        with self.autocast():
            encoded = model.listen(*self.log_mel(waveforms, lengths))
            hypotheses = search(model, encoded, self.beam)
            paths: list[Tensor] | list[None] = [None] * len(batch)
            if model.config.ctc_weight > 0:
                paths = ctc_best_paths(model, encoded)
        overlapping = [row for row, speech in enumerate(batch) if speech.overlaps]
        reversed_input = self.pretrained.features.input_reverse
        times = character_times(model, encoded, hypotheses, overlapping, reversed_input)
        return [
            RecognizedSegment(
                segment=self._segment(speech, hypothesis, path),
                tokens=hypothesis.tokens,
                times=[
                    (speech.start - speech.overlap_before + share * len(speech.samples))
                    / SAMPLE_RATE
                    for share in times.get(row, ())
                ],
                overlaps_next=speech.overlap_after > 0,
            )
            for row, (speech, hypothesis, path) in enumerate(
                zip(batch, hypotheses, paths, strict=True)
            )
        ]

    def _segment(
        self, speech: SpeechSegment, hypothesis: Hypothesis, path: Tensor | None
    ) -> Segment:
        """A segment with its text; `path` is the best path of the CTC head, if there is one."""
        vocabulary, config = self.pretrained.vocabulary, self.pretrained.model.config
        alignment = hypothesis.alignment
        agreement, ctc_text = 1.0, None
        if path is not None:
            agreement = LCSseq.normalized_similarity(hypothesis.tokens, ctc_collapse(path, config))
            own_path = path[self._own_frames(speech, len(path))]
            ctc_text = vocabulary.decode(ctc_collapse(own_path, config)).strip()
        return Segment(
            start=speech.start / SAMPLE_RATE,
            end=speech.end / SAMPLE_RATE,
            text=vocabulary.decode(hypothesis.tokens).strip(),
            confidence=_geometric_mean(hypothesis.probabilities),
            finished=hypothesis.finished,
            characters=[vocabulary.units[token] for token in hypothesis.tokens],
            alignment=alignment.flip(1) if self.pretrained.features.input_reverse else alignment,
            ctc_text=ctc_text,
            ctc_agreement=agreement,
        )

    def _own_frames(self, speech: SpeechSegment, frames: int) -> slice:
        """The frames of a segment that are not shared with a neighbour."""
        before = round(speech.overlap_before / len(speech.samples) * frames)
        after = round(speech.overlap_after / len(speech.samples) * frames)
        if self.pretrained.features.input_reverse:
            before, after = after, before
        return slice(before, frames - after)


def default_device() -> str:
    """A GPU if there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _geometric_mean(probabilities: Sequence[float]) -> float:
    """The geometric mean; 0 for no probabilities."""
    logs = [math.log(max(probability, _MIN_PROBABILITY)) for probability in probabilities]
    return math.exp(sum(logs) / len(logs)) if logs else 0.0
