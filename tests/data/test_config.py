"""Settings of batches: what is refused, and what follows from them."""

import pytest

from sorigeul.base.errors import UserError
from sorigeul.data.config import DataConfig


@pytest.mark.parametrize(
    ("setting", "value"),
    [("batch_size", 0), ("batch_seconds", -1.0), ("augment_ratio", -0.5), ("num_workers", -1)],
)
def test_values_out_of_range_are_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{setting} is {value:g}, but must") as error:
        DataConfig(**{setting: value})  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_relative_audio_root_becomes_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may be resumed in another working directory."""
    monkeypatch.chdir("/")
    assert DataConfig(audio_root="corpora/x").audio_root == "/corpora/x"
    assert DataConfig().audio_root == ""


def test_an_epoch_has_more_items_with_augmented_copies() -> None:
    assert DataConfig(use_augment=True, augment_ratio=1.5).items_per_utterance == 2.5
    assert DataConfig(use_augment=False, augment_ratio=1.5).items_per_utterance == 1
