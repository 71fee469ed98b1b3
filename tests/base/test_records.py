"""Files that were damaged, edited or made by a stranger: each is read as what it is, or refused."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from sorigeul.base.records import build, parse_object, read_object


@dataclass(frozen=True)
class Shape:
    size: int
    rate: float = 1.0
    name: str = "plain"
    on: bool = False
    kind: Literal["a", "b"] = "a"
    weights: tuple[float, ...] = ()
    best: list[tuple[float, int]] = field(default_factory=list)
    limit: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def test_a_record_is_built_from_its_fields() -> None:
    values = {"size": 3, "rate": 2, "weights": [0.5, 1], "best": [[1.5, 2]], "limit": None}
    assert build(Shape, values) == Shape(3, 2, weights=(0.5, 1), best=[(1.5, 2)])
    assert build(Shape, {"size": 3, "limit": 2.5, "facts": {"a": []}}).facts == {"a": []}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "3"}, "size is '3', but must be a whole number"),
        ({"size": 3.0}, "size is 3.0, but must be a whole number"),
        ({"size": True}, "size is True, but must be a whole number"),
        ({"size": None}, "size is None, but must be a whole number"),
        ({"rate": "1"}, "rate is '1', but must be a number"),
        ({"on": 1}, "on is 1, but must be true or false"),
        ({"name": ["x"] * 10**5}, r"name is \['x', 'x'.{1,60}\], but must be a text"),
        ({"kind": "c"}, "kind is 'c', but must be one of a, b"),
        ({"weights": 1.0}, "weights is 1.0, but must be a list"),
        ({"weights": ["x"]}, "weights is 'x', but must be a number"),
        ({"best": [[1.0]]}, "best has 1 values, but must have 2"),
        ({"facts": []}, r"facts is \[\], which is not what belongs there"),
        ({"flavour": 1}, "'flavour' is unknown to this version"),
    ],
)
def test_values_of_another_type_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        build(Shape, {"size": 3, **change})


def test_what_is_missing_or_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="size is missing"):
        build(Shape, {})
    with pytest.raises(ValueError, match="is no object"):
        build(Shape, [3])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 1' + "0" * 400 + "}",
        '{"a": ' + "[" * 10**5,
    ],
)
def test_only_objects_of_finite_numbers_are_read(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_object(text)
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValueError, match=r"\w"):
        read_object(tmp_path / "file")


def test_only_files_of_a_sensible_size_are_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", Path("/dev/zero")):
        with pytest.raises(ValueError, match="it is no file"):
            read_object(path)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="far too many"):
        read_object(tmp_path / "large")
