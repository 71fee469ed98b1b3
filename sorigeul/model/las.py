"""Listen, Attend and Spell: its configuration, the model, its losses.

Chan, Jaitly, Le and Vinyals, "Listen, Attend and Spell", ICASSP 2016, in the form the seed document
of March 2020 prints, with a CTC head beside the speller where asked for (Kim, Hori and Watanabe,
"Joint CTC-attention based end-to-end speech recognition", ICASSP 2017).
"""

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple, get_args

import torch
import tyro
from torch import Tensor, nn
from torch.nn import functional

from sorigeul.errors import UserError
from sorigeul.model import ctc
from sorigeul.model.attention import Memory, ScoreFunction
from sorigeul.model.letters import share_letters
from sorigeul.model.listener import CONV_REDUCTION, Listener
from sorigeul.model.recurrent import CELLS, Cell
from sorigeul.model.speller import Speller

CTC_REDUCTION = 8
"""CTC reads the highest listener stack that shrinks time at most this much: at 100 frames a second
12.5 remain, above the 6.8 characters a second of KsponSpeech's speakers. Sixteen-fold would leave
6.25, from which an average utterance cannot be aligned."""


GUIDE_WIDTH = 2.0
"""CTC frames on either side of a character's place that its attention may use (one deviation)"""

GUIDE_LOSS = 2.5
"""CTC's loss a character (nats) around which the guide sets in. Where a character is said is known
before which one it is: at this loss CTC's path is good, though its probability of the text is not.
Drawn to its paths much earlier, the attention seemed to hold CTC itself back (docs/lab.md)."""


