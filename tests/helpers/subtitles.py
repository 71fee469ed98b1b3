"""The rules of subtitles, checked in the text of an srt file by itself.

Nothing here comes from the code that makes subtitles.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_BLOCK = re.compile(r"(\d+)\n([\d:,]{12,}) --> ([\d:,]{12,})\n(.+?)\n\n", re.DOTALL)
_ROUNDING = 0.0015  # seconds; times are written in milliseconds


@dataclass(frozen=True)
class ShownCue:
    """A subtitle of an srt file."""

    number: int
    start: float
    end: float
    lines: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def speed(self) -> float:
        """Characters a second, spaces included."""
        return len(" ".join(self.lines)) / max(self.seconds, 0.001)


TimedWord = tuple[str, float, float]
"""text, start and end in seconds"""


def parse(srt: str) -> list[ShownCue]:
    """The subtitles of an srt file; it holds nothing else."""
    cues = [
        ShownCue(int(number), _seconds(start), _seconds(end), tuple(text.split("\n")))
        for number, start, end, text in _BLOCK.findall(srt)
    ]
    assert _BLOCK.sub("", srt) == ""
    return cues


def violations(
    srt: str, words: Sequence[TimedWord] | None = None, duration: float = 1e9, line: int = 20
) -> list[str]:
    """What is against the rules in an srt file of a recording of `duration` seconds.

    With `words`, which are in order and do not overlap, also whether the subtitles keep them and
    their times. What the speech leaves no other way for is no violation: a cue may be too fast to
    read if the next one begins where it ends, or the recording ends there.
    """
    cues = parse(srt)
    found = [f"{cue.number}: {fault}" for cue in cues for fault in _faults(cue, line)]
    followers = [*(cue.start for cue in cues[1:]), duration]
    for cue, following in zip(cues, followers, strict=True):
        is_bounded = following - cue.end < _ROUNDING or cue.seconds > 7 - _ROUNDING
        if cue.speed > 12.05 and not is_bounded:
            found.append(f"{cue.number}: {cue.speed:.1f} characters a second, but time is left")
        if cue.seconds < 1 - _ROUNDING:
            found.append(f"{cue.number}: only {cue.seconds:.3f} s long")
        if following - cue.end < -_ROUNDING and cue is not cues[-1]:
            found.append(f"{cue.number}: overlaps with what follows")
        if following < duration and not is_bounded and following - cue.end < 0.5 - _ROUNDING:
            found.append(f"{cue.number}: a gap of {following - cue.end:.3f} s is open")
    if [cue.number for cue in cues] != list(range(1, len(cues) + 1)):
        found.append("the numbers do not count")
    if words is not None:
        found += _drift(cues, words)
    return found


def too_fast(srt: str) -> list[ShownCue]:
    """The cues faster than 12 characters a second, which in fast speech is no violation."""
    return [cue for cue in parse(srt) if cue.speed > 12.05]


def _faults(cue: ShownCue, line: int) -> Iterator[str]:
    if len(cue.lines) > 2:
        yield f"{len(cue.lines)} lines"
    for text in cue.lines:
        if len(text) > line and " " in text:
            yield f"a line of {len(text)} characters"
        if not text.strip() or text != text.strip():
            yield "an empty line, or a space at its end"
    if len(cue.lines) == 2 and len(" ".join(cue.lines)) <= line:
        yield "two lines that fit in one"
    if cue.seconds > 7 + _ROUNDING:
        yield f"{cue.seconds:.3f} s long"


def _drift(cues: Sequence[ShownCue], words: Sequence[TimedWord]) -> Iterator[str]:
    """Whether each cue begins with its first word and ends with or after its last one."""
    if " ".join(text for cue in cues for text in cue.lines).split() != [word[0] for word in words]:
        yield "the words are not those of the recording, each whole and in order"
        return
    remaining = iter(words)
    for cue in cues:
        own = [next(remaining) for text in cue.lines for _ in text.split()]
        if abs(cue.start - own[0][1]) > _ROUNDING:
            yield f"{cue.number}: begins {cue.start - own[0][1]:+.3f} s from its first word"
        if cue.end < own[-1][2] - _ROUNDING and cue.seconds < 7 - _ROUNDING:
            yield f"{cue.number}: ends before its last word"
    for before, after in pairwise(cues):
        if after.start < before.start:
            yield f"{after.number}: begins before the one before it"


def _seconds(time: str) -> float:
    hours, minutes, seconds = time.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
