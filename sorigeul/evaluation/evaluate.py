"""Evaluation of a model on a corpus: free-running recognition, compared with the transcripts.

`evaluate` transcribes the corpus as users' recordings are transcribed. For the epochs of a training
there is a shorter way: several processes call `recognize` for a share of the corpus each, exchange
the results, and score all shares together with `score_recognitions`.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from itertools import count
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import parametrize

from sorigeul.base.progress import Advance, progress_bar
from sorigeul.base.thread_pool import BatchThreads
from sorigeul.data.batches import Batch, Failure
from sorigeul.evaluation.attention_metrics import AttentionMetrics, mean_metrics, measure_attention
from sorigeul.evaluation.scores import Score, TextPair, score
from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.model.losses import joint_losses
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.transcription import Segment, Word
from sorigeul.search.decoding import Search
from sorigeul.search.greedy import ctc_greedy_search
from sorigeul.search.options import SearchOptions
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.features import Features
from sorigeul.sound.segments import SegmentedRecording
from sorigeul.sound.signal_to_noise import estimate_signal_to_noise
from sorigeul.text.vocabulary import Vocabulary

_RecognizedBatch = tuple[list["RecognizedUtterance"], float, tuple[float, float]]
"""the utterances of a batch, the speller's mean teacher-forced loss per character, and when the
recognition began and ended"""
GREEDY = SearchOptions(beam=1)
_MOST_UNITS_A_SECOND = 100  # vocabulary units; 25 syllables have at most 75 jamo
_EPOCH_METRICS = ("loss", "crr", "ctc_crr", *(field.name for field in fields(AttentionMetrics)))


@dataclass(frozen=True)
class RecognizedUtterance:
    """The reference and the hypothesis of one utterance."""

    id: str
    reference: str
    hypothesis: str
    ctc_hypothesis: str | None
    """text of the CTC head alone, if there is one"""
    speaker: str
    """empty if it is not known"""
    seconds: float
    characters: list[str]
    """the vocabulary units of `hypothesis` (U)"""
    alignment: Tensor
    """attention (U, S) over the listener frames, in the order of time"""
    attention_metrics: AttentionMetrics | None
    """metrics of the attention under teacher forcing, which do not depend on errors in the
    hypothesis; None for a model without attention or a text of less than two characters"""
    words: list[Word] = field(default_factory=list)
    """the words of `hypothesis` with times and confidences, if it was recognised in segments"""
    frame_spans: Tensor = field(default_factory=lambda: torch.empty(0, 2))
    """start and end of each listener frame in seconds of the recording (S, 2), likewise"""
    signal_to_noise: float | None = None
    """dB, as of `estimate_signal_to_noise`, likewise"""


@dataclass(frozen=True)
class RecognizedShare:
    """The utterances that one process recognised: its share of a corpus."""

    recognitions: list[RecognizedUtterance]
    failures: list[Failure]
    loss: float
    """the speller's teacher-forced loss, summed over `characters`"""
    characters: int
    """characters of the references, with one end of sentence for each utterance"""
    search_seconds: float
    """time in which something was recognised, from samples to texts"""

    def without_alignments(self) -> "RecognizedShare":
        """A copy that is small enough to be sent to other processes."""
        empty = torch.empty(0, 0)
        recognitions = [replace(utterance, alignment=empty) for utterance in self.recognitions]
        return replace(self, recognitions=recognitions)


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on a corpus."""

    recognitions: list[RecognizedUtterance]
    pairs: list[TextPair]
    """of all utterances, those whose audio could not be read last. Of utterances with one id the
    later ones are numbered: a, a (2)"""
    failures: dict[str, str]
    """id of each utterance whose audio could not be read, and the reason; it is scored as an empty
    hypothesis"""
    unknown: dict[str, int]
    """characters of the transcripts that are not in the vocabulary, and how often each occurs; the
    model cannot recognise them"""
    score: Score
    ctc_score: Score | None
    """score of the CTC head alone, if there is one"""
    loss: float
    """the speller's teacher-forced loss per character; not a number for an export"""
    rtf: float
    """real-time factor: seconds of recognition, from samples to texts, for a second of audio"""

    @cached_property
    def attention_metrics(self) -> AttentionMetrics | None:
        """Mean metrics of the attention under teacher forcing; None without attention."""
        return mean_metrics(utterance.attention_metrics for utterance in self.recognitions)

    def epoch_metrics(self) -> dict[str, float]:
        """The metrics that a training run saves after every epoch."""
        metrics = self.to_json()
        return {name: metrics[name] for name in _EPOCH_METRICS if name in metrics}

    def to_json(self) -> dict[str, Any]:
        """Error rates, those of the CTC head, attention metrics, loss and failures by name."""
        ctc_score = {} if self.ctc_score is None else self.ctc_score.to_json()
        ctc = {f"ctc_{name}": ctc_score[name] for name in ("crr", "cer", "wer") if ctc_score}
        attention = {} if self.attention_metrics is None else vars(self.attention_metrics)
        others = {
            **({} if math.isnan(self.loss) else {"loss": self.loss}),
            "rtf": self.rtf,
            "unknown": self.unknown,
            "failures": self.failures,
        }
        return {**self.score.to_json(), **ctc, **attention, **others}


