"""Ranges of the options of `splice`. Apart from these, so that `--help` loads nothing else."""

from sorigeul.base.ranges import Range

COPIES = Range(0, 100, above=True)
"""times the speech that there is"""
