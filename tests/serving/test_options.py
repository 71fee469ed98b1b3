"""Tests of the options of the server."""

from typing import Any

import pytest

from sorigeul.base.errors import UserError
from sorigeul.serving.options import ServingOptions


@pytest.mark.parametrize(
    ("text", "count"),
    [("200MB", 200_000_000), ("1.5 GB", 1_500_000_000), ("300kb", 300_000), ("7", 7), ("7B", 7)],
)
def test_sizes_are_written_as_people_do(text: str, count: int) -> None:
    assert ServingOptions(max_upload=text).max_upload_bytes == count


@pytest.mark.parametrize(
    "settings",
    [
        {"port": 70_000},
        {"wyoming": -1},
        {"wyoming": 8000, "port": 8000},
        {"workers": 0},
        {"queue": 0},
        {"max_seconds": 0},
        {"max_seconds": float("nan")},
        {"upload_seconds": -1},
        {"drain_seconds": -1},
        {"max_upload": "much"},
        {"max_upload": "0"},
        {"max_upload": "5 TBX"},
        {"max_upload": "9" * 310 + "GB"},
        {"cors_origin": ("example.com",)},
        {"cors_origin": ("https://example.com/path",)},
    ],
)
def test_values_that_make_no_sense_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(settings))):
        ServingOptions(**settings)


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.5.5.5", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.2", False),
        ("asr.example.com", False),
    ],
)
def test_it_knows_who_can_reach_it(host: str, is_local: bool) -> None:
    assert ServingOptions(host=host).is_local == is_local
