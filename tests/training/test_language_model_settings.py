"""Settings of a language model: names, files, presets, what is refused."""

from pathlib import Path
from typing import Any

import pytest

from sorigeul.base.errors import UserError
from sorigeul.training.language_model_settings import PRESETS, LanguageModelSettings


def test_no_two_sections_share_a_name() -> None:
    settings = LanguageModelSettings()
    sections = (settings.model, settings.transformer, settings.ngram, settings.training)
    assert len(settings.flat()) == sum(len(vars(section)) for section in sections)


@pytest.mark.parametrize("preset", PRESETS)
def test_yaml_brings_settings_back(preset: str, tmp_path: Path) -> None:
    settings = LanguageModelSettings.preset(preset).changed({"prune": [0, 1], "lr": "2e-3"}, "")
    assert (settings.ngram.prune, settings.training.lr) == ((0, 1), 0.002)
    path = tmp_path / "config.yaml"
    path.write_text(settings.to_yaml(), encoding="utf-8")
    assert LanguageModelSettings.from_yaml(path) == settings
    assert LanguageModelSettings.starting_point(None, None, tmp_path) == settings
    assert LanguageModelSettings.starting_point(preset, None, tmp_path) != settings
    assert LanguageModelSettings.starting_point(None, path, None) == settings


def test_the_network_is_that_of_the_kind() -> None:
    for preset in PRESETS:
        settings = LanguageModelSettings.preset(preset)
        is_transformer = settings.network is settings.transformer
        assert is_transformer == preset.startswith("transformer")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hiden_size": 3}, "'hiden_size' is no setting; perhaps hidden_size"),
        ({"hidden_size": "wide"}, "hidden_size is 'wide', but must be a whole number"),
        ({"lr": 0}, "lr is 0.0, but must be above 0"),
        ({"cell": "rnn"}, "cell is 'rnn', but must be one of gru, lstm"),
        ({"batch_characters": 0}, "batch_characters is 0, but must be at least 1"),
        ({"heldout_share": 1}, "heldout_share is 1.0, but must be above 0 and below 1"),
        ({"seed": -1}, "seed is -1, but must be at least 0"),
        ({"context": 0}, "context is 0, but must be at least 1"),
        ({"prune": 1}, "prune is 1, but must be a list"),
    ],
)
def test_what_is_not_valid_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        LanguageModelSettings().changed(changes, "here")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file of settings"),
        ("a: [", "cannot be read as YAML"),
        ("7", "must hold lines of the form"),
    ],
)
def test_unusable_files_are_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "settings.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        LanguageModelSettings.from_yaml(path)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UserError, match="preset 'tpu' is none of cpu, gpu"):
        LanguageModelSettings.preset("tpu")
