"""Normalisers: named, versioned rules from raw transcripts to text for training and scoring."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sorigeul.base.errors import UserError


class TranscriptError(ValueError):
    """A transcript with marks that have no clear meaning. The caller adds file and line."""


@dataclass(frozen=True)
class Normalizer:
    """A named, versioned rule from raw to normalised text.

    The version increases whenever any result changes, since scores under different rules cannot be
    compared. ``str()`` gives ``name/version``, as it is written in reports.
    """

    name: str
    version: int
    function: Callable[[str], str]

    def __call__(self, text: str) -> str:
        """Return normalised text: NFC, words separated by one space. May raise TranscriptError."""
        return self.function(text)

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def normalizer(name: str) -> Normalizer:
    """Return the normaliser called ``name``; UserError if there is none."""
    if name not in _NORMALIZERS:
        raise UserError(f"no normaliser '{name}'; choose one of {', '.join(sorted(_NORMALIZERS))}")
    return _NORMALIZERS[name]


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


_HANGUL = "가-힣ㄱ-ㆎ"
_TAG = re.compile(r"(?<!\S)[blonu]/(?!\S)")
# A dual transcription: (spelling)/(pronunciation). Spaces in and between the brackets occur in
# KsponSpeech and mean nothing. An empty side is an error.
_DUAL = re.compile(r"\(\s*([^()]*?)\s*\)\s*/\s*\(\s*([^()]*?)\s*\)")
_MARKS_AFTER_HANGUL = re.compile(rf"(?<=[{_HANGUL}])[/+*]+")
_MARKS_AFTER_LATIN = re.compile(r"(?<=[A-Za-z0-9%#])[+*]+(?![A-Za-z0-9+*])")
_SIGN_IN_LATIN_WORD = re.compile(r"(?<=[A-Za-z0-9])[/+*](?=[A-Za-z0-9])")
_UNEXPLAINED_SIGN = re.compile(r"[()/+*]")


def _kspon(text: str, side: Literal["pronunciation", "spelling"]) -> str:
    """Apply ETRI's transcription rules (KsponSpeech; Bang et al. 2020).

    A tag (``b/ l/ o/ n/ u/``) counts only as a whole token. After Hangul, ``/`` marks a filler
    word, ``+`` a word broken off and ``*`` an unclear one. Any other such sign raises
    TranscriptError, since its meaning is unclear, except inside ``1+1`` or ``A/S`` on the spelling
    side.
    """
    text = _TAG.sub("", unicodedata.normalize("NFC", text))

    def choose(dual: re.Match[str]) -> str:
        spelling, pronunciation = dual.groups()
        if not spelling or not pronunciation:
            raise TranscriptError(f"dual transcription with an empty side: {dual.group()!r}")
        return str(spelling if side == "spelling" else pronunciation)

    text = _DUAL.sub(choose, text)
    text = _MARKS_AFTER_LATIN.sub("", _MARKS_AFTER_HANGUL.sub("", text))
    rest = _SIGN_IN_LATIN_WORD.sub("", text) if side == "spelling" else text
    if sign := _UNEXPLAINED_SIGN.search(rest):
        is_bracket = sign.group() in "()"
        problem = "bracket without its pair" if is_bracket else "mark that belongs to no word"
        context = rest[max(0, sign.start() - 10) : sign.end() + 10].strip()
        raise TranscriptError(f"{problem}: {sign.group()!r} in {context!r}")
    if side == "pronunciation":
        text = text.replace("%", "퍼센트").replace("#", "샾")
    return _plain(text)


_NORMALIZERS = {
    normalizer.name: normalizer
    for normalizer in (
        Normalizer("kspon-pronunciation", 1, lambda text: _kspon(text, "pronunciation")),
        Normalizer("kspon-spelling", 1, lambda text: _kspon(text, "spelling")),
        Normalizer("plain", 1, _plain),
    )
}