@dataclass(frozen=True)
class LASConfig:
    """The shape of the model and the weights of its losses. Defaults are the seed's."""

    use_bidirectional: bool = True
    """if True, becomes a bidirectional encoder"""
    use_attention: bool = True
    """flag indication whether to use attention mechanism or not; without it the speller starts from
    a summary of the utterance"""
    score_function: ScoreFunction = "self"
    """which attention to use"""
    use_pyramidal: bool = True
    """flag indication whether to use pLSTM or not; without it time shrinks 4-fold"""
    listener_layer_size: int = 5
    """number of listener's RNN layers"""
    speller_layer_size: int = 3
    """number of speller's RNN layers"""
    hidden_size: int = 256
    """size of hidden state of RNN; the speller's is twice that if the listener is bidirectional"""
    dropout: float = 0.5
    """dropout probability"""
    time_reduction: int = 16
    """how many times shorter the pyramid leaves the frames: 8 or 16"""
    cell: Cell = "gru"
    """recurrent cell: gru, lstm or plain rnn"""
    conv_channels: int = 64
    """channels of the first convolutional stage; the second has twice as many"""
    attention_heads: int = 4
    """heads of multi-head attention"""
    feed_context: bool = False
    """feed the attention's output back into the speller (as published; not in the seed's print)"""
    ctc_weight: float = 0.0
    """weight of the CTC loss beside the speller's; 0 leaves the CTC head out"""
    guide_weight: float = 0.0
    """weight of the loss that draws the attention to where CTC hears each character"""
    share_letters: bool = False
    """let syllables share what their letters (초성, 중성, 종성) have in common"""
    n_mels: Annotated[int, tyro.conf.Suppress] = 80
    vocabulary_size: Annotated[int, tyro.conf.Suppress] = 2040

    @classmethod
    def seed(cls, n_mels: int = 128, vocabulary_size: int = 2040) -> "LASConfig":
        """The model the seed document prints. Its feature table says 80 mel bands, its tree 128."""
        return cls(n_mels=n_mels, vocabulary_size=vocabulary_size)

    def __post_init__(self) -> None:
        def refuse(setting: str, wanted: str) -> None:
            raise UserError(f"{setting} is {getattr(self, setting)}, but must be {wanted}")

        for setting in ("hidden_size", "conv_channels", "speller_layer_size", "attention_heads"):
            if getattr(self, setting) < 1:
                refuse(setting, "at least 1")
        if self.score_function not in get_args(ScoreFunction):
            refuse("score_function", "one of " + ", ".join(get_args(ScoreFunction)))
        if self.cell not in CELLS:
            refuse("cell", "one of " + ", ".join(CELLS))
        if self.time_reduction not in (8, 16):
            refuse("time_reduction", "8 or 16 (use_pyramidal False gives 4)")
        if self.listener_layer_size < self.pyramid_levels + 1:
            refuse("listener_layer_size", f"at least {self.pyramid_levels + 1}: one layer a stack")
        if not 0 <= self.dropout < 1:
            refuse("dropout", "at least 0 and below 1")
        if not 0 <= self.ctc_weight < 1:
            refuse("ctc_weight", "at least 0 and below 1")
        if self.guide_weight < 0:
            refuse("guide_weight", "0 or more")
        if self.guide_weight > 0 and not (self.ctc_weight > 0 and self.use_attention):
            refuse("guide_weight", "0 without ctc_weight and use_attention: CTC guides attention")
        if self.n_mels < CONV_REDUCTION:
            refuse("n_mels", f"at least {CONV_REDUCTION}")
        if self.vocabulary_size < 4:
            refuse("vocabulary_size", "at least 4: one character and three specials")
        if self.score_function == "multi-head" and self.width % self.attention_heads:
            refuse("attention_heads", f"a divisor of the speller's width {self.width}")

    @property
    def pyramid_levels(self) -> int:
        return int(math.log2(self.reduction // CONV_REDUCTION))

    @property
    def reduction(self) -> int:
        """Feature frames to one frame that the speller attends to."""
        return self.time_reduction if self.use_pyramidal else CONV_REDUCTION

    @property
    def ctc_reduction(self) -> int:
        """Feature frames to one frame that CTC reads."""
        return min(self.reduction, CTC_REDUCTION)

    @property
    def width(self) -> int:
        """Width D of the listener's frames and of the speller."""
        return self.hidden_size * (2 if self.use_bidirectional else 1)

    @property
    def sos_id(self) -> int:
        return self.vocabulary_size - 3

    @property
    def eos_id(self) -> int:
        return self.vocabulary_size - 2

    @property
    def pad_id(self) -> int:
        """Padding of targets, and the blank of CTC, since neither is ever a target."""
        return self.vocabulary_size - 1


@dataclass(frozen=True)
class Listened:
    """What the listener gives."""

    frames: Tensor
    """what the speller attends to (B, S, D)"""
    lengths: Tensor
    """valid frames (B,)"""
    ctc_frames: Tensor
    """what CTC reads (B, S', D); S' is S or longer"""
    ctc_lengths: Tensor
    """valid frames (B,)"""


class Spelled(NamedTuple):
    """What a teacher-forced or free-running pass gives."""

    logits: Tensor
    """scores of each next character and of the end (B, U + 1, V)"""
    alignments: Tensor
    """attention (B, U + 1, S), each row of which sums to 1"""
    ctc_logits: Tensor | None
    """scores of the CTC head (B, S', V)"""
    ctc_lengths: Tensor
    """valid CTC frames (B,)"""


@dataclass(frozen=True)
class Losses:
    """Losses of a batch, each a mean over its characters."""

    total: Tensor
    speller: Tensor
    ctc: Tensor
    guide: Tensor


class ListenAttendSpell(nn.Module):
    """The model. Tokens are character ids without specials, padded with ``config.pad_id``.

    Parameters
    ----------
    letters : ids (V, 3) of each unit's letters, which training needs where they are shared; a
        trained model does not, since their sums have been taken
    """

    def __init__(self, config: LASConfig, letters: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.listener = Listener(
            config.n_mels, config.hidden_size, config.listener_layer_size, config.pyramid_levels,
            config.conv_channels, config.cell, config.dropout, config.use_bidirectional,
        )  # fmt: skip
        self.speller = Speller(
            config.vocabulary_size, config.width, config.speller_layer_size, config.cell,
            config.dropout, config.use_attention, config.score_function, config.attention_heads,
            config.feed_context, config.use_bidirectional,
        )  # fmt: skip
        if config.ctc_weight > 0:
            self.ctc = nn.Linear(config.width, config.vocabulary_size)
        if config.share_letters and letters is not None:
            share_letters(self.speller.embedding, letters)
            share_letters(self.speller.out, letters)
            if config.ctc_weight > 0:
                share_letters(self.ctc, letters)

    def listen(self, features: Tensor, lengths: Tensor) -> Listened:
        """Features (B, T, F), lengths (B,) -> what the listener heard."""
        outputs = self.listener(features, lengths)
        levels = int(math.log2(self.config.ctc_reduction // CONV_REDUCTION))
        return Listened(*outputs[-1], *outputs[levels])

    def remember(self, listened: Listened) -> Memory:
        """The memory the speller attends to at every step."""
        return self.speller.remember(listened.frames, listened.lengths)

    def ctc_logits(self, listened: Listened) -> Tensor | None:
        """Scores of the CTC head (B, S', V), if there is one."""
        return self.ctc(listened.ctc_frames) if self.config.ctc_weight > 0 else None

    def forward(
        self,
        features: Tensor,
        lengths: Tensor,
        tokens: Tensor,
        teacher_forcing: bool = True,
        sampling: float = 0.0,
    ) -> Spelled:
        """Features (B, T, F), lengths (B,), tokens (B, U) -> the scores of every position.

        Without teacher forcing the speller reads its own best character instead of `tokens`; with
        it, in the place of so many of the `tokens` (0 to 1, each drawn for itself).
        """
        return self.spell(self.listen(features, lengths), tokens, teacher_forcing, sampling)

    def spell(
        self,
        listened: Listened,
        tokens: Tensor,
        teacher_forcing: bool = True,
        sampling: float = 0.0,
    ) -> Spelled:
        """As `forward`, of what the listener heard."""
        memory = self.remember(listened)
        inputs = functional.pad(tokens, (1, 0), value=self.config.sos_id)
        if teacher_forcing:
            if sampling > 0:
                inputs = self._sampled(inputs, memory, sampling)
            logits, alignments, _ = self.speller(inputs, memory)
        else:
            logits, alignments = self.speller.free_run(inputs[:, 0], inputs.shape[1], memory)
        return Spelled(logits, alignments, self.ctc_logits(listened), listened.ctc_lengths)

    @torch.no_grad()
    def _sampled(self, inputs: Tensor, memory: Memory, share: float) -> Tensor:
        """What the speller reads (B, U + 1), a `share` of it replaced by its own best guesses.

        Scheduled sampling (Bengio et al. 2015) in two passes (Mihaylova and Martins 2019), so that
        a sentence is still read at once: the guesses are those of a pass over the true text.
        """
        logits, _, _ = self.speller(inputs, memory)
        logits[..., self.config.sos_id :] = -torch.inf  # marks are no characters
        guesses = functional.pad(logits[:, :-1].argmax(-1), (1, 0), value=self.config.sos_id)
        drawn = torch.rand(inputs.shape).to(inputs.device) < share
        return torch.where(drawn & (inputs != self.config.pad_id), guesses, inputs)

    def losses(
        self,
        spelled: Spelled,
        tokens: Tensor,
        token_lengths: Tensor,
        label_smoothing: float = 0.0,
        of: int | None = None,
    ) -> Losses:
        """Joint loss ``(1 - w) speller + w CTC`` (Kim et al. 2017, equation 9) of tokens (B, U).

        Each part is a mean over the characters of the batch, the end mark included, so that a batch
        weighs by how much text it holds; where the batch is only a part of a larger one, of which
        the losses shall add up, over the `of` characters of that. An utterance with fewer frames
        than CTC needs for its text adds nothing to the CTC loss, and nothing to the guide.
        """
        targets = self.targets(tokens, token_lengths)
        count = (token_lengths + 1).sum() if of is None else of
        speller = functional.cross_entropy(
            spelled.logits.float().transpose(1, 2), targets, ignore_index=self.config.pad_id,
            label_smoothing=label_smoothing, reduction="sum",
        ) / count  # fmt: skip
        if spelled.ctc_logits is None:
            return Losses(speller, speller, torch.zeros_like(speller), torch.zeros_like(speller))
        ctc_each = functional.ctc_loss(
            spelled.ctc_logits.float().log_softmax(-1).transpose(0, 1), tokens,
            spelled.ctc_lengths, token_lengths, blank=self.config.pad_id, reduction="none",
            zero_infinity=True,
        )  # fmt: skip
        ctc_loss = ctc_each.sum() / count
        weight = self.config.ctc_weight
        total = (1 - weight) * speller + weight * ctc_loss
        guide = torch.zeros_like(speller)
        if self.config.guide_weight > 0:
            a_character = ctc_each.detach() / token_lengths.clamp_min(1)
            surety = torch.exp(-(a_character / GUIDE_LOSS).pow(4))
            guide = self.guide(spelled, tokens, token_lengths, surety) / count
            total = total + self.config.guide_weight * guide
        return Losses(total, speller, ctc_loss, guide)

    def guide(
        self, spelled: Spelled, tokens: Tensor, token_lengths: Tensor, surety: Tensor
    ) -> Tensor:
        """Sum of the attention that lies away from where CTC's own alignment has each character.

        As the guided attention of Tachibana et al. 2018, equation 7, but around the best CTC path
        instead of the diagonal, since people pause and do not speak at one pace; and the stronger
        the surer CTC is of the text (`surety` (B,), 0 to 1), since at first it knows nothing.
        """
        assert spelled.ctc_logits is not None
        place, known = ctc.align(
            spelled.ctc_logits, spelled.ctc_lengths, tokens, token_lengths, self.config.pad_id
        )
        frame = torch.arange(spelled.alignments.shape[2], device=place.device)
        # A listener frame covers this many CTC frames; its middle is what the place is compared to.
        cover = self.config.reduction / self.config.ctc_reduction
        distance = (frame * cover + (cover - 1) / 2) - place.unsqueeze(2)
        away = 1 - torch.exp(-0.5 * (distance / GUIDE_WIDTH).square())
        stray = (spelled.alignments[:, :-1].float() * away).sum(2)
        return (stray * known * surety.unsqueeze(1)).sum()

    def targets(self, tokens: Tensor, token_lengths: Tensor) -> Tensor:
        """Tokens (B, U) -> what each position should predict (B, U + 1): the text, then the end."""
        targets = functional.pad(tokens, (0, 1), value=self.config.pad_id)
        return targets.scatter(1, token_lengths.unsqueeze(1), self.config.eos_id)
