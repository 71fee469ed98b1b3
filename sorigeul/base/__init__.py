"""Shared by all folders: errors, atomic writes, locks, progress bar, process pool, plots."""

__all__ = [
    "capacity",
    "errors",
    "files",
    "hub",
    "locks",
    "machine",
    "memory",
    "outline",
    "outputs",
    "plots",
    "printable",
    "process_pool",
    "progress",
    "provenance",
    "ranges",
    "records",
    "stopping",
    "streams",
    "threads",
    "weights",
]
