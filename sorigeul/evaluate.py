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

from sorigeul import alignment, decode
from sorigeul.alignment import Alignment
from sorigeul.audio import SAMPLE_RATE
from sorigeul.data import Batch, Failure
from sorigeul.features import LogMel
from sorigeul.model.las import ListenAttendSpell
from sorigeul.progress import Advance, progress_bar
from sorigeul.score import Score, score
from sorigeul.vocabulary import Vocabulary

_OF_AN_EPOCH = ("loss", "crr", "ctc_crr", *(field.name for field in fields(Alignment)))


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
    aligned: Alignment | None
    """figures of the attention under teacher forcing, which do not suffer from what the speller
    gets wrong; none for a model without attention or a text of less than two characters"""


@dataclass(frozen=True)
class Heard:
    """What one process made of its share of a corpus."""

    recognitions: list[Recognition]
    failures: list[Failure]
    loss: float
    """the speller's teacher-forced loss, summed over `characters`"""
    characters: int

    def without_alignments(self) -> "Heard":
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
    def alignment(self) -> Alignment | None:
        """How well the attention aligns under teacher forcing; none without attention."""
        return alignment.mean(one.aligned for one in self.recognitions)

    def figures(self) -> dict[str, float]:
        """Loss, rates and figures of the alignment, as a run keeps them of every epoch."""
        found = self.to_json()
        return {name: found[name] for name in _OF_AN_EPOCH if name in found}

    def to_json(self) -> dict[str, Any]:
        """The figures of the score, of the CTC head and of the alignment, and the failures."""
        by_ctc = {} if self.ctc_score is None else self.ctc_score.to_json()
        ctc = {f"ctc_{name}": by_ctc[name] for name in ("crr", "cer", "wer") if by_ctc}
        aligned = {} if self.alignment is None else vars(self.alignment)
        rest = {"loss": self.loss, "unknown": self.unknown, "failures": self.failures}
        return {**self.score.to_json(), **ctc, **aligned, **rest}


def evaluate(
    model: ListenAttendSpell,
    batches: Iterable[Batch],
    vocabulary: Vocabulary,
    log_mel: LogMel,
    normalizer: str,
    total: int | None = None,
    beam: int = 0,
) -> Evaluation:
    """Recognise all `batches` with a model in evaluation mode, on its own device, and judge it.

    `total` is how many utterances there are, for the progress shown; `beam` is the width of
    `decode.search`.
    Raises UserError where no transcript holds a character.
    """
    with progress_bar("recognising", total) as advance:
        heard = recognise(model, batches, vocabulary, log_mel, advance, beam)
    return judge([heard], vocabulary, normalizer)


@torch.no_grad()
@parametrize.cached()  # shared letters are summed once, not for each character written
def recognise(
    model: ListenAttendSpell,
    batches: Iterable[Batch],
    vocabulary: Vocabulary,
    log_mel: LogMel,
    advance: Advance,
    beam: int = 1,
) -> Heard:
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
    return Heard(recognitions, failures, loss, characters)


def judge(shares: Sequence[Heard], vocabulary: Vocabulary, normalizer: str) -> Evaluation:
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
    listened = model.listen(features, lengths)
    hypotheses = decode.search(model, listened, beam)
    ctc: list[str] | list[None] = [None] * len(batch)
    if model.config.ctc_weight > 0:
        ctc = [vocabulary.decode(tokens) for tokens in decode.ctc_greedy(model, listened)]
    spelled = model.spell(listened, batch.tokens)
    loss = model.losses(spelled, batch.tokens, batch.token_lengths).speller
    backwards = log_mel.config.input_reverse
    aligned: list[Alignment | None] = [None] * len(batch)
    if model.config.use_attention:
        aligned = _alignments(spelled.alignments, listened.lengths, batch, backwards)
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
            aligned=aligned[row],
        )
        for row, hypothesis in enumerate(hypotheses)
    ]
    return recognitions, float(loss)


def _alignments(
    attention: Tensor, frames: Tensor, batch: Batch, backwards: bool
) -> list[Alignment | None]:
    """Figures of each utterance's attention (B, U + 1, S), the end mark's row left out."""
    found = []
    for row, (characters, valid, samples) in enumerate(
        zip(batch.token_lengths.tolist(), frames.tolist(), batch.lengths.tolist(), strict=True)
    ):
        squares = batch.waveforms[row : row + 1, :samples] ** 2
        energy = functional.adaptive_avg_pool1d(squares, valid)
        looked = attention[row, :characters, :valid]
        found.append(alignment.measure(looked.flip(1) if backwards else looked, energy[0]))
    return found
