"""The columns of a table that are read, whatever they are called, and a row of their values."""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sorigeul.base.errors import UserError

NEEDED = "audio and text, optionally speaker and split"
_NAMES = {
    "audio": "audio path file filename filepath audiopath audiofile audiofilepath wav wavpath "
    "파일 파일명 파일이름 파일경로 경로 음성 음성파일 오디오 오디오파일 녹음 녹음파일",
    "text": "text sentence transcript transcription 전사 전사문 전사텍스트 텍스트 문장 대사 발화문",
    "speaker": "speaker speakerid speakername clientid spk 화자 화자명 화자번호 화자id 발화자",
    "split": "split subset 분할",
}
"""what each column may be called, in lower case, without spaces, underscores and hyphens"""
_MEANINGS = {name: column for column, names in _NAMES.items() for name in names.split()}
_LEFT_OUT = re.compile(r"[\s_-]+")


class Values(NamedTuple):
    """What a row has in the columns that are read, as the format gives it; None: nothing."""

    audio: Any
    text: Any
    speaker: Any
    split: Any


class Row(NamedTuple):
    """A row of a table."""

    number: int
    """of its line or row in the file, from 1"""
    content: Values | str
    """its values, or why it cannot be read"""


@dataclass(frozen=True)
class Columns:
    """Which of a table's columns are read.

    A column that has one of our names is taken, else the only one with another name for the same.
    Raises UserError if that leaves audio or text without a column, or any with several.
    """

    names: Sequence[str]
    table: str
    """what the table is called in messages"""
    positions: dict[str, int] = field(init=False)
    """the position of each column of ours that the table has"""

    def __post_init__(self) -> None:
        """Find the columns."""
        keys = [
            _LEFT_OUT.sub("", unicodedata.normalize("NFC", name).casefold()) for name in self.names
        ]
        positions = {}
        for column in _NAMES:
            found = [place for place, key in enumerate(keys) if key == column]
            found = found or [p for p, key in enumerate(keys) if _MEANINGS.get(key) == column]
            if len(found) > 1:
                same = ", ".join(self.names[place] for place in found)
                raise UserError(
                    f"{self.table}: {len(found)} columns for {column} ({same}): call the right one "
                    f"{column}, and the others something else"
                )
            if found:
                positions[column] = found[0]
        if missing := [column for column in ("audio", "text") if column not in positions]:
            raise UserError(
                f"{self.table}: no column {' and no column '.join(missing)}; it has to have "
                f"{NEEDED}, and has {', '.join(self.names) or 'nothing'}"
            )
        object.__setattr__(self, "positions", positions)

    def select(self, values: Sequence[Any]) -> Values:
        """Return what a row has in the columns; ``values``: those of all columns of the table."""
        return Values(*(self._value(column, values) for column in Values._fields))

    def _value(self, column: str, values: Sequence[Any]) -> Any:
        place = self.positions.get(column)
        value = None if place is None else values[place]
        is_missing = isinstance(value, float) and math.isnan(value)  # to pandas
        return None if is_missing else value
