"""Settings by name: the seed's tables, writing and reading YAML, and refusals in one line."""

from pathlib import Path
from typing import Any

import pytest

from sorigeul.base.errors import UserError
from sorigeul.model.config import LASConfig
from sorigeul.training.settings import Settings, presets

# The two tables of the seed, a document of March 2020.
HYPERPARAMETERS: dict[str, Any] = {
    "use_bidirectional": True,
    "use_attention": True,
    "score_function": "self",
    "use_label_smoothing": True,
    "input_reverse": True,
    "use_augment": True,
    "use_pyramidal": True,
    "pack_by_length": True,
    "augment_ratio": 1.0,
    "listener_layer_size": 5,
    "speller_layer_size": 3,
    "hidden_size": 256,
    "batch_size": 8,
    "dropout": 0.5,
    "teacher_forcing": 0.90,
    "lr": 1e-4,
}
FEATURES: dict[str, Any] = {
    "frame_length": 25.0,
    "stride": 10.0,
    "n_fft": 400,
    "hop_length": 160,
    "n_mels": 80,
    "window": "hamming",
}


def write_yaml(folder: Path, content: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def refusal(changes: dict[str, Any], base: Settings | None = None) -> str:
    """The message of the error that these changes raise, which must be one line."""
    with pytest.raises(UserError) as error:
        (base or Settings()).changed(changes, "here.yaml")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("name", "value"), [*HYPERPARAMETERS.items(), *FEATURES.items()])
def test_the_seed_preset_has_the_values_of_the_document(name: str, value: Any) -> None:
    preset_value = Settings.preset("seed").flat()[name]
    assert preset_value == value
    assert type(preset_value) is type(value)


def test_the_seed_preset_builds_the_printed_model_with_128_bands() -> None:
    settings = Settings.preset("seed").changed({"n_mels": 128}, "test")
    assert settings.model == LASConfig.seed()


def test_the_seed_preset_has_nothing_that_was_added_later() -> None:
    settings = Settings.preset("seed")
    assert settings.model.ctc_weight == 0
    assert settings.training.lr_schedule == "constant"
    assert settings.data.batch_seconds == 0


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_read_back_from_its_yaml(name: str, tmp_path: Path) -> None:
    settings = Settings.preset(name)
    assert Settings.from_yaml(write_yaml(tmp_path, settings.to_yaml())) == settings


def test_presets_are_listed_and_an_unknown_one_is_refused() -> None:
    assert {"seed", "small"} <= set(presets())
    with pytest.raises(UserError, match=r"preset 'smal' is none of .*seed, small"):
        Settings.preset("smal")


def test_yaml_keeps_every_setting(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "n_mels": 40,
        "stride": 12.5,
        "window": "hann",
        "frequency_masks": 1,
        "batch_size": 3,
        "augment_ratio": 0.5,
        "pack_by_length": False,
        "hidden_size": 32,
        "cell": "lstm",
        "ctc_weight": 0.2,
        "lr": 3e-4,
        "lr_schedule": "cosine",
        "vocabulary": str(tmp_path / "한글.csv"),
        "seed": 7,
        "max_seconds": 1.5,
        "precision": "bfloat16",
        "accumulate": 3,
        "log_every": 7,
        "max_failures": 0.25,
        "checkpoint_activations": True,
        "devices": 2,
    }
    settings = Settings().changed(changes, "test")
    assert {name: settings.flat()[name] for name in changes} == changes
    content = settings.to_yaml()
    assert Settings.from_yaml(write_yaml(tmp_path, content)) == settings
    for name in settings.flat():
        assert f"\n{name}: " in content
    assert "한글.csv" in content


def test_the_path_of_a_vocabulary_file_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings().changed({"vocabulary": "한글.csv"}, "test")
    assert settings.training.vocabulary == str(tmp_path / "한글.csv")


def test_no_name_is_used_by_two_settings() -> None:
    settings = Settings()
    sections = [vars(getattr(settings, name)) for name in vars(settings)]
    names = [name for section in sections for name in section]
    shared = {name for name in names if names.count(name) > 1}
    assert shared == {"n_mels"}  # the model's follows from that of the features
    assert settings.flat().keys() == set(names) - {"vocabulary_size", "encoder", "kind"}


