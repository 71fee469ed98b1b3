"""The environment as the doctor describes it, and what it says stands in the way."""

import os
import re
from importlib.metadata import metadata
from pathlib import Path

import pytest
from helpers.commands import Command
from helpers.full_disk import limited_open_files

from sorigeul.doctor.environment import _extras, environment
from sorigeul.doctor.environment_checks import environment_problems


def test_the_environment_fits_on_one_screen(sorigeul: Command) -> None:
    done = sorigeul("doctor")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert 20 <= len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert done.out.replace("\n", "").isprintable()
    names = [line.partition(":")[0] for line in lines if line[:1].isalpha() and ":" in line]
    expected = "sorigeul Python system PyTorch processor cores device memory soundfile libav text"
    assert set(expected.split()) <= set(names)
    for word in ("bfloat16" if "CPU," in done.out else "CUDA", "demo", "GB free", "aac", "flac"):
        assert word in done.out
    assert lines[-1].startswith(("Nothing stands in the way", "! ", "  "))


def test_every_extra_for_users_is_there_or_missing() -> None:
    extras = dict(_extras())
    told = re.findall(r"[\w-]+", re.sub(r"\(.*?\)|:.*", "", ", ".join(extras.values())))
    provided = metadata("sorigeul").get_all("Provides-Extra") or []
    assert sorted(told) == sorted(
        {*provided} - {"runtime", "export", "bench", "dev"}
    )  # the first two are empty
    assert "train" in extras["extras"].split(", ")  # what these tests run with


def test_neither_secrets_nor_the_user_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "gildong"))
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "gildong" / "code"))
    monkeypatch.setenv("LC_ODD", "\x1b[2J\n" + "x" * 1_000)
    lines = list(environment())
    text = "\n".join(lines)
    assert "gildong" not in text
    assert "HF_TOKEN=(set)" in text
    assert "PYTHONPATH=~/code" in text
    assert "LC_ODD=\\u001b[2J\\n" in text
    assert len(lines) <= 40


def test_what_stands_in_the_way_is_told_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not [one for one in environment_problems() if "open only" in one]
    with limited_open_files(200):
        problems = environment_problems()
    assert "a process may open only 200 files: raise it with 'ulimit -n 1024'" in problems
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
def test_a_folder_that_cannot_be_written_stands_in_the_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tmp_path.chmod(0o555)
    monkeypatch.chdir(tmp_path)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        problems = environment_problems()
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o755)
    assert "this folder cannot be written: give RUN and OUT in another one" in problems
