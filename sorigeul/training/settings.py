"""Settings of a run: those of all folders by name, presets, YAML.

Every name is used once, so that ``--n_mels 80`` on the command line, ``n_mels: 80`` in a preset
and ``n_mels: 80`` in the run's `config.yaml` are the same thing. Does not know what the settings
do.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import (
    COUNT,
    COUNT_OR_NONE,
    LEARNING_RATE,
    SECONDS,
    SEED,
    SHARE,
    SHARE_BELOW_1,
    WEIGHT,
    Range,
    check_ranges,
)
from sorigeul.data.config import DataConfig
from sorigeul.model.config import LASConfig
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.spec_augment import SpecAugmentConfig
from sorigeul.text.vocabulary import Kind
from sorigeul.training.sectioned_settings import SectionedSettings

RUN_CONFIG = "config.yaml"
"""file in a run folder that holds its settings"""

TrainingPrecision = Literal["auto", "bfloat16", "float16", "float32", "tf32"]
LearningRateSchedule = Literal["constant", "cosine", "timed-cosine"]


@dataclass(frozen=True)
class TrainingConfig:
    """How the model is trained. Defaults are the seed's where it has one."""

    lr: Annotated[float, LEARNING_RATE] = 1e-4
    """learning rate"""
    lr_schedule: LearningRateSchedule = "constant"
    """constant; cosine: falls to 0 at the end of max_epochs or max_steps; timed-cosine: at the end
    of max_seconds, for a machine that is there for so long; then two runs are not alike"""
    warmup_steps: Annotated[int, COUNT_OR_NONE] = 0
    """steps over which the learning rate rises to lr"""
    weight_decay: Annotated[float, WEIGHT] = 0.0
    """share of each weight matrix that a step takes away, times the learning rate (AdamW,
    Loshchilov and Hutter 2019); not of biases, norms and embeddings"""
    listener_lr: Annotated[float, Range(0, 1000, above=True)] = 1.0
    """factor on the learning rate of the listener, or of a pretrained listener's encoder; below 1
    it learns slower than the rest"""
    listener_lr_decay: Annotated[float, Range(0, 1, above=True)] = 1.0
    """with a pretrained listener, factor on the learning rate from each layer of its encoder to the
    one below, so that the lowest, which are the most general, change least; 0.9 is usual"""
    listener_frozen_steps: Annotated[int, Range(-1, 10**9)] = 0
    """first steps in which a pretrained listener's encoder stays as it is while the new layers
    learn; -1: it never learns"""
    teacher_forcing: Annotated[float, SHARE] = 0.90
    """The probability that teacher forcing will be used, drawn for each batch"""
    scheduled_sampling: Annotated[float, SHARE] = 0.0
    """share of the speller's input characters in a teacher-forced batch that are replaced by its
    own guesses, drawn for each character"""
    use_label_smoothing: bool = True
    """flag indication whether to use label smoothing or not"""
    label_smoothing: Annotated[float, SHARE_BELOW_1] = 0.1
    """share of the probability that label smoothing spreads over all characters"""
    max_grad_norm: Annotated[float, Range(0, 10**9, above=True)] = 5.0
    """norm to which gradients are clipped"""
    max_epochs: Annotated[int, COUNT] = 20
    """epochs to train"""
    max_steps: Annotated[int, COUNT_OR_NONE] = 0
    """steps to train; 0: no limit"""
    max_seconds: Annotated[float, SECONDS] = 0.0
    """seconds to train, not counting the evaluation between epochs; 0: no limit"""
    patience: Annotated[int, COUNT_OR_NONE] = 0
    """epochs without a better CRR on dev after which the run ends; 0: it goes on to max_epochs"""
    dev_beam: Annotated[int, Range(1, 64)] = 1
    """beam in which dev is searched after each epoch, by speller and CTC head together as at
    recognition; the CRR on dev that epochs are compared by is that of this search. 1: the greedy
    one of speller or CTC head, whichever is higher, which takes less time"""
    ema_decay: Annotated[float, SHARE_BELOW_1] = 0.0
    """decay of an exponential moving average of the weights (0.999, say), which is then what is
    evaluated and published; 0: none"""
    average_best: Annotated[int, Range(1, 1000)] = 1
    """number of best epochs whose mean weights are published at the end, if they are better on dev
    than each of the epochs; 1: none"""
    accumulate: Annotated[int, Range(1, 100_000)] = 1
    """batches that make one step: as if batch_size were so many times larger, in no more memory"""
    checkpoint_every: Annotated[int, COUNT] = 1000
    """steps between checkpoints; one is written after each epoch as well"""
    log_every: Annotated[int, COUNT] = 20
    """steps between two rows of metrics"""
    max_failures: Annotated[float, SHARE] = 0.1
    """share of an epoch's utterances whose audio may be unreadable; with more the run stops"""
    alignment_by: Annotated[int, COUNT_OR_NONE] = 3000
    """step after which a warning is due if attention aligns nothing yet; 0: never"""
    vocabulary: str = "syllable"
    """syllable, jamo, or bpe (units of several syllables), built from the training transcripts, or
    the path of a table id,char,freq"""
    bpe_units: Annotated[int, COUNT] = 3000
    """most units of a bpe vocabulary: all characters of the training transcripts, three specials,
    and what byte-pair encoding joins (Sennrich et al. 2016); 3000 is for hundreds of hours"""
    min_count: Annotated[int, COUNT] = 1
    """characters that occur fewer times in training are left out of a vocabulary that is built"""
    vocabulary_text: str = ""
    """text file, folder of .txt files, or prepared corpus, whose Hangul syllables follow those of
    the training transcripts in the vocabulary, so that words that training never had can be
    written; needs share_letters, by which these syllables are made of letters; empty: none"""
    vocabulary_text_min_count: Annotated[int, COUNT] = 5
    """syllables that occur fewer times in vocabulary_text are left out"""
    init_from: str = ""
    """run folder, or Hugging Face id, of a model to fine-tune: its weights, its shape, its features
    and its characters, to which those of the new corpus are added; empty: random weights"""
    freeze: str = ""
    """layers that do not learn, by the beginnings of their names: listener.conv,speller.rnn"""
    precision: TrainingPrecision = "auto"
    """number format of the heavy arithmetic; auto: bfloat16 where the processor has it; float16 and
    tf32 are for GPUs"""
    checkpoint_activations: bool = False
    """compute the convolutions, or the layers of a pretrained listener, again in the backward pass
    instead of keeping their outputs: less memory, slower"""
    devices: Annotated[int | Literal["auto"], Range(1, 1024, word="auto")] = 1
    """GPUs to train on, or processes on a CPU, which share its threads; auto: all GPUs, or on a CPU
    what trains fastest, measured before a run begins; then batch_size and batch_seconds are those
    of all its processes together. torchrun and Slurm set it themselves"""
    seed: Annotated[int, SEED] = 0
    """seed of every random draw: the same seed and settings give the same run"""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.lr_schedule == "timed-cosine" and not self.max_seconds:
            raise UserError("lr_schedule timed-cosine needs max_seconds: set it, or choose cosine")
        # Absolute paths, since a run may be resumed from another working directory.
        if self.vocabulary not in get_args(Kind):
            object.__setattr__(self, "vocabulary", str(Path(self.vocabulary).absolute()))
        if self.vocabulary_text:
            object.__setattr__(self, "vocabulary_text", str(Path(self.vocabulary_text).absolute()))
        if self.init_from and Path(self.init_from).is_dir():  # otherwise a Hugging Face id
            object.__setattr__(self, "init_from", str(Path(self.init_from).absolute()))


