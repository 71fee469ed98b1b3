"""What the progress bar shows, and when it is silent: without a terminal, in other processes."""

import pytest

from sorigeul.base.progress import progress_bar


def bar_output(capsys: pytest.CaptureFixture[str], **options: bool | float) -> str:
    """Standard error of a progress bar that advanced once."""
    with progress_bar("working", 3600.0, **options) as advance:  # type: ignore[arg-type]
        advance(900.5, "well")
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich treat it as a terminal
    monkeypatch.setenv("COLUMNS", "100")
    return monkeypatch


def test_the_bar_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert bar_output(capsys) == ""


def test_the_bar_shows_progress_and_note(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "working" in bar_output(capsys)
    output = bar_output(capsys, done=900.0)
    assert "1800/3600" in output.replace(" ", "")
    # Work done before the start says nothing about the speed, so there is no estimate yet.
    assert "-:--:--" in output
    assert " well\n" in output
    assert "3600" not in bar_output(capsys, counted=False)


def test_a_name_in_the_bar_stays_in_its_line_and_is_no_markup(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("a\n[/b]", 10.0) as advance:
        advance(1, "\x1b[2J\n[bold]c[/d].txt")
    err = capsys.readouterr().err
    assert r"a\n[/b]" in err
    assert r"\u001b[2J\n[bold]c[/d].txt" in err


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK"])
def test_only_the_first_of_several_processes_shows_the_bar(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    terminal.setenv(name, "0")
    assert "working" in bar_output(capsys)
    terminal.setenv(name, "1")
    assert bar_output(capsys) == ""
