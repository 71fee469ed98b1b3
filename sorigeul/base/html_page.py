"""The page of a report: one HTML file that holds its style, its scripts and its data.

The scripts build everything from the data with text nodes, never from HTML, and the page's own
policy (Content-Security-Policy) allows nothing but these scripts, this style, and data: URIs of
pictures and sound. Does not know what the data mean.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

BEGINS = rb'<!doctype html>[\s\S]*<meta name="generator" content="sorigeul">'
"""how such a page begins"""


def render_page(package: str, data: Mapping[str, Any]) -> str:
    """The HTML that shows `data`.

    In the folder `page` of the package are `page.js`, which draws the data with what is in
    `tools.js` here, and its texts in English and Korean, `texts.json`.
    """
    shared, own = (resources.files(name) / "page" for name in (__package__, package))
    files = (
        *(shared / "page.html", shared / "page.css", shared / "tools.js"),
        *(own / "page.js", own / "texts.json"),
    )
    html, style, tools, page, texts = (file.read_text(encoding="utf-8") for file in files)
    script = tools + page
    parts = {
        "style": style,
        "script": script,
        "texts": _json_block(json.loads(texts)),
        "data": _json_block(data),
        "policy": "; ".join(
            (
                "default-src 'none'",
                f"script-src '{_hash(script)}'",
                f"style-src '{_hash(style)}'",
                "img-src data:",
                "media-src data:",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], html)


def _json_block(content: Any) -> str:
    """JSON that cannot end the script element it lies in, whatever is in its strings."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _hash(text: str) -> str:
    """The text as a source that a Content-Security-Policy allows."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
