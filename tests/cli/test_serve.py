"""Tests of the command `serve`: what it refuses, and that it serves."""

import signal
from pathlib import Path
from urllib.request import urlopen

import pytest
from helpers.commands import Command
from helpers.servers import serving


def test_a_model_is_needed(sorigeul: Command) -> None:
    assert sorigeul("serve").error() == "no model given: sorigeul serve RUN…"


def test_what_is_no_run_is_refused(sorigeul: Command, tmp_path: Path) -> None:
    done = sorigeul("serve", tmp_path, "--port", "0")
    assert done.status == 2
    assert str(tmp_path) in done.error()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--port", "99999"), ("--max_upload", "much"), ("--queue", "0"), ("--api_key", "missing")],
)
def test_wrong_options_are_refused_before_a_model_is_loaded(
    sorigeul: Command, tmp_path: Path, option: str, value: str
) -> None:
    done = sorigeul("serve", tmp_path / "no run", option, value)
    assert done.status == 2
    assert value in done.error()


@pytest.mark.parametrize(
    ("library", "extra", "arguments"),
    [("fastapi", "serve", ()), ("wyoming", "wyoming", ("--wyoming", "10300"))],
)
def test_it_says_what_to_install(
    sorigeul: Command,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    extra: str,
    arguments: tuple[str, ...],
) -> None:
    from importlib.util import find_spec

    def without(name: str) -> object:
        return None if name == library else find_spec(name)

    monkeypatch.setattr("sorigeul.cli.serve.find_spec", without)
    done = sorigeul("serve", "run", *arguments)
    assert done.status == 2
    assert f"pip install 'sorigeul[{extra}]'" in done.error()


def test_the_address_is_printed_when_the_server_answers(run: Path, tmp_path: Path) -> None:
    with serving(tmp_path, run) as server:  # waits for the address
        with urlopen(f"{server.url}/readyz") as reply:
            assert reply.status == 200
        server.process.kill(signal.SIGINT)
        assert server.process.done().status == 0
