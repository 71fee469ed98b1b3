"""Configuration of Listen, Attend and Spell: its shape, and the weights of its losses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

import tyro

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import SHARE_BELOW_1, WEIGHT, Range, check_ranges

LISTENERS = ("pyramid", "conformer")
PRETRAINED = "hf:"
"""how the name of a pretrained listener begins; what follows is a folder or a Hugging Face id"""
ScoreFunction = Literal["self", "dot", "additive", "location", "multi-head"]
Cell = Literal["gru", "lstm", "rnn"]

LAYERS = Range(1, 100)

CONV_REDUCTION = 4
"""factor by which the convolutions shorten the sequence of frames"""

CONFORMER_KERNEL = 15
"""frames that the convolution of a Conformer reads; 0.6 s at the lowest stack, as the published 32
frames of 40 ms"""

CONFORMER_EXPANSION = 4
"""how much wider its feed-forward modules are inside, as published"""

ROTARY_BASE = 10_000.0
"""of the wavelengths of its rotary positions, as published"""

LOCATION_CHANNELS, LOCATION_KERNEL = 10, 31
"""of the convolution by which location-aware attention sees its previous alignment"""

ENCODER_REDUCTION = 2
"""the same factor of a pretrained listener's encoder, from 100 frames a second to 50"""

CTC_REDUCTION = 8
"""CTC reads the highest listener stack that shortens time by at most this factor. Of 100 frames a
second, 12.5 remain, more than the 6.8 characters a second of KsponSpeech's speakers. A factor of 16
would leave 6.25, with which CTC cannot align an average utterance."""


