"""Split a text file into sentences that can be read aloud."""

import re
from collections.abc import Iterator
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.corpora.utterances import Rejected
from sorigeul.text.file_encoding import decode_text
from sorigeul.text.normalization import normalizer

SHORTEST, LONGEST = 3, 60
"""Length of a sentence in characters, with spaces; a longer one is halved at a space."""

_QUOTES = "\"'“”‘’「」『』《》〈〉«»"
_PAUSES = ".,!?;:…·‥~–—。、，！？"
_END = re.compile(rf"(?<=[.!?…。！？])[{_QUOTES}]*\s+")
_SIGNS = str.maketrans(dict.fromkeys(_QUOTES, "") | dict.fromkeys(_PAUSES, " "))
_SILENT = re.compile(r"[^가-힣 ]")
_plain = normalizer("plain")


def passages(path: Path) -> tuple[dict[str, str], list[Rejected]]:
    """Return each sentence of a text file that can be read aloud, and what was left out and why.

    The first maps a sentence to where it first stands (``book.txt:12``), in the order of the file;
    repetitions count once. A sentence is Hangul alone: punctuation is taken out, since it is not
    heard, and other signs, digits and letters have no one way to be read. Raises UserError if the
    file cannot be read or nothing in it can.
    """
    try:
        content = decode_text(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give a text file of Korean sentences") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give a text file of Korean sentences"
        ) from error
    found: dict[str, str] = {}
    rejected = []
    for number, line in enumerate(content.split("\n"), 1):
        where = f"{path.name}:{number}"
        for sentence in _END.split(line):
            if reason := _reason(said := _said(sentence)):
                if sentence.strip():
                    rejected.append(Rejected(_plain(sentence)[:LONGEST], reason, where))
                continue
            for part in _parts(said):
                found.setdefault(part, where)
    if not found:
        raise UserError(f"{path}: {_nothing(rejected)}; give a text file of Korean sentences")
    return found, rejected


def _said(sentence: str) -> str:
    """Remove what is not spoken from a sentence."""
    return _plain(_plain(sentence).translate(_SIGNS))


def _reason(said: str) -> str:
    """Return why a sentence cannot be read aloud; empty if it can."""
    if silent := sorted(set(_SILENT.findall(said))):
        return f"cannot be read aloud: {' '.join(silent[:10])}"
    if len(said) < SHORTEST:
        return f"shorter than {SHORTEST} characters"
    if any(len(word) > LONGEST for word in said.split()):
        return f"{LONGEST} characters without a space"
    return ""


def _parts(said: str) -> Iterator[str]:
    """Halve at the space nearest to the middle until everything is short enough."""
    if len(said) <= LONGEST:
        yield said
        return
    middle = len(said) // 2
    space = min(
        (at for at, sign in enumerate(said) if sign == " "), key=lambda at: abs(at - middle)
    )
    yield from _parts(said[:space])
    yield from _parts(said[space + 1 :])


def _nothing(rejected: list[Rejected]) -> str:
    if not rejected:
        return "holds no text"
    first = rejected[0]
    return (
        f"none of its {len(rejected)} sentences can be said; the first, {first.where}: "
        f"{first.reason}"
    )
