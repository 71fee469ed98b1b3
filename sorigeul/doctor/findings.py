"""Findings of the doctor: what is wrong with data or settings, and how bad it is."""

from dataclasses import dataclass

FATAL_SHARE = 0.1
"""share of a corpus above which a fault prevents training; up to it the fault is a warning"""


@dataclass(frozen=True)
class Finding:
    """A fault of the data or the settings."""

    message: str
    """what is wrong, the most likely cause, and the remedy"""
    fatal: bool
    """whether it prevents training; if not, it is a warning"""
