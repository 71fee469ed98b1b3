"""Fixtures of the tests of pretrained models."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.pretrained import pretrained

from sorigeul import ListenAttendSpell
from sorigeul.pretrained.publishing import publish


@pytest.fixture
def published(tmp_path: Path, tiny: Callable[..., ListenAttendSpell]) -> Path:
    """A run folder with a published model."""
    publish(tmp_path / "run", pretrained(tiny()))
    return tmp_path / "run"