@dataclass(frozen=True)
class Settings(SectionedSettings):
    """The settings of a run, one section for each part of the package. Defaults are the seed's."""

    command: ClassVar[str] = "sorigeul train"
    derived: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "features": ("kind",),
        "model": ("n_mels", "vocabulary_size", "encoder"),
    }

    features: FeatureConfig = field(default_factory=FeatureConfig)
    spec_augment: SpecAugmentConfig = field(default_factory=SpecAugmentConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: LASConfig = field(default_factory=LASConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        if self.model.ctc_weight > 0 and self.features.input_reverse:
            raise UserError(
                "ctc_weight and input_reverse exclude each other: CTC reads from left to right; "
                "set input_reverse False or ctc_weight 0"
            )
        if self.model.share_letters and self.training.vocabulary in ("jamo", "bpe"):
            raise UserError(
                "share_letters is for syllables: set it False, or vocabulary to syllable"
            )
        if self.features.kind == "waveform" and self.spec_augment.vocal_tract_warp:
            raise UserError(
                "vocal_tract_warp is for mel bands, and this listener hears samples: leave it out, "
                "or set speed_perturbation True"
            )
        for name, without in (("listener_frozen_steps", 0), ("listener_lr_decay", 1.0)):
            value = getattr(self.training, name)
            if value != without and not self.model.is_pretrained:
                raise UserError(
                    f"{name} is {value}, but is for a pretrained listener: leave it out, or choose "
                    "one with listener hf:NAME"
                )
        if self.training.vocabulary_text:
            self._refuse_unheard_syllables()
        if self.model.n_mels != self.features.n_mels:
            model = dataclasses.replace(self.model, n_mels=self.features.n_mels)
            object.__setattr__(self, "model", model)

    def _refuse_unheard_syllables(self) -> None:
        """Raise UserError if nothing would tell the model how syllables it never met sound."""
        if self.training.vocabulary == "jamo":
            raise UserError(
                "vocabulary_text is for syllables: a vocabulary of jamo writes every syllable "
                "already; leave it out"
            )
        if self.training.vocabulary == "bpe":
            raise UserError(
                "vocabulary_text is for syllables, which share their letters: set vocabulary "
                "syllable, or leave vocabulary_text out"
            )
        if self.training.vocabulary not in get_args(Kind):
            raise UserError(
                "vocabulary_text adds to a vocabulary that is built from the transcripts: set "
                "vocabulary syllable, or leave vocabulary_text out"
            )
        if self.training.init_from:
            raise UserError(
                "vocabulary_text and init_from exclude each other: a published model has its "
                "syllables' weights, but no longer those of their letters; leave one of them out"
            )
        if not self.model.share_letters:
            raise UserError(
                "vocabulary_text needs share_letters: without it a syllable that training never "
                "had cannot be recognised; set share_letters True, or leave vocabulary_text out"
            )

    @property
    def some_frozen(self) -> bool:
        """Whether there are steps in which some weights that learn later have no gradient."""
        return self.model.is_pretrained and self.training.listener_frozen_steps > 0

    @classmethod
    def of_run(cls, folder: Path) -> "Settings":
        """The settings of the run in a folder."""
        return cls.from_yaml(folder / RUN_CONFIG)

    @classmethod
    def preset(cls, name: str) -> "Settings":
        """The settings of a preset; `presets` lists their names."""
        if name not in presets():
            raise UserError(f"preset '{name}' is none of {', '.join(presets())}")
        with resources.as_file(resources.files("sorigeul.recipes") / f"{name}.yaml") as path:
            return cls.from_yaml(path)


def presets() -> list[str]:
    """The names of the presets that come with the package."""
    folder = resources.files("sorigeul.recipes")
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml"))
