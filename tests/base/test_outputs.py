"""What a command would overwrite is refused before it begins."""

import os
from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.base.outputs import Output, refuse_overwriting


def refused(*outputs: Output, inputs: tuple[Path, ...] = (), overwrite: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        refuse_overwriting(outputs, inputs, overwrite)
    return str(caught.value)


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text("mine", encoding="utf-8")
    return path


def test_what_is_read_is_never_overwritten_whatever_it_is_called(
    tmp_path: Path, note: Path
) -> None:
    (tmp_path / "soft").symlink_to(note)
    os.link(note, tmp_path / "hard")
    for name in ("note.txt", "soft", "hard", "../" + tmp_path.name + "/note.txt"):
        output = Output(tmp_path / name, "--json")
        message = refused(output, inputs=(note,), overwrite=True)
        assert message.startswith(f"{tmp_path / name}, for --json, is {note}, which this command")


def test_a_file_of_somebody_else_is_overwritten_only_on_request(tmp_path: Path, note: Path) -> None:
    message = refused(Output(note, "--json", rb"\{"))
    assert message.startswith(f"{note} exists, and --json would overwrite it: give --overwrite")
    refuse_overwriting([Output(note, "--json", rb"\{")], [], overwrite=True)
    refuse_overwriting([Output(note, "--json", b"mi")], [], overwrite=False)  # written before
    refuse_overwriting([Output(tmp_path / "new", "--json")], [], overwrite=False)
    (tmp_path / "empty").touch()
    refuse_overwriting([Output(tmp_path / "empty", "--json")], [], overwrite=False)


def test_what_lies_in_a_folder_that_is_read_is_not_overwritten(tmp_path: Path, note: Path) -> None:
    message = refused(Output(note, "--json"), inputs=(tmp_path,), overwrite=True)
    assert message.startswith(f"{note}, for --json, is in {tmp_path}, which this command reads")
    refuse_overwriting([Output(note, "--json", b"mi")], [tmp_path], overwrite=False)
    refuse_overwriting([Output(tmp_path / "new", "--json")], [tmp_path], overwrite=False)


def test_two_outputs_do_not_share_a_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    outputs = [Output(tmp_path / "a.txt", "a/a"), Output(tmp_path / "link" / "a.txt", "b/a")]
    assert refused(*outputs, overwrite=True).startswith("a/a and b/a would both be written to ")


def test_devices_pipes_and_folders_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, kind in ((Path(os.devnull), "a device"), (tmp_path / "fifo", "a named pipe")):
        assert refused(Output(path, "--json"), overwrite=True).startswith(f"{path}: is {kind}")
    assert refused(Output(tmp_path, "--json")).startswith(f"{tmp_path}: is a folder")
