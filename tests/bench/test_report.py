"""The report: the table in a Markdown file, and the plots."""

from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.bench.measurements import Measurement, Point
from sorigeul.bench.report import around_table, write_report

MARKS = "<!-- figures -->\n<!-- end of figures -->\n"


def test_only_the_table_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "BENCHMARKS.md"
    path.write_text(f"# Before\n{MARKS}after\n", encoding="utf-8")
    point = Point("recognition", "seed", 5)
    measurements = [
        Measurement(name="reading", value=1234.5, unit="MB/s"),
        Measurement(name="r", value=0.1, unit="of real time", point=point),
    ]
    for _ in range(2):  # the second call replaces the table of the first
        write_report(path, "sorigeul bench", "a machine", measurements)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Before\n<!-- figures -->\n`sorigeul bench`\n\na machine.\n")
    assert text.endswith("<!-- end of figures -->\nafter\n")
    assert text.count("| reading | 1,234 MB/s |  |  |  |") == 1
    plot = tmp_path / "docs" / "images" / "bench_recognition.png"
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_file_without_marks_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "NOTES.md"
    path.write_text("mine\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"NOTES\.md has no lines '<!-- figures -->'"):
        write_report(path, "sorigeul bench", "a machine", [])
    assert path.read_text(encoding="utf-8") == "mine\n"
    path.write_bytes(b"\xff\0")
    for place, message in ((path, "has no lines"), (tmp_path, "is a folder")):
        with pytest.raises(UserError, match=message):
            around_table(place)
