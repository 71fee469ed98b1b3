"""The utterances of a JSON label, by a description. Does not know about files."""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from sorigeul.corpora.label_layouts import HiddenWordsError, Keys, LabelLayout
from sorigeul.corpora.names import speaker_name

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")


class LabelEntry(NamedTuple):
    """What a label says of an utterance; None: nothing."""

    number: int
    """in its label, from 1"""
    id: str | None
    audio: str | None
    text: str | None
    """without the marks that the description names"""
    text_file: str | None
    speaker: str | None
    start: float | None
    """in seconds"""
    end: float | None


class UnusableEntry(NamedTuple):
    """An entry of a label that is no utterance, and why."""

    number: int
    reason: str


def label_entries(label: Any, layout: LabelLayout) -> Iterator[LabelEntry | UnusableEntry]:
    """Yield the utterances of a label."""
    entries = _look_up(label, layout.utterances.split(".")) if layout.utterances else label
    if not isinstance(entries, list):
        if layout.utterances:
            yield UnusableEntry(1, f"no list {layout.utterances} in the label")
            return
        entries = [entries]
    for number, entry in enumerate(entries, 1):
        try:
            yield _label_entry(number, label, entry, layout)
        except _UnusableError as fault:
            yield UnusableEntry(number, str(fault))


class _UnusableError(Exception):
    """Why an entry is no utterance."""


def _label_entry(number: int, label: Any, entry: Any, layout: LabelLayout) -> LabelEntry:
    def value(keys: Keys) -> Any:
        return _first_value(label, entry, keys)

    def needed(field: str, keys: Keys) -> str | None:
        if not keys:
            return None
        found = value(keys)
        if found != "" and _text(found) is None:
            raise _UnusableError(f"no {' or '.join(keys)} in the label, which holds the {field}")
        return str(found)

    text_file = _text(value(layout.text_file))
    text = None if text_file else needed("text", layout.text or layout.text_file)
    if text is not None:
        try:
            text = layout.without_marks(text)
        except HiddenWordsError as mark:
            raise _UnusableError(f"the text leaves out what is said: {mark}") from mark
    start, end = (_seconds(value(keys), keys, layout) for keys in (layout.start, layout.end))
    if start is not None and end is not None and not 0 <= start < end:
        raise _UnusableError(f"times out of range: from {start:g} s to {end:g} s")
    return LabelEntry(
        number=number,
        id=_text(value(layout.id)),
        audio=needed("recording", layout.audio),
        text=text,
        text_file=text_file,
        speaker=speaker_name(_text(value(layout.speaker))),
        start=start,
        end=end,
    )


def _first_value(label: Any, entry: Any, keys: Keys) -> Any:
    """What the first of the keys has that is there and not empty; an empty text if that is all."""
    found = None
    for key in keys:
        top = key.startswith("/")
        value = _look_up(label if top else entry, key.removeprefix("/").split("."))
        if value is not None and value != "":
            return value
        found = value if found is None else found
    return found


def _look_up(value: Any, path: list[str]) -> Any:
    """Follow keys, and numbers in lists; None if there is nothing."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and float(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _text(value: Any) -> str | None:
    """A text or a number as a text; None for anything else, and for what is empty."""
    if isinstance(value, bool) or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value) if isinstance(value, str | int | float) and value != "" else None


def _seconds(value: Any, keys: Keys, layout: LabelLayout) -> float | None:
    if not keys:
        return None
    name = " or ".join(keys)
    if clock := _CLOCK.fullmatch(str(value).strip()):
        hours, minutes, rest = clock.groups()
        seconds = float(hours or 0) * 3600 + float(minutes) * 60 + float(rest.replace(",", "."))
    else:
        try:
            seconds = float(value) / (1000 if layout.times == "milliseconds" else 1)
        except (TypeError, ValueError, OverflowError):
            raise _UnusableError(f"{name} is {value!r} and no time") from None
    if not math.isfinite(seconds):
        raise _UnusableError(f"{name} is {value!r} and no time")
    return seconds
