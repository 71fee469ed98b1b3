"""Decodes the bytes of text files: UTF-8 or CP949, to NFC with Unix line ends."""

import unicodedata

from sorigeul.base.errors import UserError


def decode_text(data: bytes, name: str) -> str:
    r"""Decode ``data`` as UTF-8, with or without a byte-order mark, else as CP949.

    The text is in NFC and every line ends with ``\n``. Raises UserError with the ``name`` of the
    file and the offset of the first invalid byte, in the encoding that decoded more of the file.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as utf8:
        # A byte-order mark proves that it is UTF-8. CP949 would give wrong characters.
        if data.startswith(b"\xef\xbb\xbf"):
            raise _undecodable(name, "UTF-8", utf8.start + 3) from utf8
        try:
            text = data.decode("cp949")
        except UnicodeDecodeError as cp949:
            if cp949.start > utf8.start:
                raise _undecodable(name, "CP949", cp949.start) from cp949
            raise _undecodable(name, "UTF-8", utf8.start) from utf8
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", text)


def _undecodable(name: str, encoding: str, offset: int) -> UserError:
    return UserError(
        f"{name}: neither UTF-8 nor CP949 (not {encoding} from byte {offset} on); save it as UTF-8"
    )