def test_a_yaml_file_changes_only_the_settings_it_names(tmp_path: Path) -> None:
    base = Settings.preset("small")
    settings = Settings.from_yaml(write_yaml(tmp_path, "hidden_size: 64\n"), base)
    differing = {name for name, value in base.flat().items() if settings.flat()[name] != value}
    assert differing == {"hidden_size"}
    assert Settings.from_yaml(write_yaml(tmp_path, "hidden_size: 64\n")).model.dropout == 0.5


def test_the_number_of_mel_bands_is_passed_to_the_model() -> None:
    settings = Settings().changed({"n_mels": 40}, "test")
    assert settings.features.n_mels == settings.model.n_mels == 40
    again = settings.changed({"hidden_size": 8}, "test")
    assert again.model.n_mels == 40
    assert Settings().model.n_mels == 80


def test_stride_and_hop_length_change_together() -> None:
    assert Settings().changed({"stride": 12.5}, "test").flat()["hop_length"] == 200
    assert Settings().changed({"hop_length": 80}, "test").flat()["stride"] == 5.0


def test_numbers_are_converted_from_the_types_of_yaml(tmp_path: Path) -> None:
    # YAML 1.1 reads 1e-4 as text and 10 as an integer.
    settings = Settings.from_yaml(write_yaml(tmp_path, "lr: 1e-4\nstride: 20\nhidden_size: 64.0\n"))
    assert (settings.training.lr, settings.features.stride) == (1e-4, 20.0)
    assert isinstance(settings.features.stride, float)
    assert isinstance(settings.model.hidden_size, int)


def test_a_word_may_stand_in_place_of_a_number(tmp_path: Path) -> None:
    settings = Settings.from_yaml(write_yaml(tmp_path, "devices: auto\n"))
    assert settings.training.devices == "auto"
    assert Settings.from_yaml(write_yaml(tmp_path, settings.to_yaml())) == settings
    assert Settings.from_yaml(write_yaml(tmp_path, "devices: 2\n"), settings).flat()["devices"] == 2


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("hiden_size", "hidden_size"),
        ("learning_rat", None),
        ("n_mel", "n_mels"),
        ("teacher_force", "teacher_forcing"),
        ("vocabulary_sizes", "vocabulary"),
        (7, None),
        (True, None),
        (None, None),
    ],
)
def test_an_unknown_name_is_refused_with_the_most_similar_one(
    name: Any, similar: str | None
) -> None:
    message = refusal({name: 1})
    assert message.startswith(f"here.yaml: '{name}' is no setting; ")
    assert (f"perhaps {similar}" if similar else "sorigeul train --help") in message


@pytest.mark.parametrize("name", ["vocabulary_size", "model", "features"])
def test_values_that_follow_from_the_data_cannot_be_set(name: str) -> None:
    assert "is no setting" in refusal({name: 100})