def evaluate(
    recognizer: Recognizer, batches: Iterable[Batch], normalizer: str, total: int | None = None
) -> Evaluation:
    """Transcribe all `batches` as `sorigeul transcribe` does, and compare with their transcripts.

    `normalizer` is the name of the transcripts' normaliser, for the report. `total` is the number
    of utterances, for the progress bar. Raises UserError if no transcript contains a character.
    """
    with progress_bar("recognising", total) as advance:
        transcribe_batch = partial(_transcribe_batch, recognizer)
        share = _recognize_all(batches, transcribe_batch, recognizer.threads(), advance)
    return score_recognitions([share], recognizer.pretrained.vocabulary, normalizer)


def recognize(
    model: ListenAttendSpell,
    batches: Iterable[Batch],
    vocabulary: Vocabulary,
    log_mel: Features,
    advance: Advance,
    options: SearchOptions = GREEDY,
) -> RecognizedShare:
    """Recognise the share of a corpus that `batches` are, each utterance as a whole.

    By default the search is greedy, which is all that an epoch of training needs.
    """
    recognize_batch = partial(
        _recognize_batch, model=model, vocabulary=vocabulary, log_mel=log_mel, options=options
    )
    threads = BatchThreads.on(next(model.parameters()).device)
    return _recognize_all(batches, recognize_batch, threads, advance)


@parametrize.cached()  # shared jamo embeddings are summed once, not again for every character
def _recognize_all(
    batches: Iterable[Batch],
    recognize_batch: Callable[[Batch], _RecognizedBatch],
    threads: BatchThreads,
    advance: Advance,
) -> RecognizedShare:
    """Recognise all batches."""
    recognitions: list[RecognizedUtterance] = []
    failures: list[Failure] = []
    spans: list[tuple[float, float]] = []
    loss, characters = 0.0, 0

    def recognized(batch: Batch) -> tuple[Batch, _RecognizedBatch | None]:
        return batch, recognize_batch(batch) if len(batch) else None

    with threads:
        for batch, found in threads.map(recognized, batches):
            failures += batch.failures
            if found is not None:
                utterances, batch_loss, span = found
                recognitions += utterances
                spans.append(span)
                batch_characters = int(batch.token_lengths.sum()) + len(batch)
                loss += batch_loss * batch_characters
                characters += batch_characters
            advance(len(batch) + len(batch.failures), "")
    return RecognizedShare(recognitions, failures, loss, characters, _covered(spans))


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """How much time spans of time cover, which may overlap."""
    covered, reached = 0.0, -math.inf
    for begin, end in sorted(spans):
        covered += max(end - max(begin, reached), 0.0)
        reached = max(reached, end)
    return covered


