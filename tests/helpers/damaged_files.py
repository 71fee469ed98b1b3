"""A file of a folder that is not as it was written: cut, swapped, missing, of another kind."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from helpers.mutations import mutated

_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 3, 10**9, 10**30, 0.5, 1e300, float("nan"), float("-inf")),
    *("", "가", "\x1b[2J\u202e", "../../x", "nan", [], [[]], {}, {"a": 1}),
)
_FOREIGN = (
    b"RIFF\x24\0\0\0WAVEfmt ",
    b"PK\x03\x04" * 9,
    b"\x80\x04cos\nsystem\n.",
    b"[" * 5_000,
    b"{}",
    b"[]",
    b"null\n",
    b"\xff\xfe\0",
    b"\0" * 4_096,
    b"hello: [1, 2\n",
    b"<html></html>\n",
    "표제: 값\n".encode(),
)


def damage(path: Path, random: Random) -> str:
    """Damage a file in one of many ways; return the name of the way."""
    name = random.choice([*_DAMAGES])
    _DAMAGES[name](path, random)
    return name


def _mutated(path: Path, random: Random) -> None:
    path.write_bytes(mutated(path.read_bytes() or b"\0", random))


def _emptied(path: Path, random: Random) -> None:
    path.write_bytes(b"")


def _missing(path: Path, random: Random) -> None:
    path.unlink()


def _swapped(path: Path, random: Random) -> None:
    """With the bytes of another file of the folder."""
    others = sorted(one for one in path.parent.iterdir() if one.is_file() and one != path)
    if others:
        path.write_bytes(random.choice(others).read_bytes())


def _foreign(path: Path, random: Random) -> None:
    path.write_bytes(random.choice(_FOREIGN))


def _folder(path: Path, random: Random) -> None:
    path.unlink()
    path.mkdir()


def _link_to_nothing(path: Path, random: Random) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _changed_value(path: Path, random: Random) -> None:
    """A value of JSON or YAML replaced; of any other file some bytes."""
    if path.suffix not in (".json", ".jsonl", ".yaml"):
        _mutated(path, random)
        return
    text = path.read_text(encoding="utf-8")
    lines = [text] if path.suffix == ".json" else text.splitlines()
    settings = [number for number, line in enumerate(lines) if ": " in line]
    number = random.choice(settings)
    if path.suffix == ".yaml":
        name = lines[number].partition(":")[0]
        lines[number] = f"{name}: {json.dumps(random.choice(_VALUES))}"
    else:
        lines[number] = json.dumps(_with_other_value(json.loads(lines[number]), random))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _with_other_value(value: Any, random: Random) -> Any:
    """The value with one of the values in it, at any depth, replaced or left out."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice([*value])
        if random.random() < 0.1:
            return {name: one for name, one in value.items() if name != key}
        return {**value, key: _with_other_value(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        number = random.randrange(len(value))
        return [*value[:number], _with_other_value(value[number], random), *value[number + 1 :]]
    return random.choice(_VALUES)


_DAMAGES: dict[str, Callable[[Path, Random], None]] = {
    "mutated": _mutated,
    "other bytes": _mutated,
    "changed value": _changed_value,
    "another value": _changed_value,
    "emptied": _emptied,
    "missing": _missing,
    "swapped": _swapped,
    "foreign": _foreign,
    "folder": _folder,
    "link to nothing": _link_to_nothing,
}