@dataclass(frozen=True)
class LASConfig:
    """The shape of the model and the weights of its losses. Defaults are the seed's."""

    listener: str = "pyramid"
    """what follows the convolutions: pyramid, recurrent layers as in the seed, or conformer, blocks
    of self-attention and convolution (Gulati et al. 2020); or hf:NAME, a pretrained encoder in
    place of both, from a folder in the format of Hugging Face's transformers or from their hub:
    wav2vec 2.0, HuBERT or Whisper. It brings its features"""
    use_bidirectional: bool = True
    """if True, becomes a bidirectional encoder"""
    use_attention: bool = True
    """flag indication whether to use attention mechanism or not; without it the speller starts from
    a summary of the utterance"""
    score_function: ScoreFunction = "self"
    """which attention to use"""
    use_pyramidal: bool = True
    """flag indication whether to use pLSTM or not; without it time is shortened 4-fold, and by a
    pretrained listener 2-fold"""
    listener_layer_size: Annotated[int, LAYERS] = 5
    """number of listener's RNN layers, or of its Conformer blocks"""
    speller_layer_size: Annotated[int, LAYERS] = 3
    """number of speller's RNN layers"""
    hidden_size: Annotated[int, Range(1, 16_384)] = 256
    """size of hidden state of RNN; the speller's is twice that if the listener is bidirectional"""
    speller_size: Annotated[int, Range(0, 32_768)] = 0
    """size of hidden state of the speller's RNN, to which the listener's frames are projected; 0:
    that which hidden_size gives"""
    dropout: Annotated[float, SHARE_BELOW_1] = 0.5
    """dropout probability"""
    junction_dropout: Annotated[float, SHARE_BELOW_1] = 0.0
    """dropout between the parts of the model: after the convolutions, after each listener stack,
    and before the speller's output; for trainings of many passes"""
    junction_norm: bool = False
    """layer normalisation of the frames after the convolutions and after each stack of the
    pyramid; a Conformer has norms of its own"""
    time_reduction: int = 16
    """factor by which convolutions and pyramid shorten the sequence of frames: 8 or 16; with a
    pretrained listener, which leaves 50 frames a second to CTC, 4, 8 or 16 for the speller"""
    cell: Cell = "gru"
    """recurrent cell: gru, lstm or plain rnn"""
    conv_channels: Annotated[int, Range(1, 4096)] = 64
    """channels of the first convolutional stage; the second has twice as many"""
    attention_heads: Annotated[int, Range(1, 1024)] = 4
    """heads of multi-head attention, and of the self-attention of a Conformer"""
    feed_context: bool = False
    """feed the attention's output back into the speller (as published; not in the seed's print)"""
    ctc_weight: Annotated[float, SHARE_BELOW_1] = 0.0
    """weight of the CTC loss beside the speller's; 0 leaves the CTC head out"""
    guide_weight: Annotated[float, WEIGHT] = 0.0
    """weight of the loss that guides the attention to where CTC aligns each character"""
    jamo_ctc_weight: Annotated[float, WEIGHT] = 0.0
    """weight of a second CTC loss, for jamo (초성, 중성, 종성) at the lowest listener stack; its
    head is used in training only"""
    share_letters: bool = False
    """add weights of its jamo (초성, 중성, 종성) to those of each syllable, so that rare syllables
    learn from common ones"""
    n_mels: Annotated[int, Range(CONV_REDUCTION, 32_768), tyro.conf.Suppress] = 80
    vocabulary_size: Annotated[int, Range(4, 1_200_000), tyro.conf.Suppress] = 2040
    """one character and three specials at least"""
    encoder: Annotated[Mapping[str, Any], tyro.conf.Fixed, tyro.conf.Suppress] = field(
        default_factory=dict
    )
    """shape of a pretrained listener's encoder, in the words of its own `config.json`; it follows
    from `listener`, and is empty for the others"""

    @classmethod
    def seed(cls, n_mels: int = 128, vocabulary_size: int = 2040) -> "LASConfig":
        """The model that the seed document prints.

        It has 128 mel bands, although the seed's feature table says 80.
        """
        return cls(n_mels=n_mels, vocabulary_size=vocabulary_size)

    def __post_init__(self) -> None:
        def refuse(setting: str, requirement: str) -> None:
            raise UserError(f"{setting} is {getattr(self, setting)}, but must be {requirement}")

        check_ranges(self)
        if self.listener not in LISTENERS and not self.is_pretrained:
            refuse("listener", f"one of {', '.join(LISTENERS)}, {PRETRAINED}NAME")
        if self.score_function not in get_args(ScoreFunction):
            refuse("score_function", "one of " + ", ".join(get_args(ScoreFunction)))
        if self.cell not in get_args(Cell):
            refuse("cell", "one of " + ", ".join(get_args(Cell)))
        if self.encoder and not self.is_pretrained:
            refuse("encoder", "empty without a pretrained listener")
        if self.is_pretrained:
            if self.time_reduction not in (4, 8, 16):
                refuse("time_reduction", "4, 8 or 16 (use_pyramidal False gives 2)")
        elif self.time_reduction not in (8, 16):
            refuse("time_reduction", "8 or 16 (use_pyramidal False gives 4)")
        elif self.listener_layer_size < self.pyramid_levels + 1:
            refuse("listener_layer_size", f"at least {self.pyramid_levels + 1}: one layer a stack")
        if self.guide_weight > 0 and not (self.ctc_weight > 0 and self.use_attention):
            refuse("guide_weight", "0 without ctc_weight and use_attention: CTC guides attention")
        if self.score_function == "multi-head" and self.speller_width % self.attention_heads:
            refuse("attention_heads", f"a divisor of the speller's width {self.speller_width}")
        if self.speller_size and not self.use_attention:
            refuse(
                "speller_size", "0 without use_attention: the speller starts from frames as wide"
            )
        if self.junction_norm and self.listener != "pyramid":
            refuse("junction_norm", f"False with {self.listener}, which has norms of its own")
        if self.listener == "conformer" and self.width % (2 * self.attention_heads):
            refuse("attention_heads", f"a divisor of half the listener's width {self.width}")

    @property
    def is_pretrained(self) -> bool:
        """Whether the listener is a pretrained encoder."""
        return self.listener.startswith(PRETRAINED) and self.listener != PRETRAINED

    @property
    def pyramid_levels(self) -> int:
        """How often the listener halves the sequence after its lowest stack."""
        return int(math.log2(self.reduction // self.lowest_reduction))

    @property
    def stack_sizes(self) -> list[int]:
        """How many layers each stack of the listener has, the lowest first.

        They are distributed evenly, the lower stacks first (5 layers, 3 stacks: 2 + 2 + 1).
        """
        layers, stacks = self.listener_layer_size, self.pyramid_levels + 1
        return [layers // stacks + (stack < layers % stacks) for stack in range(stacks)]

    @property
    def reduction(self) -> int:
        """Feature frames for each frame that the speller attends to.

        With a pretrained listener, frames of 10 ms: what it hears may be samples.
        """
        return self.time_reduction if self.use_pyramidal else self.lowest_reduction

    @property
    def lowest_reduction(self) -> int:
        """The same for each frame of the listener's lowest stack."""
        return ENCODER_REDUCTION if self.is_pretrained else CONV_REDUCTION

    @property
    def ctc_reduction(self) -> int:
        """The same for each frame that CTC reads."""
        return ENCODER_REDUCTION if self.is_pretrained else min(self.reduction, CTC_REDUCTION)

    @property
    def width(self) -> int:
        """Width D of the listener's frames, and of the speller unless `speller_size` is set."""
        return self.hidden_size * (2 if self.use_bidirectional else 1)

    @property
    def speller_width(self) -> int:
        """Width of the speller, and of the frames in its memory."""
        return self.speller_size or self.width

    @property
    def sos_id(self) -> int:
        """Start mark, the speller's first input."""
        return self.vocabulary_size - 3

    @property
    def eos_id(self) -> int:
        """End mark, the speller's last target."""
        return self.vocabulary_size - 2

    @property
    def pad_id(self) -> int:
        """Padding of targets, and also the blank of CTC, since neither is ever a target."""
        return self.vocabulary_size - 1
