"""A recording of any length to text: segments of speech, their times, how sure the model is.

Knows how to put a trained model to use; nothing of training, formats of output, or servers.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch

from sorigeul.base.errors import UserError
from sorigeul.pretrained.loading import PretrainedModel, load_pretrained
from sorigeul.recognition.transcription import Segment, Transcription
from sorigeul.search import inference
from sorigeul.search.decoding import search
from sorigeul.search.inference import Precision
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, Recording
from sorigeul.sound.features import LogMel
from sorigeul.sound.segments import SegmentedRecording

_CPU_BATCH = 30.0  # seconds recognised side by side: more no longer fits the caches
_GPU_BATCH = 600.0  # not measured


_Piece = tuple[SegmentedRecording, tuple[int, int]]
"""a stretch of a recording to recognise"""


class Recognizer:
    """A trained model, ready for recordings.

    >>> recognizer = Recognizer.from_pretrained("runs/quickstart")
    >>> recognizer.transcribe("meeting.m4a").text
    """

    batch_seconds: float
    """seconds of sound, padding included, recognised side by side; may be set"""

    def __init__(
        self, pretrained: PretrainedModel, precision: Precision = "float32", beam: int = 0
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
            inference.optimize_layout(pretrained.model)
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
        return cls(load_pretrained(source, device or default_device()), precision, beam)

    def arithmetic(self) -> torch.autocast:
        """The context in which the model computes at this recognizer's precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._half)

    def transcribe(self, source: audio.Source, name: str | None = None) -> Transcription:
        """Recognise one recording: a path, bytes or a binary file.

        Recordings over 20 s are cut at pauses into segments of speech. Raises `AudioError` for
        what cannot be heard.
        """
        return self.transcribe_all([SegmentedRecording.from_recording(audio.load(source, name))])[0]

    def transcribe_all(self, speeches: Sequence[SegmentedRecording]) -> list[Transcription]:
        """Recognise recordings side by side, each as it would be alone.

        Those of about one length cost the least, since shorter ones are padded.
        """
        pieces = [(speech, span) for speech in speeches for span in speech.spans]
        seconds = [(end - start) / SAMPLE_RATE for _, (start, end) in pieces]
        segments = (
            segment
            for batch in group_by_seconds(seconds, self.batch_seconds)
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
            encoded = model.listen(*self.log_mel(waveforms, lengths))
            found = search(model, encoded, self.beam)
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


def group_by_seconds(seconds: Sequence[float], limit: float) -> Iterator[slice]:
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
