"""Names of the benchmark suites. Imports nothing heavy, so that `sorigeul --help` stays quick."""

from typing import Literal, get_args

Suite = Literal[
    "training",
    "steps",
    "features",
    "decoding",
    "search",
    "loading",
    "startup",
    "threads",
    "serving",
]
SUITES: tuple[Suite, ...] = get_args(Suite)