def score_recognitions(
    shares: Sequence[RecognizedShare], vocabulary: Vocabulary, normalizer: str
) -> Evaluation:
    """Compare the utterances of all processes with their transcripts.

    Raises UserError if no transcript contains a character.
    """
    id_of = _UniqueIds()
    recognitions = [
        replace(utterance, id=id_of(utterance.id))
        for share in shares
        for utterance in share.recognitions
    ]
    failures = [
        replace(failure, id=id_of(failure.id)) for share in shares for failure in share.failures
    ]
    pairs = [
        TextPair(one.id, one.reference, one.hypothesis, one.speaker) for one in recognitions
    ] + [TextPair(one.id, one.text, "", one.speaker) for one in failures]
    references = [pair.reference for pair in pairs]
    hypotheses = [pair.hypothesis for pair in pairs]
    no_texts = [""] * len(failures)
    ctc_hypotheses = [
        utterance.ctc_hypothesis
        for utterance in recognitions
        if utterance.ctc_hypothesis is not None
    ]
    unknown = Counter(unit for text in references for unit in vocabulary.unknown(text))
    loss = sum(share.loss for share in shares)
    characters = sum(share.characters for share in shares)
    search_seconds = sum(share.search_seconds for share in shares)
    return Evaluation(
        recognitions=recognitions,
        pairs=pairs,
        failures={failure.id: failure.reason for failure in failures},
        unknown=dict(unknown),
        score=score(references, hypotheses, normalizer),
        ctc_score=(
            score(references, ctc_hypotheses + no_texts, normalizer) if ctc_hypotheses else None
        ),
        loss=loss / max(characters, 1),
        rtf=search_seconds / max(sum(one.seconds for one in recognitions), 1 / SAMPLE_RATE),
    )


