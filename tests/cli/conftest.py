"""Fixtures of the tests of the commands."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copied_run(run: Path, tmp_path: Path) -> Path:
    """A finished run that may be changed."""
    return Path(shutil.copytree(run, tmp_path / "copied"))
