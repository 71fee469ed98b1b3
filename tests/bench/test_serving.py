"""The suite that measures a server runs on a real one."""

import pytest

from sorigeul.bench import serving


@pytest.mark.prove
def test_a_server_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_SECONDS", 2.0)
    rate, latency = serving.measure_serving()
    assert rate.value > 0
    assert rate.ratio is not None
    assert latency.value > 0
