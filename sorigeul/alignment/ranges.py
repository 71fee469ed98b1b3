"""Ranges of the options of `align`. Apart from these, so that `--help` loads nothing else."""

from sorigeul.base.ranges import Range

LONGEST = Range(1, 60)
"""seconds of an utterance"""
SCORE = Range(-100, 0)
"""mean log-probability of a character"""
