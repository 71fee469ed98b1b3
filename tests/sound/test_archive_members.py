"""Files within archives, read at the place of their bytes."""

import zlib
from pathlib import Path

import pytest

from sorigeul.sound.archive_members import ArchiveMember
from sorigeul.sound.audio import AudioError

CONTENT = bytes(range(256)) * 2


def archive(tmp_path: Path, compressed: bool) -> tuple[Path, ArchiveMember]:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stored = packer.compress(CONTENT) + packer.flush() if compressed else CONTENT
    path = tmp_path / "x.zip"
    path.write_bytes(b"head" + stored + b"tail")
    size = len(stored) if compressed else None
    return path, ArchiveMember("a.wav", 4, len(CONTENT), zlib.crc32(CONTENT), size)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_member_is_read_and_any_change_of_it_is_noticed(tmp_path: Path, compressed: bool) -> None:
    path, member = archive(tmp_path, compressed)
    assert member.read(path, "x.zip/a.wav", "copy it again") == CONTENT
    whole = path.read_bytes()
    for damaged in (whole[:20] + b"~" + whole[21:], whole[:20], b""):
        path.write_bytes(damaged)
        with pytest.raises(AudioError, match=r"x\.zip/a\.wav: damaged, .* differs; copy it again"):
            member.read(path, "x.zip/a.wav", "copy it again")
    path.unlink()
    with pytest.raises(AudioError, match=r"x\.zip/a\.wav: cannot be opened"):
        member.read(path, "x.zip/a.wav", "copy it again")
