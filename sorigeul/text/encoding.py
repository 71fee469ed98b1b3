"""Transcripts to normalised text. Knows transcription marks; nothing of corpora or of scoring."""

import unicodedata

from sorigeul.base.errors import UserError


def decode_text(data: bytes, name: str) -> str:
    r"""Return the text of a file: UTF-8 (with or without byte-order mark), else CP949.

    NFC, every line end ``\n``. Raises UserError with ``name`` and the offset of the first byte that
    does not fit, counted in the encoding that got further.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as utf8:
        if data.startswith(b"\xef\xbb\xbf"):  # a mark settles the encoding; CP949 would be mojibake
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
