"""One server process: loads the models, listens, and drains when it is asked to stop."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

import uvicorn

from sorigeul.search.options import Precision, SearchRequest
from sorigeul.serving.admission import Admission
from sorigeul.serving.application import create_application
from sorigeul.serving.authentication import ApiKeys
from sorigeul.serving.http_protocol import HttpProtocol
from sorigeul.serving.json_log import log_event
from sorigeul.serving.metrics import Metrics
from sorigeul.serving.models import load_recognizers, serve_models
from sorigeul.serving.options import ServingOptions
from sorigeul.serving.service import Service

_LAST_SECONDS = 3.0  # of the time to drain, for telling those who wait in vain
_ECHO_SECONDS = 1.0  # a terminal and a parent process may send one request to stop twice


@dataclass(frozen=True)
class ServingPlan:
    """What a process serves."""

    runs: tuple[str, ...]
    """run folders or Hugging Face ids"""
    options: ServingOptions = field(default_factory=ServingOptions)
    precision: Precision = "float32"
    search: SearchRequest = field(default_factory=SearchRequest)


@dataclass(frozen=True, eq=False)
class Listening:
    """The sockets of a server; its processes share them."""

    http: socket.socket
    wyoming: socket.socket | None = None


def run_process(plan: ServingPlan, listening: Listening, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called once the server answers.

    Raises UserError if a model or the file of API keys cannot be read.
    """
    keys = ApiKeys.load(plan.options.api_key)
    metrics = Metrics()
    recognizers = load_recognizers(plan.runs, plan.precision, plan.search)
    models = serve_models(recognizers, metrics, plan.options.written)
    admission = Admission(plan.options.queue, models, metrics)
    service = Service(plan.options, models, admission, keys, metrics)
    config = uvicorn.Config(
        create_application(service, listening.wyoming),
        http=HttpProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(_LAST_SECONDS),
    )
    _DrainingServer(config, service, ready).run([listening.http])


class _DrainingServer(uvicorn.Server):
    """Goes on answering after SIGINT or SIGTERM until what was accepted is done.

    A second signal ends it at once.
    """

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._ready = service, ready
        self._asked: float | None = None  # when it was asked to stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain, or give up draining."""
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
            self._service.admission.draining = True
        elif now - self._asked > _ECHO_SECONDS:
            self._stop_queues()
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Look ten times a second whether everything is done, or the time is over."""
        admission = self._service.admission
        if self._asked is not None:
            seconds = time.monotonic() - self._asked
            in_time = seconds < self._service.options.drain_seconds - _LAST_SECONDS
            if admission.is_idle or not in_time:
                if not admission.is_idle:
                    log_event("drain", unanswered=max(admission.taken, admission.requests))
                self._stop_queues()
                self.should_exit = True
        return await super().on_tick(counter)

    def _stop_queues(self) -> None:
        for model in self._service.models.values():
            model.queue.stop()
