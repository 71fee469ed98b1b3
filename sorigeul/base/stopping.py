"""SIGINT and SIGTERM as a request to stop, which long work checks between its steps."""

import os
import signal
import time
from types import FrameType

# One request may arrive twice, for example from the terminal and from a launcher that forwards it.
# A second signal within this time counts as the same request.
_ECHO_SECONDS = 1.0


class StopRequests:
    """Context in which SIGINT and SIGTERM only set ``requested``; a second request ends at once.

    The handlers from before are restored at the end of the context, and before the second signal is
    sent to this process again. Signals within `_ECHO_SECONDS` of the first count as one request.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "StopRequests":
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._previous = {number: signal.signal(number, self._request) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self.requested, self._first_time = True, now
        elif now - self._first_time > _ECHO_SECONDS:
            self.__exit__()
            os.kill(os.getpid(), number)
