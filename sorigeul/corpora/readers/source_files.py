"""All files of a corpus, those in zip files too, and finding one by the name a label gives.

Zip files are read without unpacking. Their names of files are in CP949 where they do not say that
they are in UTF-8. Does not know what is in the files.
"""

import struct
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular
from sorigeul.corpora.readers.reader_helpers import relative, walk
from sorigeul.corpora.utterances import Rejected
from sorigeul.sound.archive_members import ArchiveMember
from sorigeul.sound.recording_paths import with_slashes

AUDIO_SUFFIXES = (".wav", ".pcm", ".raw", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".mp4")
_PARTS_OF_ZIP = (".part", ".z0", ".z1")  # AI Hub's own tool, and other programs, cut large ones
_LOCAL_HEADER = 30  # bytes of a zip file before the name of a member
_ENCRYPTED, _NAME_IN_UTF8 = 0x1, 0x800


class _ZipEntry(NamedTuple):
    """What the directory of a zip file says of a member, without the rest of `ZipInfo`."""

    archive: Path
    header: int
    size: int
    crc32: int
    compressed_size: int | None


class SourceFile(NamedTuple):
    """A file of the corpus."""

    source: Path
    folder: str
    """relative to the source; a zip file counts as a folder; empty for the source itself"""
    name: str
    entry: _ZipEntry | None = None
    """where it is, if it is in a zip file"""

    @property
    def where(self) -> str:
        """The path as reports show it."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def suffix(self) -> str:
        """The extension with its dot, in lower case."""
        return PurePosixPath(self.name).suffix.lower()

    def locate(self) -> tuple[Path, ArchiveMember | None]:
        """Return the path, or that of the zip file and where in it the bytes are.

        Raises UserError if the zip file is damaged there.
        """
        if self.entry is None:
            return self.source / self.where, None
        archive, header, size, crc32, compressed_size = self.entry
        try:
            with archive.open("rb") as file:
                file.seek(header)
                start = file.read(_LOCAL_HEADER)
        except OSError as error:
            raise UserError(f"{archive}: cannot be read ({error.strerror})") from error
        if len(start) < _LOCAL_HEADER or not start.startswith(b"PK\3\4"):
            raise UserError(f"{self.where}: the zip file is damaged; download it again")
        offset = header + _LOCAL_HEADER + sum(struct.unpack("<HH", start[26:]))
        inner = self.where.removeprefix(f"{relative(archive, self.source)}/")
        return archive, ArchiveMember(inner, offset, size, crc32, compressed_size)

    def read(self) -> bytes:
        """Return the content. Raises UserError if it cannot be read."""
        path, member = self.locate()
        if member is not None:
            return member.read(path, self.where, "download the zip file again")
        try:
            check_regular(path)
            return path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def source_files(source: Path, leave_out: Path) -> Iterator[SourceFile | Rejected]:
    """Yield all files under a folder, and those in zip files, in a fixed order.

    What is in the folder ``leave_out`` is skipped. A zip file that cannot be read is rejected.
    """
    out = leave_out.absolute()
    for folder, names in walk(source):
        if folder.absolute() == out or out in folder.absolute().parents:
            continue
        inside = "" if folder == source else relative(folder, source)
        for name in names:
            suffix = PurePosixPath(name).suffix.lower()
            if suffix == ".zip":
                yield from _zip_members(source, folder / name)
            elif suffix.startswith(_PARTS_OF_ZIP):
                reason = (
                    "part of a zip file: join the parts to one file, as the tool of AI Hub does"
                )
                yield Rejected(name, reason, relative(folder / name, source))
            else:
                yield SourceFile(source, inside, name)


def _zip_members(source: Path, path: Path) -> Iterator[SourceFile | Rejected]:
    where = relative(path, source)
    try:
        check_regular(path)
        with zipfile.ZipFile(path) as archive:
            members = [(_name(info), info) for info in archive.infolist() if not info.is_dir()]
    # zipfile raises NotImplementedError for a later version of the format, or for several disks.
    except (zipfile.BadZipFile, OSError, NotImplementedError, UserError) as error:
        reason = f"not a readable zip file ({error}); download it again"
        yield Rejected(path.name, " ".join(reason.split()), where)
        return
    for inner, info in sorted(members, key=lambda member: member[0]):
        parts = PurePosixPath(inner).parts
        if not parts or any(part.startswith((".", "__MACOSX")) for part in parts):
            continue
        if info.flag_bits & _ENCRYPTED:
            yield Rejected(inner, "in a zip file with a password: unpack it", where)
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            reason = "compressed in a way that is not read here: unpack the zip file"
            yield Rejected(inner, reason, where)
        else:
            compressed = info.compress_type == zipfile.ZIP_DEFLATED
            size = info.compress_size if compressed else None
            entry = _ZipEntry(path, info.header_offset, info.file_size, info.CRC, size)
            yield SourceFile(source, "/".join((where, *parts[:-1])), parts[-1], entry)


def _name(info: zipfile.ZipInfo) -> str:
    """The path of a member; a backslash in it is one of Windows."""
    name = info.orig_filename
    if not info.flag_bits & _NAME_IN_UTF8:
        raw = name.encode("cp437")  # what zipfile has decoded them from
        for encoding in ("utf-8", "cp949"):
            try:
                name = raw.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return with_slashes(name)


class FileIndex:
    """Files by name, for labels that may name the wrong folder, or none, or another extension."""

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self._files = list(files)
        self._by_name: dict[str, list[int]] = defaultdict(list)
        self._by_folder: dict[str, list[int]] = defaultdict(list)
        self._used: set[int] = set()
        for number, file in enumerate(self._files):
            stem = _stem(file.name)
            self._by_name[stem].append(number)
            folders = _folders(file.folder)
            self._by_folder[f"{folders[-1] if folders else ''}/{stem}"].append(number)

    def find(self, written: str, label: SourceFile) -> SourceFile:
        """Return the file that a label calls ``written``.

        Of several with the name and the folder, it is the one whose path is most like the written
        one, and then like that of the label. A file in other folders is another one, where the
        label lies in those that it writes. Raises UserError if there is none, or no such one.
        """
        path = PurePosixPath(with_slashes(written.strip()))
        folders = _folders(path.parent.as_posix()) or _folders(label.folder)
        needed = {*_folders(path.parent.as_posix())} & {*_folders(label.folder)}
        if path.name == label.name:
            needed = set()
        for stem in _stems(path.name):
            found = self._by_folder.get(f"{folders[-1] if folders else ''}/{stem}", [])
            if not found and len(self._by_name.get(stem, ())) == 1:
                found = self._by_name[stem]
            found = [number for number in found if needed <= {*self._folders_of(number)}]
            if found:
                number = self._most_alike(found, path.name, folders, label)
                self._used.add(number)
                return self._files[number]
        raise UserError(f"no file {written}")

    def _folders_of(self, number: int) -> list[str]:
        return _folders(self._files[number].folder)

    def _most_alike(
        self, numbers: list[int], name: str, written: list[str], label: SourceFile
    ) -> int:
        if len(numbers) == 1:
            return numbers[0]
        beside = _folders(label.folder)

        def likeness(number: int) -> tuple[int, ...]:
            file, folder = self._files[number], self._folders_of(number)
            return (
                _alike(written[::-1], folder[::-1]),
                _alike(beside[::-1], folder[::-1]),
                _alike(beside, folder),
                file.name == name,
                file.entry is None,
            )

        first, second = sorted(numbers, key=likeness, reverse=True)[:2]
        if likeness(first) == likeness(second):
            raise UserError(
                f"{name} is either {self._files[first].where} or {self._files[second].where}"
            )
        return first

    def unused(self) -> Iterator[SourceFile]:
        """Yield the files that `find` has not returned."""
        for number, file in enumerate(self._files):
            if number not in self._used:
                yield file


def _alike(one: list[str], other: list[str]) -> int:
    """How many names two paths begin with alike."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _folders(path: str) -> list[str]:
    parts = PurePosixPath(unicodedata.normalize("NFC", path)).parts
    return [part for part in parts if part != "/"]


def _stem(name: str) -> str:
    return unicodedata.normalize("NFC", PurePosixPath(name).stem)


def _stems(written: str) -> Iterator[str]:
    """What a name may be without its extension; it may have none, and dots in it."""
    if PurePosixPath(written).suffix.lower() not in AUDIO_SUFFIXES:
        yield unicodedata.normalize("NFC", written)
    yield _stem(written)
