"""`Recognizer`: from a recording of any length to a transcription with segments and confidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rapidfuzz.distance import LCSseq

from sorigeul.base.arrays import Array, inference
from sorigeul.base.errors import UserError
from sorigeul.base.thread_pool import BatchThreads
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.recognition.batching import group_by_seconds
from sorigeul.recognition.character_times import CharacterTimes, character_times, spell_out
from sorigeul.recognition.confidence import (
    ConfidenceCalibration,
    geometric_mean,
    raw_confidence,
)
from sorigeul.recognition.engines import make_engine
from sorigeul.recognition.model_loading import (
    EngineChoice,
    device_of,
    find_model,
    load_model,
    with_own_language_model,
)
from sorigeul.recognition.overlaps import RecognizedSegment, join_overlaps
from sorigeul.recognition.search_setup import SearchSetup
from sorigeul.recognition.streaming import TranscriptionStream
from sorigeul.recognition.transcription import Alternative, Segment, Transcription
from sorigeul.recognition.word_times import settle_boundaries, word_ranges
from sorigeul.search.decoding import Search
from sorigeul.search.greedy import Path as CtcPath
from sorigeul.search.greedy import ctc_best_paths, ctc_collapse
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.search.options import (
    AS_TUNED,
    RESCORED_TEXTS,
    Precision,
    SearchOptions,
    SearchRequest,
)
from sorigeul.search.terms import Terms
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, AudioOptions, Samples
from sorigeul.sound.segments import SegmentedRecording, SegmentLimits, SpeechSegment

if TYPE_CHECKING:
    from sorigeul.search.rescoring import Rescorer


class Recognizer:
    """A trained model, ready to transcribe recordings.

    >>> recognizer = Recognizer.from_pretrained("runs/quickstart")
    >>> recognizer.transcribe("meeting.m4a").text
    """

    batch_seconds: float
    """most seconds of audio in a batch, padding included; may be set"""
    limits: SegmentLimits
    """how recordings are cut into segments; may be set"""
    folder: Path | None = None
    """where its files are; None if it was made of a model in memory"""
    calibration: ConfidenceCalibration | None
    """turns raw confidences into probabilities; None leaves them raw; may be set"""

    def __init__(
        self,
        pretrained: PretrainedModel,
        precision: Precision = "float32",
        setup: SearchSetup | None = None,
    ) -> None:
        """Take over a model, which can no longer be trained afterwards.

        Without a `setup` the search is the one that was tuned for the model, if any was. In int8,
        recurrent and linear layers are quantized to eight bits. Raises UserError for int8 on a GPU,
        and for a precision other than the own one of an export.
        """
        self.pretrained, self.precision = pretrained, precision
        self.setup = setup or SearchSetup.load(pretrained, SearchRequest())
        self._members = (pretrained, *self.setup.partners)
        self._engine = make_engine(self._members, precision)
        self.calibration = None
        if self.setup.calibration:
            self.calibration = ConfidenceCalibration.from_json(
                self.setup.calibration, "the confidence of search.json"
            )
        self.batch_seconds = self._engine.batch_seconds
        self.limits = SegmentLimits.for_longest_utterance(pretrained.longest_utterance)
        self._rescorer = _make_rescorer(self.setup.rescorer, precision)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str | Any | None = None,
        precision: Precision = "float32",
        beam: int = 0,
        request: SearchRequest | None = None,
        nbest: int = 1,
        engine: EngineChoice = "auto",
    ) -> Recognizer:
        """Load a model from a run folder, by its Hugging Face id, or from the folder of an export.

        Without a `device` it runs on a GPU if there is one. `request` asks for language models and
        other ways to search, and `beam` is short for one that asks for a width only; `nbest` is the
        number of texts of each segment. On a CPU, ONNX Runtime computes a run where it can; with
        the `engine` torch, always PyTorch does. An export runs on the CPU, without PyTorch, and
        with the language model that it has, unless `request` names others. Raises UserError if
        `source` is none of these, or is damaged, and if `request` names such a thing; ValueError if
        both `beam` and `request` are given.
        """
        if beam and request is not None:
            raise ValueError("give beam in the request: SearchRequest(beam=…)")
        folder = find_model(source)
        request = with_own_language_model(folder, request or SearchRequest(beam))
        pretrained = load_model(folder, request, precision, device, engine)
        recognizer = cls(pretrained, precision, SearchSetup.load(pretrained, request, nbest))
        recognizer.folder = folder
        return recognizer

    def push_to_hub(self, repository: str, private: bool = False) -> str:
        """Upload the model with its card to OWNER/NAME on the Hugging Face hub; return its address.

        `from_pretrained(repository)` then loads it anywhere. Raises UserError as
        `pretrained.hub_upload.push_to_hub` does, and if the model was not loaded from files.
        """
        from sorigeul.pretrained.hub_upload import push_to_hub  # knows all corpora, to name them

        if self.folder is None:
            raise UserError("only a model that was loaded from a folder can be pushed to the hub")
        return push_to_hub(self.folder, repository, private).url

    @property
    def search(self) -> Search:
        """The search, as the setup wants it."""
        models = [member.model for member in self._members]
        setup, options = self.setup, self.setup.options
        if self._rescorer is not None:
            options = replace(options, nbest=max(options.nbest, RESCORED_TEXTS))
        return Search(models, options, setup.language_models, setup.terms)

    @property
    def device(self) -> Any:
        """Where the model is: a device of PyTorch, or "cpu" for a model without it."""
        return self._engine.device

    @property
    def is_onnx(self) -> bool:
        """Whether graphs are computed, which only recognise: of an export, or of a run."""
        return device_of(self.pretrained) is None

    @property
    def log_mel(self) -> Any:
        """The features of the model: of PyTorch, or of NumPy if it is computed without it."""
        return self._engine.log_mels[0]

    def refuse_without_ctc_alignment(self, run: str) -> None:
        """Raise UserError, which calls the model `run`, if CTC cannot find texts in time."""
        if self.pretrained.model.config.ctc_weight <= 0:
            raise UserError(
                f"{run} has no CTC head, which finds words in time: use a model that was trained "
                "with ctc_weight above 0"
            )
        if self.pretrained.features.input_reverse:
            raise UserError(
                f"{run} hears recordings from their end (input_reverse): use a model without that"
            )

    def with_options(self, options: SearchOptions) -> Recognizer:
        """The same recogniser with other options of the search, and with raw confidences."""
        other = copy(self)
        other.setup = replace(self.setup, options=options)
        other.calibration = None
        return other

    def with_terms(self, terms: Terms | None) -> Recognizer:
        """The same recogniser with other terms to favour."""
        other = copy(self)
        other.setup = replace(self.setup, terms=terms)
        return other

    def threads(self) -> BatchThreads:
        """Threads that compute batches of this recogniser side by side."""
        return BatchThreads.on(self.device)

    def padded(self, batch: Sequence[SpeechSegment]) -> tuple[Array, Array]:
        """Segments of speech -> waveforms (B, N) on the device, lengths (B,)."""
        return self._engine.padded(batch)

    def encode(self, waveforms: Array, lengths: Array) -> list[Any]:
        """Waveforms (B, N), lengths (B,) -> the listener's frames, by each model of an ensemble."""
        return self._engine.encode(waveforms, lengths)

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which the model computes at the precision of this recognizer."""
        return self._engine.precision_context()

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
        threads: BatchThreads | None = None,
    ) -> Iterator[TranscriptionStream]:
        """Recognise a recording segment by segment, as it is read, in constant memory.

        `live`: every segment is recognised as soon as it has been spoken, not together with later
        ones. `threads` are those of `threads`, for several recordings one after the other. The
        arguments and errors are otherwise those of `transcribe`.

        >>> with recognizer.open("meeting.m4a") as stream:
        ...     for segment in stream:
        ...         print(segment.start, segment.text)
        """
        with (
            audio.open_stream(source, name, options or AudioOptions()) as stream,
            nullcontext(threads) if threads else self.threads() as computing,
        ):
            yield TranscriptionStream(
                stream,
                partial(computing.submit, self.recognize),
                self.pretrained.vocabulary,
                self.limits,
                0.0 if live else self.batch_seconds,
                0 if live else computing.count,
            )

    def transcribe_all(self, recordings: Sequence[SegmentedRecording]) -> list[Transcription]:
        """Recognise recordings in batches, with the same results as one by one.

        This is fastest for recordings of similar length, since shorter ones are padded.
        """
        vocabulary = self.pretrained.vocabulary
        segments = [segment for recording in recordings for segment in recording.segments]
        seconds = [len(segment.samples) / SAMPLE_RATE for segment in segments]
        batches = [segments[batch] for batch in group_by_seconds(seconds, self.batch_seconds)]
        with self.threads() as threads:
            recognized = chain.from_iterable(threads.map(self.recognize, batches))
            return [
                Transcription.from_segments(
                    list(join_overlaps(islice(recognized, len(recording.segments)), vocabulary)),
                    recording.duration,
                    recording.account,
                )
                for recording in recordings
            ]

    def transcribe_samples(self, recordings: Sequence[Samples]) -> list[Transcription]:
        """As `transcribe_all`, from the samples (N,) of each recording at 16 kHz."""
        return self.transcribe_all(
            [SegmentedRecording.from_samples(samples, self.limits) for samples in recordings]
        )

    @inference()
    def recognize(self, batch: Sequence[SpeechSegment]) -> list[RecognizedSegment]:
        """Recognise segments of speech in one batch."""
        model = self.pretrained.model
        waveforms, lengths = self.padded(batch)
        with self.autocast():
            frames = self.encode(waveforms, lengths)
            encoded = frames[0]
            ranked = self.search(frames)
            if self._rescorer is not None:
                own, weight = self.pretrained.vocabulary, self.setup.rescore_weight
                judged = self._rescorer(waveforms, lengths, ranked, own, weight)
                ranked = [hypotheses[: self.setup.options.nbest] for hypotheses in judged]
            hypotheses = [best for best, *_ in ranked]
            paths: list[CtcPath] | list[None] = [None] * len(batch)
            if model.config.ctc_weight > 0:
                paths = ctc_best_paths(model, encoded)
            reversed_input = self.pretrained.features.input_reverse
            times = character_times(model, encoded, hypotheses, reversed_input)
        return [
            self._recognized(speech, hypotheses, path, characters)
            for speech, hypotheses, path, characters in zip(
                batch, ranked, paths, times, strict=True
            )
        ]

    def _recognized(
        self,
        speech: SpeechSegment,
        hypotheses: Sequence[Hypothesis],
        path: CtcPath | None,
        times: CharacterTimes,
    ) -> RecognizedSegment:
        """A segment with its characters in time and the confidence of its words.

        `hypotheses` are the n-best, `times` those of the first.
        """
        hypothesis, times = spell_out(hypotheses[0], times, self.pretrained.vocabulary)
        segment = self._segment(speech, hypothesis, path)
        speller, ctc = hypothesis.probabilities, times.ctc_probabilities
        confidence, raw = segment.confidence, raw_confidence(speller, ctc)
        word_confidences = [
            raw_confidence(speller[first:end], None if ctc is None else ctc[first:end])
            for first, end in word_ranges(segment.characters)
        ]
        if self.calibration is not None:
            confidence = self.calibration.segments(raw)
            word_confidences = [self.calibration.words(word) for word in word_confidences]
        seconds = times.spans * (len(speech.samples) / SAMPLE_RATE)
        begin = (speech.start - speech.overlap_before) / SAMPLE_RATE
        return RecognizedSegment(
            segment=replace(
                segment,
                confidence=confidence,
                raw_confidence=raw,
                calibrated=self.calibration is not None,
                repetitive=hypothesis.repetitive,
                alternatives=self._alternatives(hypotheses),
            ),
            tokens=hypothesis.tokens,
            spans=begin + settle_boundaries(seconds, segment.characters, speech.samples),
            word_confidences=word_confidences,
            overlaps_next=speech.overlap_after > 0,
        )

    def _alternatives(self, hypotheses: Sequence[Hypothesis]) -> list[Alternative]:
        """The different texts of an n-best list; none if there is only one hypothesis.

        Hypotheses that differ in spaces at their ends have the same text: the better one counts.
        """
        if self.setup.options.nbest == 1:
            return []
        texts: dict[str, float] = {}
        for hypothesis in hypotheses:
            text = self.pretrained.vocabulary.decode(hypothesis.tokens)
            texts.setdefault(" ".join(text.split()), hypothesis.score)
        return [Alternative(text, score) for text, score in texts.items()]

    def _segment(
        self, speech: SpeechSegment, hypothesis: Hypothesis, path: CtcPath | None
    ) -> Segment:
        """A segment with its text; `path` is the best path of the CTC head, if there is one.

        The hypothesis is of characters, as of `spell_out`.
        """
        vocabulary, config = self.pretrained.vocabulary, self.pretrained.model.config
        alignment = hypothesis.alignment
        in_time = alignment
        if self.pretrained.features.input_reverse:
            in_time = np.ascontiguousarray(alignment[:, ::-1])
        agreement, ctc_text = 1.0, None
        if path is not None:
            ctc_tokens = vocabulary.spell(ctc_collapse(path, config))
            agreement = LCSseq.normalized_similarity(hypothesis.tokens, ctc_tokens)
            own_path = path[self.own_frames(speech, len(path))]
            ctc_text = vocabulary.decode(ctc_collapse(own_path, config)).strip()
        return Segment(
            start=speech.start / SAMPLE_RATE,
            end=speech.end / SAMPLE_RATE,
            text=vocabulary.decode(hypothesis.tokens).strip(),
            confidence=geometric_mean(hypothesis.probabilities),
            finished=hypothesis.finished,
            characters=[vocabulary.units[token] for token in hypothesis.tokens],
            alignment=in_time,
            ctc_text=ctc_text,
            ctc_agreement=agreement,
        )

    def own_frames(self, speech: SpeechSegment, frames: int) -> slice:
        """The frames of a segment that are not shared with a neighbour."""
        before = round(speech.overlap_before / len(speech.samples) * frames)
        after = round(speech.overlap_after / len(speech.samples) * frames)
        if self.pretrained.features.input_reverse:
            before, after = after, before
        return slice(before, frames - after)


def _make_rescorer(rescorer: PretrainedModel | None, precision: Precision) -> Rescorer | None:
    """A model that ranks the n-best texts anew, which only PyTorch computes."""
    if rescorer is None:
        return None
    from sorigeul.recognition.torch_engine import TorchEngine
    from sorigeul.search.rescoring import Rescorer

    log_mel = TorchEngine([rescorer], precision).log_mels[0]
    ctc_weight = rescorer.search_options(AS_TUNED).ctc_weight
    return Rescorer(rescorer.model, log_mel, rescorer.vocabulary, ctc_weight)
