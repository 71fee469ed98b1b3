"""Settings of the training of a language model: by name, in presets, as YAML.

Every name is used once, as in `settings.py`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import (
    COUNT,
    COUNT_OR_NONE,
    LEARNING_RATE,
    SECONDS,
    SEED,
    WEIGHT,
    Range,
    check_ranges,
)
from sorigeul.lm.ngram import NgramOptions
from sorigeul.lm.recurrent import RecurrentConfig
from sorigeul.lm.transformer import TransformerConfig, TransformerNetwork
from sorigeul.training.sectioned_settings import SectionedSettings
from sorigeul.training.settings import RUN_CONFIG

LanguageModelKind = Literal["recurrent", "transformer", "ngram"]
LanguageModelPrecision = Literal["auto", "bfloat16", "float32"]

DEFAULT_PRESET = "cpu"
PRESETS: dict[str, dict[str, Any]] = {
    "cpu": {},
    "gpu": {
        "cell": "lstm",
        "hidden_size": 1024,
        "embedding_size": 256,
        "dropout": 0.2,
        "lr": 2e-3,
        "batch_characters": 8192,
        "max_epochs": 8,
    },
    "transformer": {"kind": "transformer", "lr": 1.5e-3},
    "transformer-gpu": {
        "kind": "transformer",
        "transformer_width": 512,
        "transformer_layers": 6,
        "attention_heads": 8,
        "transformer_dropout": 0.1,
        "lr": 1e-3,
        "batch_characters": 8192,
        "max_epochs": 8,
    },
}
"""the settings of each preset that are not defaults"""


@dataclass(frozen=True)
class LanguageModelTraining:
    """How a network is trained. Defaults: the best within an hour of two slow cores."""

    kind: LanguageModelKind = "recurrent"
    """recurrent, or transformer (its presets have the right lr): a network; ngram: counts of
    character sequences"""
    lr: Annotated[float, LEARNING_RATE] = 5e-3
    """learning rate, which falls along a cosine to 0 at max_epochs, max_steps or max_seconds"""
    warmup_steps: Annotated[int, COUNT_OR_NONE] = 200
    """steps over which the learning rate rises to lr"""
    weight_decay: Annotated[float, WEIGHT] = 0.01
    """decay of the weights in each step, as a multiple of the learning rate (AdamW)"""
    max_grad_norm: Annotated[float, Range(0, 10**9, above=True)] = 1.0
    """norm to which gradients are clipped"""
    batch_characters: Annotated[int, Range(1, 10**8)] = 2048
    """characters of a batch, with the padding of its lines, which are about equally long; after the
    same text smaller batches have learnt far more"""
    max_length: Annotated[int, Range(1, 10**6)] = 192
    """characters after which a longer line is cut; the rest is read without what was before it"""
    max_epochs: Annotated[int, COUNT] = 1
    """times the text is read"""
    max_steps: Annotated[int, COUNT_OR_NONE] = 0
    """steps to train; 0: no limit"""
    max_seconds: Annotated[float, SECONDS] = 0.0
    """seconds to train, not counting evaluation; 0: no limit"""
    evaluate_every: Annotated[int, COUNT] = 2000
    """steps between evaluations on the held-out text; there is one after each epoch as well"""
    checkpoint_every: Annotated[int, COUNT] = 1000
    """steps between checkpoints; one is written after each evaluation as well"""
    log_every: Annotated[int, COUNT] = 20
    """steps between two rows of metrics"""
    precision: LanguageModelPrecision = "auto"
    """number format of the heavy arithmetic; bfloat16 is for GPUs, where the recurrent layers then
    use TF32; auto: bfloat16 on a GPU that has it, else float32"""
    heldout_share: Annotated[float, Range(0, 1, above=True, below=True)] = 0.01
    """share of the lines that is held out of the training, at most 5,000 lines"""
    seed: Annotated[int, SEED] = 0
    """seed of every random draw: the same seed and settings give the same model"""

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self)


@dataclass(frozen=True)
class LanguageModelSettings(SectionedSettings):
    """The settings of the training of a language model."""

    command: ClassVar[str] = "sorigeul lm train"

    model: RecurrentConfig = field(default_factory=RecurrentConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    ngram: NgramOptions = field(default_factory=NgramOptions)
    training: LanguageModelTraining = field(default_factory=LanguageModelTraining)

    @property
    def network(self) -> RecurrentConfig | TransformerConfig:
        """The shape of the network, if the kind of the model is one."""
        return self.transformer if self.training.kind == TransformerNetwork.kind else self.model

    @classmethod
    def preset(cls, name: str) -> "LanguageModelSettings":
        """The settings of a preset."""
        if name not in PRESETS:
            raise UserError(f"preset '{name}' is none of {', '.join(PRESETS)}")
        return cls().changed(PRESETS[name], name)

    @classmethod
    def starting_point(
        cls, preset: str | None, config: Path | None, folder: Path | None
    ) -> "LanguageModelSettings":
        """The settings that the options of `sorigeul lm train` change.

        They come from the file `config`, from the training in `folder` if there is one, or from
        `preset`.
        """
        if config is not None:
            return cls.from_yaml(config)
        if folder and (folder / RUN_CONFIG).is_file() and not preset:
            return cls.from_yaml(folder / RUN_CONFIG)
        return cls.preset(preset or DEFAULT_PRESET)
