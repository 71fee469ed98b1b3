"""What every folder stands on: errors, whole files, progress, processes, memory, plots."""

__all__ = [
    "errors",
    "files",
    "machine",
    "memory",
    "plots",
    "process_pool",
    "progress",
    "provenance",
    "stopping",
]
