"""The temporary file of utterances."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from helpers.full_disk import limited_file_size

from sorigeul.base.errors import UserError
from sorigeul.corpora.spool import open_spool
from sorigeul.corpora.utterances import Utterance
from sorigeul.sound.archive_members import ArchiveMember


def test_utterances_come_back_in_order_as_often_as_wanted(tmp_path: Path) -> None:
    utterances = [
        Utterance(
            id="가",
            audio=Path("/a/나\udcff.wav"),
            text="말",
            speaker="화자",
            split="dev",
            where="t:1",
            duration=1 / 3,
            size=5,
            modified=6,
        ),
        Utterance("b", Path("b.pcm"), "글"),
        Utterance("c", Path("z.zip"), "입", member=ArchiveMember("c.wav", 5, 9, 7, 8), start=1.5),
    ]
    with open_spool(tmp_path / "missing" / "out") as spool:
        for utterance in utterances:
            spool.add(utterance)
        assert list(spool) == utterances
        assert list(spool) == utterances
    assert not list(tmp_path.iterdir())


def _fill_and_read(out: Path, count: int) -> None:
    with open_spool(out) as spool:
        for number in range(count):
            spool.add(Utterance(f"{number}", Path("a.wav"), "말" * 20))
        list(spool)


def test_a_full_disk_is_named_by_its_folder(tmp_path: Path) -> None:
    few, many = 3, 200  # the few stay in a buffer until they are read
    for count in (few, many):
        with (
            limited_file_size(100),
            pytest.raises(OSError, match="File too large") as raised,
        ):
            _fill_and_read(tmp_path / "out", count)
        assert raised.value.filename == str(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with (
        pytest.raises(UserError, match=r"cannot be written to \(Permission denied\)") as raised,
        open_spool(tmp_path / "out"),
    ):
        pass
    assert str(raised.value).startswith(f"{tmp_path}: ")
