"""Shared by all folders: errors, atomic writes, progress bar, process pool, provenance, plots."""

__all__ = [
    "errors",
    "files",
    "hub",
    "machine",
    "memory",
    "plots",
    "process_pool",
    "progress",
    "provenance",
    "stopping",
    "weights",
]
