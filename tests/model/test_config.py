"""Settings of the model: defaults, and what is refused."""

import math
from dataclasses import fields
from typing import Any

import pytest

from sorigeul.base.errors import UserError
from sorigeul.model.config import LASConfig


def test_defaults_are_those_of_the_hyperparameter_table_of_the_seed() -> None:
    config = LASConfig()
    assert config.use_bidirectional is config.use_attention is config.use_pyramidal is True
    assert (config.score_function, config.cell) == ("self", "gru")
    assert (config.listener_layer_size, config.speller_layer_size) == (5, 3)
    assert (config.hidden_size, config.dropout) == (256, 0.5)
    assert (config.n_mels, config.vocabulary_size) == (80, 2_040)
    assert (config.sos_id, config.eos_id, config.pad_id) == (2_037, 2_038, 2_039)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0, but must be at least 1"),
        ({"conv_channels": 0}, "conv_channels is 0, but must be at least 1"),
        ({"speller_layer_size": 0}, "speller_layer_size is 0, but must be at least 1"),
        ({"attention_heads": 0}, "attention_heads is 0, but must be at least 1"),
        ({"score_function": "cosine"}, "score_function is cosine, but must be one of self, dot"),
        ({"cell": "qrnn"}, "cell is qrnn, but must be one of gru, lstm, rnn"),
        ({"time_reduction": 4}, r"time_reduction is 4, but must be 8 or 16 \(use_pyramidal False"),
        ({"time_reduction": 0}, "time_reduction is 0"),
        ({"listener_layer_size": 2}, "listener_layer_size is 2, but must be at least 3"),
        ({"listener_layer_size": 1, "time_reduction": 8}, "must be at least 2"),
        ({"listener_layer_size": 0, "use_pyramidal": False}, "must be at least 1"),
        ({"dropout": 1.0}, "dropout is 1.0, but must be at least 0 and below 1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"dropout": math.nan}, "dropout is nan"),
        ({"ctc_weight": 1.0}, "ctc_weight is 1.0, but must be at least 0 and below 1"),
        ({"ctc_weight": -0.5}, "ctc_weight is -0.5"),
        ({"guide_weight": -1.0}, "guide_weight is -1.0, but must be at least 0"),
        ({"guide_weight": 1.0}, "guide_weight is 1.0, but must be 0 without ctc_weight and use_at"),
        ({"guide_weight": 1.0, "ctc_weight": 0.3, "use_attention": False}, "must be 0 without"),
        ({"n_mels": 3}, "n_mels is 3, but must be at least 4"),
        ({"vocabulary_size": 3}, "vocabulary_size is 3, but must be at least 4"),
        (
            {"score_function": "multi-head", "attention_heads": 3},
            "attention_heads is 3, but must be a divisor of the speller's width 512",
        ),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        LASConfig(**changes)
    assert "\n" not in str(error.value)


def test_every_setting_refuses_values_out_of_range() -> None:
    """So a new setting must have a check too."""
    for field in fields(LASConfig):
        default = getattr(LASConfig(), field.name)
        if isinstance(default, bool):
            continue
        invalid = "nonsense" if isinstance(default, str) else -1
        with pytest.raises(UserError, match=f"^{field.name} is {invalid}, but must be "):
            LASConfig(**{field.name: invalid})
