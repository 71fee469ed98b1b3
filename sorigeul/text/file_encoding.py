"""Decodes the bytes of text files: UTF-8, CP949 or UTF-16, to NFC with Unix line ends."""

import codecs
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular

_CHUNK = 1 << 20  # bytes


def decode_text(data: bytes, name: str) -> str:
    r"""Decode ``data`` as UTF-8, with or without a byte-order mark, else as CP949.

    If it begins with the byte-order mark of UTF-16, which Excel writes, it is decoded as that. The
    text is in NFC and every line ends with ``\n``. Raises UserError with the ``name`` of the
    file and the offset of the first invalid byte, in the encoding that decoded more of the file.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{name}: not UTF-16, as its byte-order mark says (from byte {error.start} on); "
                "save it as UTF-8"
            ) from error
    else:
        text = data.decode(_find_encoding(lambda: [data], name))
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", text)


def read_text_file(path: Path, name: str = "") -> str:
    """Return the text of a regular file, decoded as `decode_text` does; messages call it ``name``.

    Raises UserError for anything else than a regular file, OSError if it cannot be read.
    """
    check_regular(path, name)
    return decode_text(path.read_bytes(), name or str(path))


def read_lines(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each line of a text file in NFC, without its end, and the bytes up to there.

    The file is read twice, at first for its encoding, and is never in memory as a whole. Raises
    UserError as ``decode_text`` does, also if the file cannot be read or holds a null character, as
    UTF-16 does.
    """
    try:
        check_regular(path)
        encoding = _find_encoding(lambda: _chunks(path), str(path))
        decode_first, position = encoding, 0
        with path.open("rb") as file:
            # The byte that ends a line is part of no other character in UTF-8 or CP949.
            for data in file:
                position += len(data)
                text = data.decode(decode_first).removesuffix("\n").removesuffix("\r")
                decode_first = "utf-8" if encoding == "utf-8-sig" else encoding
                for line in text.split("\r"):
                    yield unicodedata.normalize("NFC", line), position
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            if b"\0" in data:
                raise UserError(f"{path} is no text file: it holds a null character")
            yield data


def _find_encoding(chunks: Callable[[], Iterable[bytes]], name: str) -> str:
    """The name of the encoding of all ``chunks`` of a file together."""
    utf8 = _first_invalid(chunks(), "utf-8")
    if utf8 is None:
        return "utf-8-sig"
    # A byte-order mark proves that it is UTF-8. CP949 would give wrong characters.
    if next(iter(chunks())).startswith(codecs.BOM_UTF8):
        raise _undecodable(name, "UTF-8", utf8)
    cp949 = _first_invalid(chunks(), "cp949")
    if cp949 is None:
        return "cp949"
    raise _undecodable(name, *max(("UTF-8", utf8), ("CP949", cp949), key=lambda end: end[1]))


def _first_invalid(chunks: Iterable[bytes], encoding: str) -> int | None:
    """The offset of the first byte that the encoding does not allow; None if all are allowed."""
    decoder = codecs.getincrementaldecoder(encoding)()
    given, pending = 0, 0  # bytes; pending: the beginning of a character that the next chunk ends
    try:
        for data in chunks:
            decoder.decode(data)
            given += len(data)
            pending = len(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return given - pending + error.start
    return None


def _undecodable(name: str, encoding: str, offset: int) -> UserError:
    return UserError(
        f"{name}: neither UTF-8 nor CP949 (not {encoding} from byte {offset} on); save it as UTF-8"
    )
