"""A clock for code whose result depends on how long its work takes."""

import functools
from typing import Any

import pytest


class FakeClock:
    """Stands still, except for the seconds that a test lets a function take.

    What depends on time then depends on the number of calls, and is the same on every machine.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self._monkeypatch = monkeypatch

    def __call__(self) -> float:
        return self.now

    def charge(self, owner: Any, name: str, seconds: float) -> None:
        """Let each call of a function of a class or module take so many seconds."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            self.now += seconds
            return function(*arguments, **named)

        self._monkeypatch.setattr(owner, name, call)
