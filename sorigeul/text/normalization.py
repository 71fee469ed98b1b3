"""Transcripts to normalised text. Knows transcription marks; nothing of corpora or of scoring."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sorigeul.base.errors import UserError


class TranscriptError(ValueError):
    """A transcript that cannot be read for certain. The caller adds its file and line."""


@dataclass(frozen=True)
class Normalizer:
    """A named rule from raw to normalised text.

    The version rises with every change of a result, since scores under different rules do not
    compare. ``str()`` gives ``name/version``, the form that reports carry.
    """

    name: str
    version: int
    function: Callable[[str], str]

    def __call__(self, text: str) -> str:
        """Return ``text`` normalised: NFC, words one space apart. May raise TranscriptError."""
        return self.function(text)

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def normalizer(name: str) -> Normalizer:
    """Return the normaliser of that name; UserError if there is none."""
    if name not in _NORMALIZERS:
        raise UserError(f"no normaliser '{name}'; choose one of {', '.join(sorted(_NORMALIZERS))}")
    return _NORMALIZERS[name]


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


_HANGUL = "가-힣ㄱ-ㆎ"
_TAG = re.compile(r"(?<!\S)[blonu]/(?!\S)")
# Spaces inside and between the brackets occur and change no meaning; an empty side does.
_DUAL = re.compile(r"\(\s*([^()]*?)\s*\)\s*/\s*\(\s*([^()]*?)\s*\)")
_MARKS_AFTER_HANGUL = re.compile(rf"(?<=[{_HANGUL}])[/+*]+")
_MARKS_AFTER_OTHERS = re.compile(r"(?<=[A-Za-z0-9%#])[+*]+(?![A-Za-z0-9+*])")
_LITERAL = re.compile(r"(?<=[A-Za-z0-9])[/+*](?=[A-Za-z0-9])")
_LEFT_OVER = re.compile(r"[()/+*]")


def _kspon(text: str, side: Literal["pronunciation", "spelling"]) -> str:
    """Read a transcript under ETRI's transcription rules (KsponSpeech; Bang et al. 2020).

    A tag (``b/ l/ o/ n/ u/``) counts only as a whole token; a slash after Hangul marks a filler
    word, ``+`` a broken-off and ``*`` an unclear one. What is left of these signs means nothing
    for certain and raises TranscriptError, but for a sign within ``1+1`` or ``A/S`` as spelt.
    """
    text = _TAG.sub("", unicodedata.normalize("NFC", text))

    def choose(dual: re.Match[str]) -> str:
        spelling, pronunciation = dual.groups()
        if not spelling or not pronunciation:
            raise TranscriptError(f"dual transcription with an empty side: {dual.group()!r}")
        return str(spelling if side == "spelling" else pronunciation)

    text = _DUAL.sub(choose, text)
    text = _MARKS_AFTER_OTHERS.sub("", _MARKS_AFTER_HANGUL.sub("", text))
    rest = _LITERAL.sub("", text) if side == "spelling" else text
    if sign := _LEFT_OVER.search(rest):
        what = (
            "bracket without its pair" if sign.group() in "()" else "mark that belongs to no word"
        )
        around = rest[max(0, sign.start() - 10) : sign.end() + 10].strip()
        raise TranscriptError(f"{what}: {sign.group()!r} in {around!r}")
    if side == "pronunciation":
        text = text.replace("%", "퍼센트").replace("#", "샾")
    return _plain(text)


_NORMALIZERS = {
    each.name: each
    for each in (
        Normalizer("kspon-pronunciation", 1, lambda text: _kspon(text, "pronunciation")),
        Normalizer("kspon-spelling", 1, lambda text: _kspon(text, "spelling")),
        Normalizer("plain", 1, _plain),
    )
}
