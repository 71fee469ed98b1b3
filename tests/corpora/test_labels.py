"""What a label says of its utterances."""

from typing import Any

import pytest

from sorigeul.corpora.label_layouts import LabelLayout
from sorigeul.corpora.labels import LabelEntry, UnusableEntry, label_entries


def only(label: Any, **fields: Any) -> LabelEntry | UnusableEntry:
    (found,) = label_entries(label, LabelLayout("x", text=("t",), **fields))
    return found


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (1, 2.5, (1.0, 2.5)),
        ("1.5", " 2 ", (1.5, 2.0)),
        ("00:01", "00:02,5", (1.0, 2.5)),
        ("1:00:01.25", "01:00:02", (3601.25, 3602.0)),
        (2, 1, "times out of range: from 2 s to 1 s"),
        (-1, 1, "times out of range: from -1 s to 1 s"),
        (None, 1, "a is None and no time"),
        ("early", 1, "a is 'early' and no time"),
        ("nan", 1, "a is 'nan' and no time"),
        (10**400, 1, f"a is {10**400} and no time"),
        ("9" * 5000 + ":00", 1, f"a is '{'9' * 5000}:00' and no time"),
        ([1], 1, r"a is [1] and no time"),
    ],
)
def test_times_in_every_way_of_writing_them(start: Any, end: Any, expected: Any) -> None:
    found = only({"t": "말", "a": start, "b": end}, start=("a",), end=("b",))
    if isinstance(found, UnusableEntry):
        assert found.reason == expected
    else:
        assert (found.start, found.end) == expected


def test_keys_lead_through_objects_and_lists_and_the_first_value_counts() -> None:
    label = {"x": {"y": [{"z": ""}, {"z": 7}]}, "t": "말"}
    found = only(label, speaker=("x.y.0.z", "x.y.5.z", "/x.y.1.z"))
    assert isinstance(found, LabelEntry)
    assert found.speaker == "7"


@pytest.mark.parametrize(
    "label",
    [None, 5, "말", {}, {"t": None}, {"t": True}, {"t": ["말"]}, {"t": float("nan")}],
)
def test_a_label_without_a_text_is_named_and_nothing_is_raised(label: Any) -> None:
    found = only(label)
    assert isinstance(found, UnusableEntry)
    assert found.reason == "no t in the label, which holds the text"


def test_a_list_is_one_utterance_an_entry() -> None:
    found = list(label_entries([{"t": "하나"}, 5], LabelLayout("x", text=("t",))))
    assert [type(entry) for entry in found] == [LabelEntry, UnusableEntry]
    assert [entry.number for entry in found] == [1, 2]
