"""When each word of a text is spoken: forced alignment of the blocks of a recording by CTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence

from sorigeul.alignment.blocks import Block
from sorigeul.alignment.script import Script
from sorigeul.alignment.speech import HeardSpeech
from sorigeul.model.ctc_alignment import ctc_spans

Values = npt.NDArray[np.float64]

_BATCH_CELLS = 4_000_000  # frames times states of a batch


@dataclass(frozen=True)
class SpokenWord:
    """A word in time."""

    start: float
    """when its first character begins to be heard, in seconds"""
    last: float
    """when its last character begins to be heard"""
    end: float
    """when its last character has been heard"""
    frames: Sequence[tuple[int, int]]
    """the first frame of each of its characters, and one after its last"""
    scores: Sequence[float]
    """log-probabilities of its characters"""


def align_words(
    script: Script,
    heard: HeardSpeech,
    blocks: Sequence[Block],
) -> list[SpokenWord | None]:
    """The words of a script in time (W); None for a word that cannot be placed."""
    spoken: list[SpokenWord | None] = [None] * len(script)
    usable = [block for block in blocks if not block.lost and block.end > block.first]
    usable.sort(key=lambda block: block.end - block.first)
    batch: list[Block] = []
    for block in usable:
        grown = [*batch, block]
        if batch and _cells(script, grown) > _BATCH_CELLS:
            _align(script, heard, batch, spoken)
            grown = [block]
        batch = grown
    if batch:
        _align(script, heard, batch, spoken)
    return spoken


def _cells(script: Script, blocks: Sequence[Block]) -> int:
    frames = max(block.end - block.first for block in blocks)
    states = max(len(_tokens(script, block)[0]) for block in blocks)
    return len(blocks) * frames * (2 * states + 1)


def _tokens(script: Script, block: Block) -> tuple[list[int], list[int]]:
    """The ids of a block, with spaces between words, and the word of each; -1 for a space."""
    ids: list[int] = []
    words: list[int] = []
    for number in range(block.first_word, block.end_word):
        tokens = script.words[number].tokens
        if ids and tokens:
            ids += script.space
            words += [-1] * len(script.space)
        ids += tokens
        words += [number] * len(tokens)
    return ids, words


def _align(
    script: Script,
    heard: HeardSpeech,
    blocks: Sequence[Block],
    spoken: list[SpokenWord | None],
) -> None:
    """Write the words of a batch of blocks into `spoken`."""
    columns = {id_: column for column, id_ in enumerate(heard.units)}
    texts = [_tokens(script, block) for block in blocks]
    kept = [(block, *text) for block, text in zip(blocks, texts, strict=True) if text[0]]
    if not kept:
        return
    logits = pad_sequence(
        [heard.scores[block.first : block.end].float() for block, _, _ in kept], batch_first=True
    )
    lengths = torch.tensor([block.end - block.first for block, _, _ in kept])
    token_lengths = np.array([len(ids) for _, ids, _ in kept])
    tokens = np.zeros((len(kept), token_lengths.max()), np.int64)
    for row, (_, ids, _) in enumerate(kept):
        tokens[row, : len(ids)] = [columns[id_] for id_ in ids]
    blank = len(heard.units) - 1
    found = ctc_spans(logits, lengths, tokens, token_lengths, blank)
    scores = np.log(found.probability.clip(1e-30))
    for row, (block, ids, words) in enumerate(kept):
        if bool(found.aligned[row, : len(ids)].all()):
            frames = found.first[row], found.last[row], scores[row]
            _place(heard, block.first, np.array(words), *frames, spoken)


def _place(
    heard: HeardSpeech,
    offset: int,
    words: "npt.NDArray[Any]",
    first: "npt.NDArray[Any]",
    last: "npt.NDArray[Any]",
    scores: "npt.NDArray[Any]",
    spoken: list[SpokenWord | None],
) -> None:
    """Write the words of one block; the arrays (U,) are its characters."""
    for number in sorted(set(words.tolist()) - {-1}):
        (places,) = np.nonzero(words == number)
        frames = [(offset + int(first[i]), offset + int(last[i]) + 1) for i in places]
        spoken[number] = SpokenWord(
            start=float(heard.times[frames[0][0], 0]),
            last=float(heard.times[frames[-1][0], 0]),
            end=float(heard.times[frames[-1][1] - 1, 1]),
            frames=frames,
            scores=scores[places].tolist(),
        )
