"""SIGINT and SIGTERM as a request, which long work answers where it loses nothing."""

import os
import signal
import time
from types import FrameType

_ECHO_SECONDS = 1.0  # within which a second signal is the same request, come by another way


class StopRequests:
    """SIGINT and SIGTERM, to be answered after the step at hand; a second one ends at once."""

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "StopRequests":
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._request) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self.requested, self._since = True, now
        elif now - self._since > _ECHO_SECONDS:
            self.__exit__()
            os.kill(os.getpid(), number)
