"""YAML files of users: their values and text, or one line that says what is wrong."""

import os
from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.base.yaml_files import read_yaml


def test_values_and_text_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("\ufeff가: 1\n".encode())
    assert read_yaml(tmp_path / "a.yaml", "recipe") == ({"가": 1}, "가: 1\n")


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(UserError, match=r"pipe\.yaml: is a named pipe; give a regular file"):
        read_yaml(tmp_path / "pipe.yaml", "recipe")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "cannot be read as YAML"),
        (b"\xff\xfe\xfd", "cannot be read as YAML"),
        (b"[" * 10_000, "cannot be read as YAML"),
        (b"- a", "must hold lines of the form"),
        (b"", "must hold lines of the form"),
    ],
)
def test_what_holds_no_settings_is_refused_in_a_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_yaml(tmp_path / "a.yaml", "recipe")
    assert "\n" not in str(error.value)
