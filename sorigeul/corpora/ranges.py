"""Ranges of the options of `prepare`. Apart from these, so that `--help` loads nothing else."""

from sorigeul.base.ranges import Range

SPLIT_SEED = Range(0, 2**63 - 1)
LONGEST = Range(0.1, 86_400, above=True)
"""seconds of an utterance"""
SYLLABLE_RATE = Range(1, 1000)
"""syllables a second"""
SYLLABLE_RATE_OR_NONE = Range(0, 1000)
"""syllables a second; 0: no limit"""
PART = Range(0, 1, below=True)
"""share of the speech; 0: none of it"""
HOURS = Range(0, 10**6)
