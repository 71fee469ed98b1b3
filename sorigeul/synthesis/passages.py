"""Sentences of a text file that can be read aloud. Does not know about voices."""

import re
from collections.abc import Iterator
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.corpora.utterances import Rejected
from sorigeul.text.file_encoding import read_text_file
from sorigeul.text.normalization import normalizer

MIN_CHARACTERS, MAX_CHARACTERS = 3, 60
"""Length of a sentence, spaces included. A longer one is halved at a space."""

_QUOTES = "\"'“”‘’「」『』《》〈〉«»"
_PAUSES = ".,!?;:…·‥~–—。、，！？"
_SENTENCE_END = re.compile(rf"(?<=[.!?…。！？])[{_QUOTES}]*\s+")
_WITHOUT_PUNCTUATION = str.maketrans(dict.fromkeys(_QUOTES, "") | dict.fromkeys(_PAUSES, " "))
_UNREADABLE = re.compile(r"[^가-힣 ]")
_plain = normalizer("plain")


def read_sentences(path: Path) -> tuple[dict[str, str], list[Rejected]]:
    """Return the sentences of a text file that can be read aloud, and the rejected ones.

    The first result maps each sentence to where it first stands (``book.txt:12``), in the order of
    the file; repetitions count once. Punctuation is removed, because it is not spoken. Sentences
    with other signs, digits or Latin letters are rejected, because these can be read in several
    ways: what is left is Hangul alone.

    Raises:
        UserError: if the file cannot be read or has no usable sentence.
    """
    try:
        content = read_text_file(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give a text file of Korean sentences") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give a text file of Korean sentences"
        ) from error
    sentences: dict[str, str] = {}
    rejected = []
    for number, line in enumerate(content.split("\n"), 1):
        where = f"{path.name}:{number}"
        for raw_sentence in _SENTENCE_END.split(line):
            sentence = _plain(_plain(raw_sentence).translate(_WITHOUT_PUNCTUATION))
            if reason := _rejection_reason(sentence):
                if raw_sentence.strip():
                    shown = _plain(raw_sentence)[:MAX_CHARACTERS]
                    rejected.append(Rejected(shown, reason, where))
                continue
            for piece in _halve_until_short(sentence):
                sentences.setdefault(piece, where)
    if not sentences:
        raise UserError(
            f"{path}: {_nothing_usable(rejected)}; give a text file of Korean sentences"
        )
    return sentences, rejected


def _rejection_reason(sentence: str) -> str:
    """Why a sentence without punctuation cannot be read aloud; empty if it can."""
    if unreadable := sorted(set(_UNREADABLE.findall(sentence))):
        return f"cannot be read aloud: {' '.join(unreadable[:10])}"
    if len(sentence) < MIN_CHARACTERS:
        return f"shorter than {MIN_CHARACTERS} characters"
    if any(len(word) > MAX_CHARACTERS for word in sentence.split()):
        return f"{MAX_CHARACTERS} characters without a space"
    return ""


def _halve_until_short(sentence: str) -> Iterator[str]:
    """Halve at the space nearest to the middle until every piece is short enough."""
    if len(sentence) <= MAX_CHARACTERS:
        yield sentence
        return
    middle = len(sentence) // 2
    spaces = [position for position, sign in enumerate(sentence) if sign == " "]
    space = min(spaces, key=lambda position: abs(position - middle))
    yield from _halve_until_short(sentence[:space])
    yield from _halve_until_short(sentence[space + 1 :])


def _nothing_usable(rejected: list[Rejected]) -> str:
    if not rejected:
        return "holds no text"
    first = rejected[0]
    return (
        f"none of its {len(rejected)} sentences can be read aloud; the first, {first.where}: "
        f"{first.reason}"
    )
