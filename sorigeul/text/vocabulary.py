"""Vocabularies: text to ids and back. Does not know about tensors or transcription marks."""

import csv
import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any, Literal, get_args

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular
from sorigeul.text.byte_pairs import learn_units, split_at, split_into_units, split_words
from sorigeul.text.file_encoding import read_text_file
from sorigeul.text.jamo import INITIALS, MEDIALS, is_syllable, positions

SPECIALS = ("<s>", "</s>", "_")
"""start, end and padding in the order of their ids, always the last three of a vocabulary"""

Kind = Literal["syllable", "jamo", "bpe"]
_FORMAT = "sorigeul-vocabulary/1"
_REMEMBERED = 200_000  # words


@dataclass(frozen=True)
class Vocabulary:
    """The V output units of a model in the order of their ids; the last three are ``SPECIALS``.

    ``syllable`` units are characters of NFC text. ``jamo`` units are characters of NFD text, so a
    syllable is written as its conjoining jamo (초성, 중성, 종성). ``bpe`` units are one character
    of NFC text or several, as of `text.byte_pairs`; the earlier one comes, the sooner its parts are
    joined. Raises ValueError for units that are not distinct and followed by the specials, for
    those of several characters in other kinds, and for ``bpe`` units that span two words, or whose
    characters are not units themselves.
    """

    units: tuple[str, ...]
    kind: Kind = "syllable"

    def __post_init__(self) -> None:
        """Check the units."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind {self.kind!r} is none of {', '.join(get_args(Kind))}")
        if self.units[-3:] != SPECIALS:
            raise ValueError(f"the last three units must be {' '.join(SPECIALS)}")
        if len(self.units) == 3:
            raise ValueError("there are no units but the specials")
        for unit, count in Counter(self.units).items():
            if count > 1:
                raise ValueError(f"unit {unit!r} occurs {count} times")
        for unit in self.units[:-3]:
            if len(unit) != 1 and (self.kind != "bpe" or not unit):
                raise ValueError(f"unit {unit!r} is not a single character")
            if any(map(str.isspace, unit[1:])):
                raise ValueError(f"unit {unit!r} spans two words")
            if missing := [one for one in unit if one not in self._ids]:
                raise ValueError(f"{missing[0]!r} of unit {unit!r} is not a unit itself")
        if self.kind == "bpe" and " " not in self._ids:
            raise ValueError("there is no unit ' '")

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], kind: Kind = "syllable", min_count: int = 1
    ) -> "Vocabulary":
        """Collect the units of ``texts``, the most frequent first, ties by code point.

        Units seen fewer than ``min_count`` times are left out. Raises UserError if none is left.
        """
        characters: Counter[str] = Counter()
        for text in texts:
            characters.update(unicodedata.normalize("NFC", text))
        return cls.from_characters(characters, kind, min_count)

    @classmethod
    def from_characters(
        cls, characters: Mapping[str, int], kind: Kind = "syllable", min_count: int = 1
    ) -> "Vocabulary":
        """As ``from_texts``, given how often each character occurs in the NFC of the texts."""
        counts: Counter[str] = Counter()
        for character, count in characters.items():
            for unit in _split(character, kind):
                counts[unit] += count
        frequent = [unit for unit, count in counts.items() if count >= min_count]
        units = [unit for unit in frequent if unit not in SPECIALS]
        if not units:
            raise UserError(f"no character occurs {min_count} times in the texts: no vocabulary")
        if kind == "bpe" and " " not in units:  # every text begins with it
            units.append(" ")
        units.sort(key=lambda unit: (-counts[unit], unit))
        return cls((*units, *SPECIALS), kind)

    @classmethod
    def learn(cls, texts: Iterable[str], bpe_units: int, min_count: int = 1) -> "Vocabulary":
        """Learn ``bpe`` units from texts, by byte-pair encoding.

        All characters come first, the most frequent before the others, and then what is learned, in
        its order. There are ``bpe_units`` with the specials, or fewer if no pair of neighbours
        occurs ``min_count`` times any more, nor twice. Characters seen fewer than ``min_count``
        times are left out. Raises UserError if there is no room beside the characters.
        """
        words = Counter(word for text in texts for word in split_words(_split(text, "bpe")))
        characters: Counter[str] = Counter()
        for word, count in words.items():
            for character in word:
                characters[character] += count
        single = cls.from_characters(characters, "bpe", min_count)
        room = bpe_units - len(single)
        if room < 1:
            raise UserError(
                f"bpe_units is {bpe_units}, but must be more than {len(single)}: the texts have "
                f"{len(single) - 3} different characters, and there are three specials; raise it, "
                "or leave rare characters out with min_count"
            )
        known = set(single.units[:-3])
        joined = learn_units(split_at(words, known), room, max(min_count, 2), SPECIALS)
        return cls((*single.units[:-3], *joined, *SPECIALS), "bpe")

    @classmethod
    def named(cls, name: str, characters: Mapping[str, int], min_count: int) -> "Vocabulary":
        """Return the vocabulary for the setting ``vocabulary``: a kind, or the path of a table.

        A kind collects the units of the ``characters`` in the corpus; ``bpe`` has these characters
        alone, since `learn` makes units of several.
        """
        for kind in get_args(Kind):
            if name == kind:
                return cls.from_characters(characters, kind, min_count)
        return cls.from_csv(name)

    @classmethod
    def from_csv(cls, path: str | Path) -> "Vocabulary":
        """Read a published table with the columns ``id,char`` (and ``freq``), ids from 0 upwards.

        Raises UserError if the table is missing or damaged, with the number of the line.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: no such vocabulary file")
        rows = csv.reader(StringIO(read_text_file(path), newline=""))
        units: list[str] = []
        try:
            header = next(rows, [])
            if header[:2] != ["id", "char"]:
                first_line = ",".join(header)
                raise UserError(
                    f"{path}: the first line must be 'id,char,freq', not {first_line!r}"
                )
            for row in filter(None, rows):
                if len(row) != len(header) or row[0] != str(len(units)):
                    expected = f"{len(header)} fields, the first {len(units)}"
                    raise UserError(
                        f"{path}:{rows.line_num}: expected {expected}; found {','.join(row)!r}"
                    )
                units.append(row[1])
            return cls(tuple(units))
        except (ValueError, csv.Error) as error:
            raise UserError(f"{path}: not a usable vocabulary: {error}") from error

    def extended(self, other: "Vocabulary") -> "Vocabulary":
        """Return this vocabulary with the new characters of ``other`` added.

        The old units keep their ids; the specials move to the end. Units of several characters stay
        as they are: what ``other`` joined has no place in this order. Raises UserError if the kinds
        differ.
        """
        if self.kind != other.kind:
            raise UserError(f"a {self.kind} vocabulary cannot be extended by a {other.kind} one")
        known = set(self.units)
        added = [unit for unit in other.units if unit not in known and len(unit) == 1]
        return Vocabulary((*self.units[:-3], *added, *SPECIALS), self.kind) if added else self

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Read a file that holds what ``to_json`` wrote; UserError if that is not possible."""
        try:
            check_regular(path)
            # Invalid bytes may be replaced: the result does not have the hash that stands there.
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror})") from error
        return cls.from_json(text, str(path))

    @classmethod
    def from_json(cls, text: str, name: str) -> "Vocabulary":
        """Read what ``to_json`` wrote; UserError with ``name`` if it is damaged or another file."""
        try:
            content = json.loads(text)
            if not isinstance(content, dict) or content.get("format") != _FORMAT:
                raise ValueError(f"its format is not {_FORMAT}")
            units: Any = content.get("units")
            kind: Any = content.get("kind")
            if not isinstance(units, list) or not all(isinstance(unit, str) for unit in units):
                raise ValueError("its units are not a list of strings")
            vocabulary = cls(tuple(units), kind)
            if content.get("hash") != vocabulary.hash:
                raise ValueError("its units do not match its hash")
        except (ValueError, RecursionError) as error:
            raise UserError(f"{name}: not a usable vocabulary: {error}") from error
        return vocabulary

    def to_json(self) -> str:
        """Return everything as one JSON object."""
        content = {
            "format": _FORMAT,
            "kind": self.kind,
            "hash": self.hash,
            "units": self.units,
        }
        return json.dumps(content, ensure_ascii=False) + "\n"

    @property
    def hash(self) -> str:
        """SHA-256 (hexadecimal) of kind and units: equal for exactly the same vocabulary."""
        content = json.dumps([self.kind, *self.units])
        return hashlib.sha256(content.encode("ascii")).hexdigest()

    def __len__(self) -> int:
        return len(self.units)

    @property
    def sos_id(self) -> int:
        """Id of ``<s>``, which starts an utterance."""
        return len(self.units) - 3

    @property
    def eos_id(self) -> int:
        """Id of ``</s>``, which ends an utterance."""
        return len(self.units) - 2

    @property
    def pad_id(self) -> int:
        """Id of ``_``, which fills up a batch."""
        return len(self.units) - 1

    @cached_property
    def _ids(self) -> dict[str, int]:
        # Without the specials: an underscore in a text must never turn into padding.
        return {unit: i for i, unit in enumerate(self.units[:-3])}

    @cached_property
    def _words(self) -> dict[str, tuple[int, ...]]:
        # The ids of the words that were written before, of ``bpe`` units; few words are new.
        return {}

    def split(self, text: str) -> str:
        """Return the characters of ``text`` that units are made of: those of its NFC or NFD."""
        return _split(text, self.kind)

    def encode(self, text: str) -> list[int]:
        """Return the ids of the units of ``text``, without start and end; skip unknown units."""
        pad = self.pad_id
        return [unit for unit in self.encode_all(text) if unit != pad]

    def encode_all(self, text: str) -> list[int]:
        """As ``encode``, but with ``pad_id`` for unknown units, as language models read them."""
        if self.kind == "bpe":
            words = split_words(self.split(text))
            return [unit for word in words for unit in self._encode_word(word)]
        return self.encode_characters(text)

    def encode_characters(self, text: str) -> list[int]:
        """As ``encode_all``, but one id a character, and no space that ``text`` does not have."""
        pad = self.pad_id
        return [self._ids.get(character, pad) for character in self.split(text)]

    def _encode_word(self, word: str) -> tuple[int, ...]:
        ids = self._words.get(word)
        if ids is None:
            pieces = split_into_units(word, self._ids)
            ids = tuple(self._ids.get(piece, self.pad_id) for piece in pieces)
            if len(self._words) >= _REMEMBERED:
                self._words.clear()
            self._words[word] = ids
        return ids

    def spell(self, ids: Iterable[int]) -> list[int]:
        """Return the ids of the characters that units spell: the same units, but for ``bpe``.

        As `decode`, without the space before the first word. The ids have no specials.
        """
        if self.kind != "bpe":
            return list(ids)
        spelled = "".join(self.units[unit] for unit in ids).removeprefix(" ")
        return [self._ids[character] for character in spelled]

    def jamo_ids(self) -> list[tuple[int, ...]]:
        """Return the ids of the jamo (초성, 중성, 종성) of each unit, counted from 1.

        There are three for each character, and all rows are as long as that of the longest unit: 0
        stands for a missing final, and for all three of what is no Hangul syllable; -1 for
        characters that a unit does not have.
        """
        spellings: list[Sequence[str]] = [*self.units[:-3], *((special,) for special in SPECIALS)]
        longest = max(map(len, spellings))
        return [
            (
                *(jamo for one in spelling for jamo in _jamo_ids(one)),
                *(-1,) * 3 * (longest - len(spelling)),
            )
            for spelling in spellings
        ]

    def unknown(self, text: str) -> list[str]:
        """Return the characters of ``text`` that ``encode`` leaves out, in order."""
        return [unit for unit in _split(text, self.kind) if unit not in self._ids]

    def unknown_characters(self, characters: Mapping[str, int]) -> dict[str, int]:
        """Return the ``characters``, with their counts, that ``encode`` cannot fully encode."""
        return {char: count for char, count in characters.items() if self.unknown(char)}

    def decode(self, ids: Iterable[int], continues: bool = False) -> str:
        """Return the NFC text of ``ids`` up to the first end; skip starts and padding.

        Without the space that ``encode`` puts before the first word for ``bpe``, unless the ids
        continue a text. Raises ValueError for an id that the vocabulary does not have.
        """
        units: list[str] = []
        for i in ids:
            if not 0 <= i < len(self.units):
                raise ValueError(f"id {i} is not in a vocabulary of {len(self.units)}")
            if i == self.eos_id:
                break
            if i not in (self.sos_id, self.pad_id):
                units.append(self.units[i])
        text = unicodedata.normalize("NFC", "".join(units))
        return text.removeprefix(" ") if self.kind == "bpe" and not continues else text


def _jamo_ids(character: str) -> tuple[int, int, int]:
    if not is_syllable(character):
        return 0, 0, 0
    initial, medial, final = positions(character)
    first_medial = 1 + len(INITIALS)
    first_final = first_medial + len(MEDIALS)
    return 1 + initial, first_medial + medial, first_final + final - 1 if final else 0


def _split(text: str, kind: Kind) -> str:
    return unicodedata.normalize("NFD" if kind == "jamo" else "NFC", text)
