"""Runs benchmark suites by name, after the speed of the machine itself."""

from collections.abc import Callable, Iterator, Sequence

from sorigeul.base.errors import UserError
from sorigeul.bench.decoding import measure_decoding
from sorigeul.bench.features import measure_features
from sorigeul.bench.loading import measure_loading
from sorigeul.bench.machine import measure_machine
from sorigeul.bench.measurements import Measurement
from sorigeul.bench.search import measure_search
from sorigeul.bench.serving import measure_serving
from sorigeul.bench.startup import measure_startup
from sorigeul.bench.steps import measure_steps
from sorigeul.bench.suite_names import SUITES, Suite
from sorigeul.bench.threads import measure_threads
from sorigeul.bench.training import measure_training

_MEASURE: dict[Suite, Callable[[], Iterator[Measurement]]] = {
    "training": measure_training,
    "steps": measure_steps,
    "features": measure_features,
    "decoding": measure_decoding,
    "search": measure_search,
    "loading": measure_loading,
    "startup": measure_startup,
    "threads": measure_threads,
    "serving": measure_serving,
}


def run_suites(suites: Sequence[Suite] = SUITES) -> Iterator[Measurement]:
    """Yield the measurements of the suites as they are made. Takes some minutes on two cores.

    Raises UserError if a yardstick is not installed.
    """
    yield from measure_machine()
    for suite in suites:
        try:
            yield from _MEASURE[suite]()
        except ModuleNotFoundError as error:
            raise UserError(
                f"{error.name} is what '{suite}' is compared with, and is not installed: "
                "pip install 'sorigeul[bench]'"
            ) from error
