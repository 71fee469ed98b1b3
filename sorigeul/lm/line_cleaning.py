"""Cleans lines of raw text until they look like the transcripts that a recogniser learnt from."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sorigeul.text.normalization import normalizer
from sorigeul.text.punctuation import CLOSED_UP
from sorigeul.text.spoken_form import VERSION, spoken
from sorigeul.text.vocabulary import Vocabulary

Ids = npt.NDArray[np.unsignedinteger[Any]]
Reason = Literal["empty", "other script", "Latin words", "unknown characters"]

NORMALIZER = normalizer("plain")
"""the transcripts' own; the rest of the cleaning makes text look like transcripts"""
READ_OUT = f"spoken/{VERSION}"
"""how numbers and Latin letters of text that is no transcript are read out"""
_LONG = 100  # characters: longer lines are split into their sentences
_LONGEST = 500  # characters: longer sentences are cut at spaces
_MOST_UNKNOWN = 0.1  # share of the characters of a line

_PLAIN = re.compile(r"[가-힣 ]+")
_LATIN = re.compile(r"[A-Za-z]")
# Few lines have any of these; most need not be searched for other scripts.
_UNCOMMON = re.compile(r"[^\0-\x7f가-힣ㄱ-ㆎ‘’“”…]")
_SENTENCE_END = re.compile(r"(?<=[.?!…])(?<!\d\.)[\"'”’)\]]*\s+")
_LIST_NUMBER = re.compile(r"^\(?\d{1,2}[.)]\s*(?=[^\d\s])")
# Translations and explanations that nobody reads out: 위원장(委員長), 모델(model).
_GLOSS = re.compile(r"\s?[(\[][^()\[\]\d가-힣]*[^\W\d_가-힣][^()\[\]\d가-힣]*[)\]]")


@dataclass(frozen=True)
class CleanLine:
    """A line for a language model. It may have several sentences if it is of ordinary length."""

    text: str
    sentences: tuple[str, ...]
    ids: Ids
    """of its units; `pad_id` for characters that the vocabulary does not have"""


class LineCleaner:
    """Turns raw lines into lines of the characters of a vocabulary.

    Numbers and Latin letters are read out, the sentences of long lines separated, and signs dropped
    unless they are in the vocabulary. Lines with other scripts or Latin words are left out.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Prepare for the signs of a vocabulary."""
        self._vocabulary = vocabulary
        hangul_or_space = re.compile(r"[가-힣\u1100-\u11ff\s]")
        units = [unit for unit in vocabulary.units[:-3] if len(unit) == 1]
        signs = "".join(re.escape(unit) for unit in units if not hangul_or_space.match(unit))
        self._other_script = re.compile(rf"[^\W_0-9A-Za-z가-힣ㄱ-ㆎ{signs}]|[^\0-\uffff{signs}]")
        closed_up = "".join(map(re.escape, CLOSED_UP))
        self._closed_up = re.compile(rf"(?![{signs or '가'}])[{closed_up}]")
        self._other_sign = re.compile(rf"[^0-9A-Za-z가-힣\s{signs}]+")
        self._id_of_code_point: Ids = np.full(0x110000, vocabulary.pad_id, id_type(vocabulary))
        for i, unit in enumerate(vocabulary.units[:-3]):
            if len(unit) == 1:
                self._id_of_code_point[ord(unit)] = i

    def clean(self, raw: str, read_out: bool) -> list[CleanLine | Reason]:
        """The lines that a raw line becomes, at least one; a reason for a line that is left out.

        `read_out`: write numbers and Latin letters as they are spoken. Transcripts need it not:
        they are already written in the way in which the recogniser writes.
        """
        text = NORMALIZER(raw)
        if _PLAIN.fullmatch(text) and len(text) <= _LONG:
            return [self._line([text])]
        if not read_out:
            return [self._cleaned([text], read_out)]
        text = spoken(_GLOSS.sub("", _LIST_NUMBER.sub("", text)))
        sentences = _SENTENCE_END.split(text)
        if len(text) <= _LONG:
            return [self._cleaned(sentences, read_out)]
        parts = (part for sentence in sentences for part in _cut(sentence))
        return [self._cleaned([part], read_out) for part in parts]

    def _cleaned(self, sentences: list[str], read_out: bool) -> CleanLine | Reason:
        text = "\n".join(sentences)
        if _UNCOMMON.search(text) and self._other_script.search(text):
            return "other script"
        if read_out and _LATIN.search(text):
            return "Latin words"
        text = self._other_sign.sub(" ", self._closed_up.sub("", text))
        return self._line([" ".join(sentence.split()) for sentence in text.split("\n")])

    def _line(self, sentences: list[str]) -> CleanLine | Reason:
        sentences = [sentence for sentence in sentences if sentence]
        if not sentences:
            return "empty"
        text = " ".join(sentences)
        characters = self._vocabulary.split(text)
        code_points = np.frombuffer(characters.encode("utf-32-le"), dtype="<u4")
        ids: Ids = self._id_of_code_point[code_points]
        if np.count_nonzero(ids == self._vocabulary.pad_id) > _MOST_UNKNOWN * len(ids):
            return "unknown characters"
        if self._vocabulary.kind == "bpe":
            ids = np.array(self._vocabulary.encode_all(text), ids.dtype)
        return CleanLine(text, tuple(sentences), ids)


def id_type(vocabulary: Vocabulary) -> np.dtype[Any]:
    """The type of ids: uint16, or uint32 for a vocabulary of more than 65,536 units."""
    return np.dtype(np.uint16 if len(vocabulary) <= 2**16 else np.uint32)


def _cut(sentence: str) -> Iterator[str]:
    """Parts of at most `_LONGEST` characters, cut at spaces where there are any."""
    while len(sentence) > _LONGEST:
        end = sentence.rfind(" ", 1, _LONGEST + 1)
        end = end if end > 0 else _LONGEST
        yield sentence[:end]
        sentence = sentence[end:].lstrip()
    yield sentence
