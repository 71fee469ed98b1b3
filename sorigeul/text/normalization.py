"""Normalisers: named, versioned rules from raw transcripts to text for training and scoring."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from sorigeul.base.errors import UserError
from sorigeul.text import punctuation

Numbers = Literal["keep", "spoken", "written"]
"""how numbers, units and Latin letters are written: as in the transcript, as they are spoken (in
Hangul), or in digits and signs"""
Punctuation = Literal["keep", "drop"]
"""whether a text keeps the punctuation of its transcript"""


class TranscriptError(ValueError):
    """A transcript with marks that have no clear meaning. The caller adds file and line."""


@dataclass(frozen=True)
class Normalizer:
    """A named, versioned rule from raw to normalised text.

    The version increases whenever any result changes, since scores under different rules cannot be
    compared. ``str()`` gives ``name/version``, as it is written in reports, and what else is done:
    ``plain/2+spoken/3`` rewrites numbers, ``plain/2+unpunctuated/1`` drops punctuation.
    """

    name: str
    version: int
    function: Callable[[str], str]
    numbers: Numbers = "keep"
    punctuation: Punctuation = "keep"

    def __call__(self, text: str) -> str:
        """Return normalised text: NFC, words separated by one space, nothing that cannot be seen.

        Raises TranscriptError if the transcript is malformed.
        """
        return self.rewritten(self.function(text))

    def rewritten(self, text: str) -> str:
        """Return a normalised text with numbers and punctuation as this normaliser has them."""
        if self.numbers != "keep":
            text = " ".join(self._convert()[0](text).split())
        if self.punctuation == "keep":
            return text
        unpunctuated = punctuation.drop_punctuation(text)
        if self.numbers == "keep" or unpunctuated == text:
            return unpunctuated
        return self.rewritten(unpunctuated)  # signs may have hidden a number: A-B becomes A B

    def _convert(self) -> tuple[Callable[[str], str], int]:
        """What rewrites numbers, and its version."""
        # Imported here: a third of a second goes into their patterns.
        if self.numbers == "spoken":
            from sorigeul.text import spoken_form

            return spoken_form.spoken, spoken_form.VERSION
        from sorigeul.text import written_form

        return written_form.written, written_form.VERSION

    def __str__(self) -> str:
        name = f"{self.name}/{self.version}"
        if self.numbers != "keep":
            name += f"+{self.numbers}/{self._convert()[1]}"
        if self.punctuation == "drop":
            name += f"+unpunctuated/{punctuation.VERSION}"
        return name


def normalizer(
    name: str, numbers: Numbers = "keep", punctuation: Punctuation = "keep"
) -> Normalizer:
    """Return the normaliser called ``name``; UserError if there is none."""
    if name not in _NORMALIZERS:
        raise UserError(f"no normaliser '{name}'; choose one of {', '.join(sorted(_NORMALIZERS))}")
    return replace(_NORMALIZERS[name], numbers=numbers, punctuation=punctuation)


# Characters that take no room: Unicode's Default_Ignorable_Code_Point (zero-width and soft hyphens,
# bidirectional marks, byte-order marks, variation selectors, fillers), and control characters.
_INVISIBLE = re.compile(
    "[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# These look like a space, but are letters and symbols to Unicode: Hangul fillers, an empty braille.
_BLANK = re.compile("[\u2800\u3164\uffa0]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def invisible_characters(text: str) -> str:
    """The characters of a transcript that nobody sees or hears, which every normaliser removes."""
    return "".join(_INVISIBLE.findall(text))


def visible(text: str) -> str:
    """The text in NFC without invisible characters. Other white space is left as it is.

    Raises TranscriptError if a part of it is no text at all: half a character (a lone surrogate).
    """
    if text.isascii() and text.isprintable():
        return text
    if half := _SURROGATE.search(text):
        raise TranscriptError(f"half a character, U+{ord(half.group()):04X}")
    return unicodedata.normalize("NFC", _BLANK.sub(" ", _INVISIBLE.sub("", text)))


def _plain(text: str) -> str:
    return " ".join(visible(text).split())


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
    text = _TAG.sub("", visible(text))

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
        Normalizer("kspon-pronunciation", 2, lambda text: _kspon(text, "pronunciation")),
        Normalizer("kspon-spelling", 2, lambda text: _kspon(text, "spelling")),
        Normalizer("plain", 2, _plain),
    )
}
