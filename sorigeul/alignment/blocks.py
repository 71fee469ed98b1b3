"""Blocks: stretches of a recording, some ten seconds each, and the words that are spoken in them.

What the CTC head reads on its own is compared with the text. Where several characters in a row
agree, it is sure which word is spoken when; there the recording and the text are divided.
"""

from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz.distance import Levenshtein

from sorigeul.alignment.script import Script
from sorigeul.alignment.speech import HeardSpeech

_SURE_RUN = 4  # characters that agree in a row; by chance, hardly ever so many
_MIN_SECONDS, _MAX_SECONDS = 10.0, 20.0  # of a block, while there are places to divide at
_LOST_SECONDS = 90.0  # a longer block: nothing of the text was heard for so long


@dataclass(frozen=True)
class Block:
    """Words from `first_word` to before `end_word`, in frames from `first` to before `end`."""

    first_word: int
    end_word: int
    first: int
    end: int
    lost: bool = False
    """whether the text was lost for so long that nothing can be said of these words"""


@dataclass(frozen=True)
class _Division:
    """A place between two words that is sure: the word that follows, the frame, the gap."""

    word: int
    frame: int
    seconds: float
    gap: float


def find_blocks(script: Script, heard: HeardSpeech) -> list[Block]:
    """The blocks of a recording, in order; together they have all its words and frames."""
    divisions = _divisions(script, heard)
    chosen = [_Division(0, 0, 0.0, 0.0)]
    position = 0
    while position < len(divisions):
        begin = chosen[-1].seconds
        near = [
            (division.gap, -index, index)
            for index, division in enumerate(divisions[position:], position)
            if begin + _MIN_SECONDS <= division.seconds <= begin + _MAX_SECONDS
        ]
        if near:
            index = max(near)[-1]
        else:
            index = position
            while index < len(divisions) and divisions[index].seconds < begin + _MIN_SECONDS:
                index += 1
            if index == len(divisions):
                break
        chosen.append(divisions[index])
        position = index + 1
    chosen.append(_Division(len(script), len(heard.path), heard.seconds, 0.0))
    return [
        Block(
            first.word,
            last.word,
            first.frame,
            last.frame,
            last.seconds - first.seconds > _LOST_SECONDS,
        )
        for first, last in pairwise(chosen)
    ]


def _divisions(script: Script, heard: HeardSpeech) -> list[_Division]:
    """The sure places between words, in order."""
    reading, frames = heard.reading
    word_of = script.token_words
    found: list[_Division] = []
    for run in Levenshtein.opcodes(reading, script.tokens):
        if run.tag != "equal" or run.src_end - run.src_start < _SURE_RUN:
            continue
        for offset in range(1, run.src_end - run.src_start):
            word = word_of[run.dest_start + offset]
            if word == word_of[run.dest_start + offset - 1]:
                continue
            before, after = frames[run.src_start + offset - 1 : run.src_start + offset + 1]
            frame = _middle(heard, before, after)
            end, start = heard.times[before, 1], heard.times[after, 0]
            found.append(_Division(word, frame, float(heard.times[frame, 0]), float(start - end)))
    return found


def _middle(heard: HeardSpeech, before: int, after: int) -> int:
    """The frame between two frames before which the recording is divided: at a pause, if any."""
    starts = heard.times[before + 1 : after + 1, 0]
    ends = heard.times[before:after, 1]
    gaps = starts - ends
    if gaps.max() > 0.01:
        return before + 1 + int(gaps.argmax())
    return (before + after + 1) // 2
