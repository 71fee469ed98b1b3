"""A listener that was trained on other speech before: the encoder of a model of `transformers`.

wav2vec 2.0 (Baevski et al. 2020), HuBERT (Hsu et al. 2021) or Whisper (Radford et al. 2022), in
place of convolutions and pyramid. Its weights come from `sorigeul.pretrained.encoders`, or with a
whole model. Its masks and layer drop are off: what is masked is decided before the listener, and a
layer that is left out would be missed by the other processes of a run.

Shapes: B utterances, N samples, T frames, F mel bands, S listener frames, D width, C channels.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from importlib.util import find_spec
from math import log2, prod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigeul.base.errors import UserError
from sorigeul.model.config import LASConfig
from sorigeul.model.conformer import join_pairs

_LARGEST = {"layers": 200, "size": 65_536}  # far beyond every published encoder

_SHARED = ("attention_dropout", "activation_dropout")
_WAVEFORM_SHAPE = (
    *_SHARED,
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout",
    "feat_proj_dropout",
    "layer_norm_eps",
    "feat_extract_norm",
    "feat_extract_activation",
    "conv_dim",
    "conv_stride",
    "conv_kernel",
    "conv_bias",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "do_stable_layer_norm",
)
SHAPES: Mapping[str, tuple[str, ...]] = {
    "hubert": (*_WAVEFORM_SHAPE, "feat_proj_layer_norm", "conv_pos_batch_norm"),
    "wav2vec2": (*_WAVEFORM_SHAPE, "adapter_attn_dim"),
    "whisper": (
        *_SHARED,
        "d_model",
        "encoder_layers",
        "encoder_attention_heads",
        "encoder_ffn_dim",
        "activation_function",
        "dropout",
        "num_mel_bins",
        "max_source_positions",
        "scale_embedding",
    ),
}
"""model type -> what decides about its encoder, by the names in its `config.json`"""

_FAMILIES = {"hubert": "Hubert", "wav2vec2": "Wav2Vec2", "whisper": "Whisper"}

WAVEFORM_STRIDE = 320
"""samples between two frames of an encoder that hears samples"""


def transformers_library() -> Any:
    """The library, which is imported only where a pretrained listener is used."""
    if find_spec("transformers") is None:
        raise UserError(
            "a pretrained listener needs a further library: pip install 'sorigeul[pretrained]'"
        )
    import transformers

    return transformers


def encoder_config(encoder: Mapping[str, Any]) -> Any:
    """The configuration of `transformers` for an encoder, by the names in `SHAPES`.

    Raises UserError for one that cannot be: it may come from a stranger's file.
    """
    library, kind = transformers_library(), str(encoder.get("model_type"))[:50]
    if kind not in SHAPES:
        raise UserError(f"{kind} is none of the pretrained listeners {', '.join(SHAPES)}")
    shape = {name: encoder[name] for name in SHAPES[kind] if name in encoder}
    for name, value in shape.items():
        limit = _LARGEST["layers" if name.endswith("layers") else "size"]
        values = value if isinstance(value, list | tuple) else (value,)
        if len(values) > _LARGEST["layers"] or any(
            isinstance(one, int) and not 0 <= one <= limit for one in values
        ):
            raise UserError(f"{name} of the pretrained listener is beyond what one can have")
        if "dropout" in name and not (isinstance(value, int | float) and 0 <= value <= 1):
            raise UserError(f"{name} of the pretrained listener is {value}, but must be 0 to 1")
    unused = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    unused["encoder_layerdrop" if kind == "whisper" else "layerdrop"] = 0.0
    try:
        config = getattr(library, f"{_FAMILIES[kind]}Config")(**shape, **unused)
    except Exception as error:  # the library has its own
        raise _impossible(error) from error
    if kind != "whisper" and prod(config.conv_stride) != WAVEFORM_STRIDE:
        raise UserError(
            f"the pretrained listener has a frame for {prod(config.conv_stride)} samples, and only "
            f"those for {WAVEFORM_STRIDE} (20 ms) are supported"
        )
    return config


def make_encoder(encoder: Mapping[str, Any]) -> Any:
    """The encoder, a module of `transformers`, with random weights.

    Raises UserError as `encoder_config` does.
    """
    config, kind = encoder_config(encoder), encoder["model_type"]
    try:
        if kind == "whisper":
            from transformers.models.whisper.modeling_whisper import WhisperEncoder

            return WhisperEncoder(config)
        made: Any = getattr(transformers_library(), f"{_FAMILIES[kind]}Model")(config)
    except (ValueError, TypeError, LookupError, RuntimeError, ArithmeticError) as error:
        raise _impossible(error) from error
    first = made.feature_extractor.conv_layers[0]
    if config.feat_extract_norm == "group":
        first.layer_norm = UnpaddedGroupNorm(first.layer_norm)
    # The convolutions over samples stay as they are, as wherever such a model is fine-tuned. With
    # this method they keep nothing for a backward pass, unlike with `requires_grad_`.
    made.feature_extractor._freeze_parameters()
    return made


def _impossible(error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(f"the shape of the pretrained listener cannot be: {reason}")


_unpadded_lengths: ContextVar[Tensor] = ContextVar("unpadded_lengths")
"""Valid frames (B,) of the batch that this thread computes, for `UnpaddedGroupNorm`: `transformers`
hands nothing but the samples on to it. Other threads compute other batches with the same model."""


class UnpaddedGroupNorm(nn.GroupNorm):
    """The same normalisation of each channel over time, without the padding of an utterance.

    `transformers` counts padding in, so that an utterance depends on the length of its batch.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__(norm.num_groups, norm.num_channels, norm.eps)

    def forward(self, hidden: Tensor) -> Tensor:
        """Hidden (B, C, T) -> the same, whose padding is undefined."""
        count = _unpadded_lengths.get().view(-1, 1, 1)
        valid = torch.arange(hidden.shape[2], device=hidden.device) < count
        hidden = hidden.float()
        centred = hidden - (hidden * valid).sum(2, keepdim=True) / count
        variance = (centred * valid).square().sum(2, keepdim=True) / count
        normalized = centred * (variance + self.eps).rsqrt()
        return normalized * self.weight.unsqueeze(1) + self.bias.unsqueeze(1)


