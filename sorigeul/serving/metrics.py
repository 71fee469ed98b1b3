"""What the server counts, for Prometheus.

With several processes each writes its counts into files of a folder, and whichever is asked adds
them up (the multiprocess mode of `prometheus_client`).
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_LATENCIES = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)  # seconds
_WAITS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # seconds
_SIZES = (1, 2, 4, 8, 16, 32, 64)  # segments
_FACTORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)  # seconds a second of audio


def share_between_processes() -> "tempfile.TemporaryDirectory[str]":
    """Make the folder of the counts. Call it before any process is started; remove it at the end.

    It is for processes that are started afterwards, not for this one.
    """
    folder = tempfile.TemporaryDirectory(prefix="sorigeul-metrics-")
    os.environ[_FOLDER] = folder.name
    return folder


def forget_process(pid: int) -> None:
    """Remove what a process that has ended says about its present state; its counts stay."""
    folder = os.environ.get(_FOLDER)
    for path in Path(folder).glob(f"gauge_live*_{pid}.db") if folder else ():
        path.unlink(missing_ok=True)


class Metrics:
    """All counts of one server process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "sorigeul_requests",
            "Requests by route, method and status of the reply",
            ("route", "method", "status"),
            registry=registry,
        )
        self.latency = Histogram(
            "sorigeul_request_seconds",
            "Seconds from the head of a request to the end of its reply",
            ("route",),
            buckets=_LATENCIES,
            registry=registry,
        )
        self.active = Gauge(
            "sorigeul_requests_active",
            "Requests that are accepted and not yet answered",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.refused = Counter(
            "sorigeul_requests_refused",
            "Requests refused for now, by reason",
            ("reason",),
            registry=registry,
        )
        self.abandoned = Counter(
            "sorigeul_requests_abandoned",
            "Requests whose client left before the reply",
            registry=registry,
        )
        self.audio = Counter(
            "sorigeul_audio_seconds",
            "Seconds of audio transcribed for requests that were answered",
            ("model",),
            registry=registry,
        )
        self.recognized = Counter(
            "sorigeul_recognized_seconds",
            "Seconds of speech that a model has recognised",
            ("model",),
            registry=registry,
        )
        self.compute = Counter(
            "sorigeul_compute_seconds",
            "Seconds that a model has computed",
            ("model",),
            registry=registry,
        )
        self.real_time_factor = Histogram(
            "sorigeul_real_time_factor",
            "Seconds of computing for each second of audio, by batch",
            ("model",),
            buckets=_FACTORS,
            registry=registry,
        )
        self.batch_size = Histogram(
            "sorigeul_batch_segments",
            "Segments in a batch",
            ("model",),
            buckets=_SIZES,
            registry=registry,
        )
        self.wait = Histogram(
            "sorigeul_queue_wait_seconds",
            "Seconds that a segment has waited for its batch",
            ("model",),
            buckets=_WAITS,
            registry=registry,
        )
        self.queue_segments = Gauge(
            "sorigeul_queue_segments",
            "Segments that wait",
            ("model",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.queue_seconds = Gauge(
            "sorigeul_queue_seconds",
            "Seconds of audio that wait",
            ("model",),
            registry=registry,
            multiprocess_mode="livesum",
        )

    def of_model(self, name: str) -> "ModelMetrics":
        """What the batch queue of a model reports to."""
        return ModelMetrics(self, name)

    def text(self) -> bytes:
        """All counts in Prometheus's text format, of all processes if there are several."""
        folder = os.environ.get(_FOLDER)
        if folder is None:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class ModelMetrics:
    """The counts of one model."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._segments = metrics.queue_segments.labels(model)
        self._seconds = metrics.queue_seconds.labels(model)
        self._wait, self._size = metrics.wait.labels(model), metrics.batch_size.labels(model)
        self._factor = metrics.real_time_factor.labels(model)
        self._recognized = metrics.recognized.labels(model)
        self._compute = metrics.compute.labels(model)

    def waiting(self, segments: int, seconds: float) -> None:
        """See `batch_queue.QueueObserver`."""
        self._segments.set(segments)
        self._seconds.set(seconds)

    def batch(self, waits: Sequence[float], audio_seconds: float, seconds: float) -> None:
        """See `batch_queue.QueueObserver`."""
        for wait in waits:
            self._wait.observe(wait)
        self._size.observe(len(waits))
        self._recognized.inc(audio_seconds)
        self._compute.inc(seconds)
        if audio_seconds:
            self._factor.observe(seconds / audio_seconds)
