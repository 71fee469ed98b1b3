"""Measures the package against yardsticks in the same run, on the same work.

A figure is a number, its unit, what it is compared with and the ratio to it (above 1: better). The
suites can be run alone; the report rewrites the tables of `BENCHMARKS.md` and draws its plots.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

from sorigeul.base.errors import UserError
from sorigeul.bench.decoding import measure_decoding
from sorigeul.bench.features import measure_features
from sorigeul.bench.loading import measure_loading
from sorigeul.bench.machine import measure_machine
from sorigeul.bench.measurements import Measurement
from sorigeul.bench.startup import measure_startup
from sorigeul.bench.training import measure_training

Suite = Literal["training", "features", "decoding", "loading", "startup"]
SUITES: tuple[Suite, ...] = get_args(Suite)


def bench(suites: Sequence[Suite] = SUITES) -> Iterator[Measurement]:
    """Measure the suites, one figure after the other. Some minutes on two cores.

    Raises UserError where a yardstick is not installed.
    """
    work: dict[Suite, Callable[[], Iterator[Measurement]]] = {
        "training": measure_training,
        "features": measure_features,
        "decoding": measure_decoding,
        "loading": measure_loading,
        "startup": measure_startup,
    }
    yield from measure_machine()
    for suite in suites:
        try:
            yield from work[suite]()
        except ModuleNotFoundError as error:
            raise UserError(
                f"{error.name} is what '{suite}' is compared with, and is not installed: "
                "pip install 'sorigeul[bench]'"
            ) from error
