"""A published model for suites that run commands: as large as a preset's, and untrained."""

from dataclasses import replace
from pathlib import Path

import torch

from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.pretrained.publishing import publish
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.settings import Settings

_SYLLABLES = 2000


def publish_untrained(folder: Path, preset: str, ends: bool = True) -> None:
    """Publish a model of the preset's size that knows 2,000 syllables into a run folder.

    It writes next to nothing, or, unless it `ends`, as many characters as a search allows.
    """
    torch.manual_seed(0)
    syllables = [chr(0xAC00 + number) for number in range(_SYLLABLES)]
    vocabulary = Vocabulary.from_texts(syllables, "syllable", 1)
    settings = Settings.preset(preset)
    model = ListenAttendSpell(replace(settings.model, vocabulary_size=len(vocabulary)))
    if not ends:
        with torch.no_grad():
            model.speller.out.bias[model.config.eos_id] = -1e4
    publish(folder, PretrainedModel(model, settings.features, vocabulary, "plain/1", {}))
