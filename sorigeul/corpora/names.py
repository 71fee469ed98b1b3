"""Names of utterances and speakers as manifests have them. Knows nothing of files and corpora."""

import math
import unicodedata
from typing import Any


def utf8_name(name: str) -> str:
    r"""Return a name that UTF-8 can hold; unchanged if it is one.

    Folders that were packed on Korean Windows may have names in CP949. A part of a path that is
    neither UTF-8 nor CP949 has escapes such as ``\udcff`` in place of its bytes.
    """
    return name if _is_utf8(name) else "/".join(map(_utf8_part, name.split("/")))


def speaker_name(value: Any) -> str | None:
    """Return the name of a speaker, the same however it is spaced and composed; None: no name.

    A whole number may come as a fraction, such as 3.0.
    """
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    name = "" if value is None else unicodedata.normalize("NFC", str(value))
    return utf8_name(" ".join(name.split())) or None


def _utf8_part(name: str) -> str:
    if _is_utf8(name):
        return name
    try:
        return name.encode("utf-8", "surrogateescape").decode("cp949")
    except UnicodeError:
        return name.encode("utf-8", "backslashreplace").decode()


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
