"""How many requests are accepted at a time, and when a refused one may come again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sorigeul.serving.api_errors import ApiError
from sorigeul.serving.metrics import Metrics
from sorigeul.serving.models import ServedModel

_LONGEST = 120.0  # seconds; OpenAI's client does not wait longer
_SHORTEST = 0.1  # seconds
_FIRST_GUESS = 10.0  # seconds of audio of a request, before one has ended
_MEMORY = 0.9


def shutting_down() -> ApiError:
    """The error of a request that the server has no time for."""
    return ApiError(503, "the server is shutting down", "shutting_down", retry_after=5.0)


class Admission:
    """The places of one server process. Use it in the thread of the event loop only."""

    def __init__(self, places: int, models: Mapping[str, ServedModel], metrics: Metrics) -> None:
        self.places = places
        self.taken = 0
        """places that are taken now"""
        self.draining = False
        """whether the server is about to stop, and accepts nothing more"""
        self.requests = 0
        """HTTP requests that are not answered yet, those that are still being sent too"""
        self._models, self._metrics = models, metrics
        self._mean_seconds = _FIRST_GUESS

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self.taken and not self.requests

    @property
    def is_full(self) -> bool:
        """Whether no place is free."""
        return self.taken >= self.places

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place. Raises ApiError with status 503 while draining, and 429 if none is free."""
        self.check()
        self.taken += 1
        self._metrics.active.set(self.taken)
        try:
            yield
        finally:
            self.taken -= 1
            self._metrics.active.set(self.taken)

    def check(self) -> None:
        """Raise the error with which `place` would refuse."""
        if self.draining:
            self._metrics.refused.labels("draining").inc()
            raise shutting_down()
        if self.is_full:
            self._metrics.refused.labels("queue full").inc()
            raise self.busy("the server has accepted as many requests as it can")

    def busy(self, reason: str) -> ApiError:
        """The error of a request that may come again."""
        wait = self.retry_after()
        return ApiError(429, f"{reason}; try again in {wait:.1f} s", "queue_full", retry_after=wait)

    def finished(self, audio_seconds: float) -> None:
        """A request was answered; its recording was so long."""
        self._mean_seconds = _MEMORY * self._mean_seconds + (1 - _MEMORY) * audio_seconds

    def retry_after(self) -> float:
        """Seconds until half of what is accepted will have been answered.

        From the mean length of recordings and the speed of the slowest model, as measured.
        """
        speed = min(model.queue.speed for model in self._models.values())
        wait = 0.5 * self.taken * self._mean_seconds / speed
        return min(max(wait, _SHORTEST), _LONGEST)
