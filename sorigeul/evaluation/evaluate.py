"""A model over a corpus: every utterance recognised free-running and compared with its text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import parametrize

from sorigeul.base.progress import Advance, progress_bar
from sorigeul.data.batches import Batch, Failure
from sorigeul.evaluation.attention_metrics import AttentionMetrics, mean_metrics, measure_attention
from sorigeul.evaluation.scores import Score, score
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.losses import joint_losses
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.search.decoding import search
from sorigeul.search.greedy import ctc_greedy_search
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.features import LogMel
from sorigeul.text.vocabulary import Vocabulary

_OF_AN_EPOCH = ("loss", "crr", "ctc_crr", *(field.name for field in fields(AttentionMetrics)))


@dataclass(frozen=True)
class Recognition:
    """One utterance, as said and as recognised."""

    id: str
    reference: str
    hypothesis: str
    ctc_hypothesis: str | None
    """what the CTC head alone makes of it, if there is one"""
    seconds: float
    tokens: list[int]
    alignment: Tensor
    """attention (U, S) over the listener's frames, in the order of time"""
    attention_metrics: AttentionMetrics | None
    """figures of the attention under teacher forcing, which do not suffer from what the speller
    gets wrong; none for a model without attention or a text of less than two characters"""


@dataclass(frozen=True)
class RecognizedShare:
    """What one process made of its share of a corpus."""

    recognitions: list[Recognition]
    failures: list[Failure]
    loss: float
    """the speller's teacher-forced loss, summed over `characters`"""
    characters: int

    def without_alignments(self) -> "RecognizedShare":
        """As light as it goes, to be sent to other processes."""
        nowhere = torch.empty(0, 0)
        return replace(
            self, recognitions=[replace(one, alignment=nowhere) for one in self.recognitions]
        )


@dataclass(frozen=True)
class Evaluation:
    """What a model makes of a corpus."""

    recognitions: list[Recognition]
    failures: dict[str, str]
    """utterances whose audio could not be read, and why; they score as recognised as nothing"""
    unknown: dict[str, int]
    """characters of the transcripts that the vocabulary lacks, and how often: never recognised"""
    score: Score
    ctc_score: Score | None
    loss: float
    """the speller's teacher-forced loss a character"""

    @cached_property
    def attention_metrics(self) -> AttentionMetrics | None:
        """How well the attention aligns under teacher forcing; none without attention."""
        return mean_metrics(one.attention_metrics for one in self.recognitions)

    def epoch_metrics(self) -> dict[str, float]:
        """Loss, rates and figures of the alignment, as a run keeps them of every epoch."""
        found = self.to_json()
        return {name: found[name] for name in _OF_AN_EPOCH if name in found}

    def to_json(self) -> dict[str, Any]:
        """The figures of the score, of the CTC head and of the alignment, and the failures."""
        by_ctc = {} if self.ctc_score is None else self.ctc_score.to_json()
        ctc = {f"ctc_{name}": by_ctc[name] for name in ("crr", "cer", "wer") if by_ctc}
        attention = {} if self.attention_metrics is None else vars(self.attention_metrics)
        rest = {"loss": self.loss, "unknown": self.unknown, "failures": self.failures}
        return {**self.score.to_json(), **ctc, **attention, **rest}


def evaluate(
    recognizer: Recognizer, batches: Iterable[Batch], normalizer: str, total: int | None = None
) -> Evaluation:
    """Recognize all `batches` as `recognizer` does, and compare them with their transcripts.

    `normalizer` is the name of the transcripts' normaliser, for the report. `total` is the number
    of utterances, for the progress bar. Raises UserError if no transcript holds a character.
    """
    model, vocabulary = recognizer.pretrained.model, recognizer.pretrained.vocabulary
    with progress_bar("recognising", total) as advance, recognizer.arithmetic():
        share = recognize(model, batches, vocabulary, recognizer.log_mel, advance, recognizer.beam)
    return score_recognitions([share], vocabulary, normalizer)


