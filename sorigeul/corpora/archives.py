"""Recordings in lhotse's Shar archives: a few large files instead of many small ones.

A folder holds ``recording.000000.tar``, with a recording and its JSON for each utterance, and
``cuts.000000.jsonl.gz``, with their cuts; and so on. A cut also says where in the archive its
recording begins, its size and its CRC-32 (``custom.member``), so that it can be read without what
precedes it. Knows files, nothing of splits.
"""

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import soundfile

from sorigeul.base.files import replacing
from sorigeul.corpora.lhotse_cuts import cut_line, recording_fields
from sorigeul.corpora.utterances import Utterance
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, load

Format = Literal["flac", "opus"]

_TAR, _CUTS = "recording.{:06d}.tar", "cuts.{:06d}.jsonl.gz"
_VERSION = 1
"""Increased when the same utterances give another archive."""


@dataclass(frozen=True)
class Archive:
    """An archive to write: number ``number`` of ``folder``."""

    folder: Path
    number: int
    utterances: Sequence[Utterance]
    normalizer: str
    format: Format

    def __str__(self) -> str:
        named = f"{self.utterances[0].id} and {self.utterances[-1].id}"
        return f"{self.folder / _TAR.format(self.number)}, between {named}"

    @property
    def key(self) -> str:
        """Hash of everything the content depends on: texts, files and their modification times."""
        content = hashlib.sha256(f"{_VERSION} {self.format}\n".encode())
        for each in self.utterances:
            line = f"{each.size} {each.modified} {cut_line(each, self.normalizer)}"
            content.update(line.encode())
        return content.hexdigest()


class Unreadable(NamedTuple):
    """An utterance whose recording cannot be decoded. Its cut names the file itself."""

    id: str
    reason: str


def write(archive: Archive) -> list[Unreadable]:
    """Write an archive, unless it exists and nothing in it has changed since.

    A folder in which anything is to be written gets another name first, so that no one reads what
    does not fit together; `finish` gives it back its own.
    """
    key = archive.key
    tar_name, cuts_name = _TAR.format(archive.number), _CUTS.format(archive.number)
    unfinished = _unfinished(archive.folder)
    for folder in (archive.folder, unfinished):
        with suppress(
            OSError, EOFError, ValueError, zlib.error, tarfile.TarError
        ):  # missing or damaged
            unreadable = list(_unreadable(folder / cuts_name))
            if _key(folder / tar_name) == key:
                return unreadable
    with suppress(FileNotFoundError):  # it does not exist, or another process was faster
        archive.folder.rename(unfinished)
    cuts = unfinished / cuts_name
    cuts.unlink(missing_ok=True)  # their presence means that the archive is complete
    lines = []
    options: dict[str, Any] = {"format": tarfile.PAX_FORMAT, "pax_headers": {"comment": key}}
    with (
        replacing(unfinished / tar_name) as temporary,
        tarfile.open(temporary, "w", **options) as tar,
    ):
        for utterance in archive.utterances:
            custom = _store(tar, utterance, archive.format)
            inside = tar_name if "member" in custom else ""
            lines.append(cut_line(utterance, archive.normalizer, inside, custom))
    with (
        replacing(cuts) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file,  # without a timestamp
    ):
        file.write("".join(lines).encode())
    return list(_unreadable(cuts))


def finish(folder: Path, archives: int) -> None:
    """Give the folder its final name, now that all ``archives`` are written; remove others."""
    unfinished = _unfinished(folder)
    names = {name.format(number) for number in range(archives) for name in (_TAR, _CUTS)}
    if any(path.name not in names for path in _content(folder)):
        folder.rename(unfinished)
    for path in _content(unfinished):
        if path.name not in names:  # from a larger corpus, or from a process that died
            path.unlink()
    if unfinished.is_dir() and archives:
        unfinished.rename(folder)
    elif unfinished.is_dir():
        unfinished.rmdir()


def _unfinished(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.unfinished")


def _content(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _key(tar: Path) -> str | None:
    """Return the key stored in an archive."""
    with tarfile.open(tar) as opened:
        return opened.pax_headers.get("comment")


def _unreadable(cuts: Path) -> Iterator[Unreadable]:
    with gzip.open(cuts, "rt", encoding="utf-8") as file:
        for cut in map(json.loads, file):
            if "unreadable" in cut["custom"]:
                yield Unreadable(cut["id"], cut["custom"]["unreadable"])


def _store(tar: tarfile.TarFile, utterance: Utterance, format: Format) -> dict[str, Any]:
    """Add a recording and its JSON, or lhotse's mark for none; return fields of its cut."""
    try:
        content = _encoded(utterance.audio, format)
    except AudioError as error:
        _add(tar, f"{utterance.id}.nodata", b"")
        _add(tar, f"{utterance.id}.nometa", b"")
        return {"unreadable": str(error)}
    offset = _add(tar, f"{utterance.id}.{format}", content)
    _add(tar, f"{utterance.id}.json", json.dumps(recording_fields(utterance, "shar", "")).encode())
    return {"member": {"offset": offset, "size": len(content), "crc32": zlib.crc32(content)}}


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> int:
    """Add a file; return the offset of its content."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    tar.addfile(header, BytesIO(content))
    return tar.offset - -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _encoded(path: Path, format: Format) -> bytes:
    """Encode a recording, 16 kHz mono. FLAC keeps 16-bit samples exactly; others are rounded."""
    samples = load(path).samples
    file = BytesIO()
    if format == "flac":
        soundfile.write(file, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        return file.getvalue()
    soundfile.write(file, samples, SAMPLE_RATE, format="OGG", subtype="OPUS")
    return _numbered_0(file.getvalue())


def _numbered_0(ogg: bytes) -> bytes:
    """Set the serial number of an Ogg stream to 0; libsndfile draws it from the clock. RFC 3533."""
    pages = bytearray(ogg)
    start = 0
    while start < len(pages):
        segments = pages[start + 26]
        end = start + 27 + segments + sum(pages[start + 27 : start + 27 + segments])
        pages[start + 14 : start + 18] = bytes(4)
        pages[start + 22 : start + 26] = bytes(4)  # the checksum field counts as zero
        # Ogg's CRC has the opposite bit order of zlib's, and does not invert.
        mirrored = pages[start:end].translate(_MIRRORED)
        crc = f"{zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1]
        pages[start + 22 : start + 26] = int(crc, 2).to_bytes(4, "little")
        start = end
    return bytes(pages)


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