class PretrainedListener(nn.Module):
    """The encoder; a projection to the width of the model; for the speller, fewer frames of them.

    Neighbouring frames are joined and projected, as a convolution whose stride is its size.
    """

    encoder: Any
    """a module of `transformers`"""

    def __init__(self, config: LASConfig) -> None:
        super().__init__()
        self.encoder = make_encoder(config.encoder)
        self.hears_samples = config.encoder["model_type"] != "whisper"
        self.project = nn.Linear(self.encoder.config.hidden_size, config.width)
        self.joined = config.reduction // config.lowest_reduction
        self.join = nn.Linear(self.joined * config.width, config.width) if self.joined > 1 else None
        self.dropout = nn.Dropout(config.dropout)
        self.output_dropout = nn.Dropout(config.junction_dropout)
        self._frozen = self._recomputes = False

    def forward(self, features: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features (B, T, F), lengths (B,) -> the output (B, S, D) and lengths (B,) of both stacks.

        CTC reads the first one, 50 frames a second, and the speller attends to the last.
        """
        hear = self._hear_samples if self.hears_samples else self._hear_log_mel
        with torch.no_grad() if self._frozen else nullcontext():
            hidden, lengths = hear(features, lengths)
        frames = self._projected(self.project, hidden, lengths)
        outputs = [(self.output_dropout(frames), lengths)]
        if self.join is not None:
            for _ in range(int(log2(self.joined))):
                frames, lengths = join_pairs(frames, lengths)
            frames = self._projected(self.join, frames, lengths)
            outputs.append((self.output_dropout(frames), lengths))
        return outputs

    def _projected(self, layer: nn.Linear, frames: Tensor, lengths: Tensor) -> Tensor:
        """Frames (B, S, D'), lengths (B,) -> frames (B, S, D), zero past `lengths`."""
        hidden = self.dropout(functional.gelu(layer(frames)))
        valid = torch.arange(hidden.shape[1], device=hidden.device) < lengths.unsqueeze(1)
        return cast(Tensor, hidden.masked_fill(~valid.unsqueeze(2), 0.0))

    def _hear_samples(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Samples (B, N, 1), lengths (B,) -> hidden (B, S, D'), lengths (B,)."""
        config = self.encoder.config
        shapes = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        least = 1  # samples that one frame needs; a shorter utterance is followed by silence
        for size, stride in reversed(shapes):
            least = (least - 1) * stride + size
        lengths = lengths.clamp_min(least)
        missing = max(least - features.shape[1], 0)
        samples = functional.pad(features.squeeze(2), (0, missing))
        valid = torch.arange(samples.shape[1], device=samples.device) < lengths.unsqueeze(1)
        for number, (size, stride) in enumerate(shapes):
            lengths = (lengths - size) // stride + 1
            if not number:
                _unpadded_lengths.set(lengths)
        hidden = self.encoder(samples, attention_mask=valid.long()).last_hidden_state
        return hidden, lengths

    def _hear_log_mel(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Whisper's features (B, T, F), lengths (B,) -> hidden (B, S, D'), lengths (B,).

        It hears pieces of 30 s, each by itself and with the silence at its end, as in its training:
        its positions reach no further, and without the silence it hears less.
        """
        piece = 2 * self.encoder.config.max_source_positions
        missing = -features.shape[1] % piece  # of what stands in for an utterance
        features = functional.pad(features, (0, 0, 0, missing))
        pieces = features.reshape(-1, piece, features.shape[2]).transpose(1, 2)
        hidden = self.encoder(pieces).last_hidden_state
        hidden = hidden.reshape(len(features), -1, hidden.shape[2])
        lengths = (lengths.clamp_min(1) + 1) // 2
        return hidden[:, : int(lengths.max())], lengths

    # What a training asks of a listener.

    def freeze(self, frozen: bool) -> None:
        """Whether the encoder is used as it is, without learning and without dropout."""
        self._frozen = frozen
        self.encoder.train(self.training and not frozen)

    def train(self, mode: bool = True) -> "PretrainedListener":
        """As of every module; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        self.encoder.train(mode and not self._frozen)
        return self

    def levels(self) -> list[list[nn.Parameter]]:
        """The encoder's parameters from the lowest level to its last layer.

        What is in no layer is the lowest level.
        """
        layers = self.encoder.encoder.layers if self.hears_samples else self.encoder.layers
        in_layers = [list(layer.parameters()) for layer in layers]
        known = {id(parameter) for layer in in_layers for parameter in layer}
        rest = [one for one in self.encoder.parameters() if id(one) not in known]
        return [rest, *in_layers]

    @property
    def checkpoint_activations(self) -> bool:
        """Compute the encoder's layers again in the backward pass; less memory, slower."""
        return self._recomputes

    @checkpoint_activations.setter
    def checkpoint_activations(self, wanted: bool) -> None:
        # Its name from version 6 of the library on; the older one warns.
        new_name = hasattr(self.encoder, "activation_checkpointing_enable")
        name = "activation_checkpointing" if new_name else "gradient_checkpointing"
        if wanted and not self._recomputes:
            getattr(self.encoder, f"{name}_enable")({"use_reentrant": False})
        elif self._recomputes and not wanted:
            getattr(self.encoder, f"{name}_disable")()
        self._recomputes = wanted

    def keep_running_statistics(self) -> AbstractContextManager[None]:
        """As of the other listeners; it has no running statistics."""
        return nullcontext()