class _UniqueIds:
    """Gives each utterance an id of its own, whatever the manifest says: a, a (2), a (3)."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def __call__(self, id_: str) -> str:
        unique = next(one for one in _numbered(id_) if one not in self._given)
        self._given.add(unique)
        return unique


def _numbered(id_: str) -> Iterator[str]:
    yield id_
    yield from (f"{id_} ({number})" for number in count(2))


@torch.no_grad()
def _recognize_batch(
    batch: Batch,
    model: ListenAttendSpell,
    vocabulary: Vocabulary,
    log_mel: Features,
    options: SearchOptions,
) -> _RecognizedBatch:
    """Each utterance of a batch as a whole."""
    started = time.perf_counter()
    batch = batch.to(next(model.parameters()).device)
    encoded = model.listen(*log_mel(batch.waveforms, batch.lengths))
    hypotheses = [best for best, *_ in Search([model], options)([encoded])]
    ctc_texts: list[str] | list[None] = [None] * len(batch)
    if model.config.ctc_weight > 0:
        ctc_texts = [vocabulary.decode(tokens) for tokens in ctc_greedy_search(model, encoded)]
    span = started, time.perf_counter()
    loss, metrics = _force_transcripts(model, batch, encoded, log_mel)
    # With reversed input the model's first frame is the last of the recording.
    reversed_input = log_mel.config.input_reverse
    recognitions = [
        RecognizedUtterance(
            id=batch.ids[row],
            reference=batch.texts[row],
            hypothesis=vocabulary.decode(hypothesis.tokens),
            ctc_hypothesis=ctc_texts[row],
            speaker=batch.speakers[row],
            seconds=int(batch.lengths[row]) / SAMPLE_RATE,
            characters=[vocabulary.units[token] for token in hypothesis.tokens],
            alignment=_in_time(torch.from_numpy(hypothesis.alignment), reversed_input),
            attention_metrics=metrics[row],
        )
        for row, hypothesis in enumerate(hypotheses)
    ]
    return recognitions, loss, span


@torch.no_grad()
def _transcribe_batch(recognizer: Recognizer, batch: Batch) -> _RecognizedBatch:
    """As `_recognize_batch`, but the way every recording of a user goes."""
    pretrained = recognizer.pretrained
    started = time.perf_counter()
    rows = batch.rows()
    recordings = [SegmentedRecording.from_samples(row, recognizer.limits) for row in rows]
    transcriptions = recognizer.transcribe_all(recordings)
    span = started, time.perf_counter()
    loss = math.nan
    metrics: list[AttentionMetrics | None] = [None] * len(batch)
    if not recognizer.is_onnx:
        # Those of one pass over the whole utterance, without its silent ends.
        batch = batch.cut([recording.speech_span for recording in recordings]).to(recognizer.device)
        with recognizer.autocast():
            encoded = pretrained.model.listen(*recognizer.log_mel(batch.waveforms, batch.lengths))
            loss, metrics = _force_transcripts(pretrained.model, batch, encoded, recognizer.log_mel)
    has_ctc = pretrained.model.config.ctc_weight > 0
    recognitions = [
        RecognizedUtterance(
            id=batch.ids[row],
            reference=batch.texts[row],
            hypothesis=transcription.text,
            ctc_hypothesis=" ".join(s.ctc_text or "" for s in segments) if has_ctc else None,
            speaker=batch.speakers[row],
            seconds=transcription.duration,
            characters=[character for s in segments for character in s.characters],
            alignment=torch.block_diag(*map(_attention, segments)),  # type: ignore[no-untyped-call]
            attention_metrics=metrics[row],
            words=[word for s in segments for word in s.words],
            frame_spans=torch.cat([torch.empty(0, 2), *map(_frame_spans, segments)]),
            signal_to_noise=estimate_signal_to_noise(rows[row]),
        )
        for row, transcription in enumerate(transcriptions)
        for segments in [transcription.segments]
    ]
    return recognitions, loss, span


def _in_time(alignment: Tensor, reversed_input: bool) -> Tensor:
    """Attention (U, S) in the order of time."""
    return alignment.flip(1) if reversed_input else alignment


def _attention(segment: Segment) -> Tensor:
    """Attention (U, S) of a segment."""
    return torch.from_numpy(segment.alignment)


def _frame_spans(segment: Segment) -> Tensor:
    """Start and end of each listener frame of a segment in seconds (S, 2)."""
    edges = torch.linspace(segment.start, segment.end, segment.alignment.shape[1] + 1)
    return torch.stack((edges[:-1], edges[1:]), dim=1)


def _force_transcripts(
    model: ListenAttendSpell, batch: Batch, encoded: ListenerOutput, log_mel: Features
) -> tuple[float, list[AttentionMetrics | None]]:
    """The speller's mean loss per character and its attention, under teacher forcing.

    Of a text that cannot have been said in that time only the beginning counts: a padded batch of
    ten thousand characters would take gigabytes.
    """
    most = math.ceil(_MOST_UNITS_A_SECOND * batch.waveforms.shape[1] / SAMPLE_RATE)
    if batch.tokens.shape[1] > most:
        lengths = batch.token_lengths.clamp(max=most)
        batch = replace(batch, tokens=batch.tokens[:, :most], token_lengths=lengths)
    forced = model.spell(encoded, batch.tokens)
    loss = joint_losses(model.config, forced, batch.tokens, batch.token_lengths).speller
    metrics: list[AttentionMetrics | None] = [None] * len(batch)
    if model.config.use_attention:
        reversed_input = log_mel.config.input_reverse
        metrics = _attention_metrics(forced.alignments, encoded.lengths, batch, reversed_input)
    return float(loss), metrics


def _attention_metrics(
    alignments: Tensor, frames: Tensor, batch: Batch, reversed_input: bool
) -> list[AttentionMetrics | None]:
    """Metrics of each utterance's attention (B, U + 1, S), without the end of the sentence.

    `frames` (B,) are the valid listener frames.
    """
    metrics = []
    for row, (characters, valid_frames, samples) in enumerate(
        zip(batch.token_lengths.tolist(), frames.tolist(), batch.lengths.tolist(), strict=True)
    ):
        power = batch.waveforms[row : row + 1, :samples] ** 2
        energy = functional.adaptive_avg_pool1d(power, valid_frames)
        alignment = alignments[row, :characters, :valid_frames]
        if reversed_input:
            alignment = alignment.flip(1)
        metrics.append(measure_attention(alignment, energy[0]))
    return metrics
