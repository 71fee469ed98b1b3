"""Measurements and their targets."""

import json

from sorigeul.bench.measurements import Measurement, Target


def test_a_target_says_by_how_much_it_is_missed() -> None:
    slow = Target("value", "at most", 0.02, "memory")
    assert slow.verdict(0.02) == "met"
    assert slow.verdict(0.03) == "missed by 50 %: memory"


def test_a_measurement_as_json() -> None:
    measurement = Measurement(
        name="reading",
        value=150.0,
        unit="MB/s",
        yardstick="cat",
        ratio=3.0,
        targets=(
            Target("value", "at least", 200, "the disk"),
            Target("ratio", "at least", 2, "the disk"),
        ),
    )
    verdicts = {"at least 200": "missed by 25 %: the disk", "at least 2 times": "met"}
    assert measurement.verdicts() == verdicts
    assert json.loads(measurement.to_json()) == {
        "name": "reading",
        "value": 150.0,
        "unit": "MB/s",
        "yardstick": "cat",
        "ratio": 3.0,
        "targets": verdicts,
    }