@pytest.mark.parametrize(
    ("name", "value", "requirement"),
    [
        ("hidden_size", "big", "a whole number"),
        ("hidden_size", 2.5, "a whole number"),
        ("hidden_size", True, "a whole number"),
        ("hidden_size", None, "a whole number"),
        ("hidden_size", [1], "a whole number"),
        ("hidden_size", float("inf"), "a whole number"),
        ("devices", "many", "a whole number or auto"),
        ("devices", True, "a whole number or auto"),
        ("devices", 1.5, "a whole number or auto"),
        ("devices", ["auto"], "a whole number or auto"),
        ("lr", "fast", "a number"),
        ("lr", True, "a number"),
        ("lr", None, "a number"),
        ("use_augment", 1, "True or False"),
        ("use_augment", "maybe", "True or False"),
        ("window", "square", "one of hamming, hann, blackman, rectangular"),
        ("score_function", "Self", "one of self, dot"),
        ("lr_schedule", None, "one of constant, cosine, timed-cosine"),
        ("vocabulary", None, "text"),
        ("vocabulary", ["syllable"], "text"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_what_is_right(
    name: str, value: Any, requirement: str
) -> None:
    message = refusal({name: value})
    assert message.startswith(f"here.yaml: {name} is {value!r}, but must be {requirement}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.0}, "lr is 0.0, but must be above 0"),
        ({"lr": ".nan"}, "lr is"),
        ({"teacher_forcing": 1.1}, "teacher_forcing is 1.1, but must be at least 0 and at most 1"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"max_grad_norm": 0.0}, "max_grad_norm is 0.0"),
        ({"max_epochs": 0}, "max_epochs is 0, but must be at least 1"),
        ({"max_steps": -1}, "max_steps is -1, but must be at least 0"),
        ({"max_seconds": -1.0}, "max_seconds is -1.0, but must be at least 0"),
        ({"warmup_steps": -1}, "warmup_steps is -1, but must be at least 0"),
        ({"seed": -1}, "seed is -1, but must be at least 0"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"min_count": 0}, "min_count is 0"),
        ({"devices": 0}, "devices is 0, but must be at least 1 and at most 1,024, or auto"),
        ({"accumulate": 0}, "accumulate is 0, but must be at least 1"),
        ({"log_every": 0}, "log_every is 0, but must be at least 1"),
        ({"max_failures": 1.5}, "max_failures is 1.5, but must be at least 0 and at most 1"),
        ({"max_failures": -0.1}, "max_failures is -0.1, but must be at least 0 and at most 1"),
        (
            {"precision": "half"},
            "precision is 'half', but must be one of auto, bfloat16, float16, float32, tf32",
        ),
        ({"batch_size": 0}, "batch_size is 0, but must be at least 1"),
        ({"augment_ratio": -1.0}, "augment_ratio is -1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"time_reduction": 4}, "time_reduction is 4, but must be 8 or 16"),
        ({"listener_layer_size": 1}, "listener_layer_size is 1"),
        ({"ctc_weight": 1.0}, "ctc_weight is 1.0"),
        ({"n_mels": 3}, "n_mels is 3"),
        ({"n_fft": 256}, "n_fft 256"),
        ({"stride": 5.0, "hop_length": 100}, "stride 5 ms is 80 samples, but hop_length is 100"),
        ({"frequency_mask_share": 0.5}, "frequency_mask_share"),
        ({"listener_frozen_steps": 5}, "listener_frozen_steps is 5, but is for a pretrained"),
        ({"listener_lr_decay": 0.5}, "listener_lr_decay is 0.5, but is for a pretrained listener"),
        ({"time_mask_share": 0.5}, "time masks could cover a whole utterance"),
    ],
)
def test_invalid_values_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(changes)


def test_ctc_and_reversed_input_exclude_each_other() -> None:
    message = refusal({"ctc_weight": 0.3, "input_reverse": True})
    assert "ctc_weight" in message
    assert "set input_reverse False or ctc_weight 0" in message
    reversed_input = Settings().changed({"input_reverse": True}, "test")
    assert "ctc_weight" in refusal({"ctc_weight": 0.3}, reversed_input)


def test_a_refusal_changes_nothing() -> None:
    settings = Settings()
    before = settings.flat()
    refusal({"hidden_size": 8, "lr": -1.0}, settings)
    assert settings.flat() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must hold lines of the form 'setting: value'"),
        ("- a\n- b\n", "must hold lines of the form 'setting: value'"),
        ("hidden_size\n", "must hold lines of the form 'setting: value'"),
        ("hidden_size: [1\n", "cannot be read as YAML"),
        ("\thidden_size: 1\n", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "cannot be read as YAML"),
        ("hiden_size: 1\n", "perhaps hidden_size"),
    ],
)
def test_an_invalid_file_is_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = write_yaml(tmp_path, content)
    with pytest.raises(UserError) as error:
        Settings.from_yaml(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unreadable_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file of settings"):
        Settings.from_yaml(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="is a folder; give a regular file"):
        Settings.from_yaml(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(UserError, match=r"binary\.yaml cannot be read"):
        Settings.from_yaml(tmp_path / "binary.yaml")
