"""Files of ours, read with suspicion: JSON objects, and dataclasses whose values are checked.

A file may be damaged, edited by hand, or made by a stranger. What is wrong is a ValueError, which
names the value; the caller adds the file and the remedy.
"""

import dataclasses
import json
import math
import reprlib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

_LARGEST = 1 << 26  # bytes of a file; the largest of ours, a vocabulary, has a thousandth of it
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; ValueError if there is none, or with numbers beyond all bounds."""
    if not path.is_file():
        raise ValueError("it is no file")
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, which is far too many")
    return parse_object(path.read_text(encoding="utf-8"))


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object in a text, as `read_object`."""
    try:
        content = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("it holds no object")
    return content


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number")
    return number


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def build(record: type[Record], values: Any) -> Record:
    """A dataclass from its fields by name, each of which must have the type of its annotation.

    Fields that have a default may be missing. Raises ValueError, and whatever the dataclass itself
    raises.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{_shown(values)} is no object")
    hints = get_type_hints(record)
    fields = {field.name: field for field in dataclasses.fields(record) if field.init}  # type: ignore[arg-type]
    if unknown := [str(name) for name in values if name not in fields]:
        raise ValueError(f"{reprlib.repr(unknown[0])} is unknown to this version")
    for name, field in fields.items():
        required = field.default is field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ValueError(f"{name} is missing")
    return record(**{name: _checked(name, value, hints[name]) for name, value in values.items()})


def _checked(name: str, value: Any, type_: Any) -> Any:
    """The value, if it is of the type; a list becomes a tuple where one is wanted."""
    origin, arguments = get_origin(type_), get_args(type_)
    if type_ is Any:
        return value
    if origin is Annotated:
        return _checked(name, value, arguments[0])
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _checked(name, value, next(one for one in arguments if one is not type(None)))
    if origin is Literal:
        if value in arguments:
            return value
        raise ValueError(f"{name} is {_shown(value)}, but must be one of {', '.join(arguments)}")
    if origin in (tuple, list):
        if not isinstance(value, list | tuple):
            raise ValueError(f"{name} is {_shown(value)}, but must be a list")
        if origin is list or arguments[-1] is Ellipsis:
            return origin(_checked(name, item, arguments[0]) for item in value)
        if len(value) != len(arguments):
            raise ValueError(f"{name} has {len(value)} values, but must have {len(arguments)}")
        return tuple(_checked(name, *pair) for pair in zip(value, arguments, strict=True))
    if origin is not None or type_ not in _KINDS:  # Mapping[str, Any] and the like
        if not isinstance(value, origin or type_):
            raise ValueError(f"{name} is {_shown(value)}, which is not what belongs there")
        return value
    allowed = (int, float) if type_ is float else (type_,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and type_ is not bool):
        raise ValueError(f"{name} is {_shown(value)}, but must be {_KINDS[type_]}")
    return value


def _shown(value: Any) -> str:
    """A value in a few characters, however large it is."""
    return reprlib.repr(value)
