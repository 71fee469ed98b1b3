"""Benchmarks: suites that measure the package against yardsticks in the same run."""

__all__ = ["measurements", "suites"]
