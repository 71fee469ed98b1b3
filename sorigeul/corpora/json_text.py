"""JSON text with readable Hangul, for manifests and reports."""

import json
from typing import Any


def to_json(content: Any, indent: int | None = None) -> str:
    """Return JSON with unescaped Hangul; escaped if a string in it is not valid Unicode.

    Folders unpacked from CP949 archives have names that are not UTF-8. Escaped, they stay usable.
    """
    text = json.dumps(content, ensure_ascii=False, indent=indent)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(content, indent=indent)
    return text