@torch.no_grad()
@parametrize.cached()  # shared letters are summed once, not for each character written
def recognize(
    model: ListenAttendSpell,
    batches: Iterable[Batch],
    vocabulary: Vocabulary,
    log_mel: LogMel,
    advance: Advance,
    beam: int = 1,
) -> RecognizedShare:
    """The first half of `evaluate`, which several processes can share out.

    By the speller alone unless asked otherwise: that is what an epoch of training wants to know.
    """
    device = next(model.parameters()).device
    recognitions: list[Recognition] = []
    failures: list[Failure] = []
    loss, characters = 0.0, 0
    for batch in batches:
        failures += batch.failures
        if len(batch):
            found, batch_loss = _recognize(model, batch.to(device), vocabulary, log_mel, beam)
            recognitions += found
            tokens = int(batch.token_lengths.sum()) + len(batch)
            loss, characters = loss + batch_loss * tokens, characters + tokens
        advance(len(batch) + len(batch.failures), "")
    return RecognizedShare(recognitions, failures, loss, characters)


def score_recognitions(
    shares: Sequence[RecognizedShare], vocabulary: Vocabulary, normalizer: str
) -> Evaluation:
    """The second half of `evaluate`: what the processes heard, compared with the transcripts.

    Raises UserError where no transcript holds a character.
    """
    recognitions = [one for share in shares for one in share.recognitions]
    failures = [one for share in shares for one in share.failures]
    references = [one.reference for one in recognitions] + [one.text for one in failures]
    nothing = [""] * len(failures)
    heard = [one.hypothesis for one in recognitions] + nothing
    by_ctc = [one.ctc_hypothesis for one in recognitions if one.ctc_hypothesis is not None]
    characters = sum(share.characters for share in shares)
    return Evaluation(
        recognitions,
        {one.id: one.reason for one in failures},
        dict(Counter(unit for text in references for unit in vocabulary.unknown(text))),
        score(references, heard, normalizer),
        score(references, by_ctc + nothing, normalizer) if by_ctc else None,
        sum(share.loss for share in shares) / max(characters, 1),
    )


def _recognize(
    model: ListenAttendSpell, batch: Batch, vocabulary: Vocabulary, log_mel: LogMel, beam: int
) -> tuple[list[Recognition], float]:
    features, lengths = log_mel(batch.waveforms, batch.lengths)
    encoded = model.listen(features, lengths)
    hypotheses = search(model, encoded, beam)
    ctc: list[str] | list[None] = [None] * len(batch)
    if model.config.ctc_weight > 0:
        ctc = [vocabulary.decode(tokens) for tokens in ctc_greedy_search(model, encoded)]
    spelled = model.spell(encoded, batch.tokens)
    loss = joint_losses(model.config, spelled, batch.tokens, batch.token_lengths).speller
    backwards = log_mel.config.input_reverse
    metrics: list[AttentionMetrics | None] = [None] * len(batch)
    if model.config.use_attention:
        metrics = _attention_metrics(spelled.alignments, encoded.lengths, batch, backwards)
    recognitions = [
        Recognition(
            id=batch.ids[row],
            reference=batch.texts[row],
            hypothesis=vocabulary.decode(hypothesis.tokens),
            ctc_hypothesis=ctc[row],
            seconds=int(batch.lengths[row]) / SAMPLE_RATE,
            tokens=hypothesis.tokens,
            # Where the model hears backwards, its first frame is the last of the recording.
            alignment=hypothesis.alignment.flip(1) if backwards else hypothesis.alignment,
            attention_metrics=metrics[row],
        )
        for row, hypothesis in enumerate(hypotheses)
    ]
    return recognitions, float(loss)


def _attention_metrics(
    attention: Tensor, frames: Tensor, batch: Batch, backwards: bool
) -> list[AttentionMetrics | None]:
    """Figures of each utterance's attention (B, U + 1, S), the end mark's row left out."""
    found = []
    for row, (characters, valid, samples) in enumerate(
        zip(batch.token_lengths.tolist(), frames.tolist(), batch.lengths.tolist(), strict=True)
    ):
        squares = batch.waveforms[row : row + 1, :samples] ** 2
        energy = functional.adaptive_avg_pool1d(squares, valid)
        looked = attention[row, :characters, :valid]
        found.append(measure_attention(looked.flip(1) if backwards else looked, energy[0]))
    return found
