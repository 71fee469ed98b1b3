"""Benchmarks: suites that measure the speed of the package against yardsticks in the same run."""

__all__ = ["report", "suite_names", "suites"]
