"""Settings of batches: what is refused, and what follows from them."""

from dataclasses import asdict

import pytest

from sorigeul.base.errors import UserError
from sorigeul.data.config import ORDER_INDEPENDENT, DataConfig


@pytest.mark.parametrize(
    ("setting", "value"),
    [("batch_size", 0), ("batch_seconds", -1.0), ("augment_ratio", -0.5), ("num_workers", -1)],
)
def test_values_out_of_range_are_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{setting} is {value}, but must") as error:
        DataConfig(**{setting: value})  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("rir_share", 1.5, "rir_share is 1.5, but must be at least 0 and at most 1"),
        ("silence_share", -0.1, "silence_share is -0.1, but must be at least 0 and at most 1"),
        ("codec_share", float("nan"), "codec_share is nan, but must be at least 0 and at most 1"),
        ("silence_seconds", -1.0, "silence_seconds is -1.0, but must be at least 0 and at most 60"),
        ("noise_low", -200.0, "noise_low is -200.0, but must be at least -100 and at most 100"),
    ],
)
def test_impossible_degradations_are_refused_by_name(
    setting: str, value: float, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        DataConfig(**{setting: value})  # type: ignore[arg-type]


def test_only_degradations_that_lengthen_utterances_change_the_batches() -> None:
    """The others may be changed in a run that is resumed in mid-epoch."""
    degradations = {name for name in asdict(DataConfig()) if name.endswith("_share")}
    assert len(degradations) == 8
    assert degradations - ORDER_INDEPENDENT == {"silence_share"}
    assert "silence_seconds" not in ORDER_INDEPENDENT


def test_a_relative_audio_root_becomes_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may be resumed in another working directory."""
    monkeypatch.chdir("/")
    assert DataConfig(audio_root="corpora/x").audio_root == "/corpora/x"
    assert DataConfig().audio_root == ""


def test_an_epoch_has_more_items_with_augmented_copies() -> None:
    assert DataConfig(use_augment=True, augment_ratio=1.5).items_per_utterance == 2.5
    assert DataConfig(use_augment=False, augment_ratio=1.5).items_per_utterance == 1
