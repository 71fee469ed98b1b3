"""A corpus after the listener, to be searched several times: as tuning does, and comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

from sorigeul.base.arrays import inference
from sorigeul.base.errors import UserError
from sorigeul.base.progress import progress_bar
from sorigeul.data.batches import Batch, Failure
from sorigeul.evaluation.scores import TextPair
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.search.decoding import Search
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.segments import SegmentedRecording, SpeechSegment


@dataclass(frozen=True)
class EncodedCorpus:
    """The frames of all utterances that could be read, in batches.

    Each utterance is one piece, without the silence around it.
    """

    frames: list[list[Any]]
    """of each batch, by each model of an ensemble: what its listener makes of it"""
    pairs: list[TextPair]
    """the utterances, with empty hypotheses"""
    seconds: float
    """of sound"""
    listening_seconds: float
    """that the listeners took"""
    failures: list[Failure]
    """the utterances whose audio could not be read, which are in none of the others"""

    @classmethod
    def encode(cls, recognizer: Recognizer, batches: Sequence[Batch]) -> "EncodedCorpus":
        """Let the recogniser's models listen to all utterances."""
        frames: list[list[Any]] = []
        pairs: list[TextPair] = []
        seconds, begin = 0.0, perf_counter()
        failures = [failure for batch in batches for failure in batch.failures]
        batches = [batch for batch in batches if len(batch)]
        with (
            progress_bar("listening", sum(map(len, batches))) as advance,
            recognizer.threads() as threads,
        ):
            heard = threads.map(partial(_listen, recognizer), batches)
            for batch, outputs in zip(batches, heard, strict=True):
                frames.append(outputs)
                seconds += int(batch.lengths.sum()) / SAMPLE_RATE
                pairs += [
                    TextPair(*utterance)
                    for utterance in zip(
                        batch.ids, batch.texts, [""] * len(batch), batch.speakers, strict=True
                    )
                ]
                advance(len(batch), "")
        return cls(frames, pairs, seconds, perf_counter() - begin, failures)

    def refuse_failures(self) -> None:
        """Raise UserError if an utterance could not be read, so figures would not be of all."""
        if self.failures:
            first, utterances = self.failures[0], len(self.pairs) + len(self.failures)
            raise UserError(
                f"{len(self.failures):,} of {utterances:,} recordings could not be read, the "
                f"first: {first.id}: {first.reason}"
            )

    @property
    def references(self) -> list[str]:
        """The transcripts."""
        return [pair.reference for pair in self.pairs]

    def search(self, recognizer: Recognizer, search: Search, label: str) -> list[list[Hypothesis]]:
        """The n-best hypotheses of each utterance; `label` stands before the progress bar.

        The models of the search are the recogniser's, or the first of them.
        """
        hypotheses: list[list[Hypothesis]] = []

        @inference()
        def best(frames: Sequence[Any]) -> list[list[Hypothesis]]:
            with recognizer.autocast():
                return search(frames[: len(search.models)])

        with (
            progress_bar(label, len(self.pairs)) as advance,
            recognizer.threads() as threads,
        ):
            for found in threads.map(best, self.frames):
                hypotheses += found
                advance(len(found), "")
        return hypotheses


@inference()
def _listen(recognizer: Recognizer, batch: Batch) -> list[Any]:
    """The frames of a batch by each model, of speech alone."""
    speech = []
    for row in batch.rows():
        spoken = row[SegmentedRecording.from_samples(row).speech_span]
        speech.append(SpeechSegment(spoken, 0, len(spoken)))
    with recognizer.autocast():
        outputs = recognizer.encode(*recognizer.padded(speech))
    if recognizer.is_onnx:
        return outputs
    # What only training needs would take half of the memory.
    return [
        replace(output, lowest_frames=output.frames, lowest_lengths=output.lengths)
        for output in outputs
    ]
