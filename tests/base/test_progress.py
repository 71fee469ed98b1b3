"""What the bar shows, and that it is silent where nobody looks or another process shows it."""

import pytest

from sorigeul.base.progress import progress_bar


def shown(capsys: pytest.CaptureFixture[str], **options: bool | float) -> str:
    with progress_bar("working", 3600.0, **options) as advance:  # type: ignore[arg-type]
        advance(900.5, "well")
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setenv("COLUMNS", "100")
    return monkeypatch


def test_it_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys) == ""


def test_it_shows_how_far_it_is(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "working" in shown(capsys)
    said = shown(capsys, done=900.0)
    assert "1800/3600" in said.replace(" ", "")
    assert "-:--:--" in said  # what was done before tells nothing of the pace
    assert " well\n" in said
    assert "3600" not in shown(capsys, counted=False)


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK"])
def test_of_several_processes_the_first_shows_it(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    terminal.setenv(name, "0")
    assert "working" in shown(capsys)
    terminal.setenv(name, "1")
    assert shown(capsys) == ""
