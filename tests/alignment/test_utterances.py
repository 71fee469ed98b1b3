"""Cuts of recordings whose frames are made up: each character is heard in one of three."""

import numpy as np
import torch

from sorigeul.alignment.blocks import find_blocks
from sorigeul.alignment.script import Script
from sorigeul.alignment.speech import HeardSpeech
from sorigeul.alignment.utterances import AlignedUtterance, choose_utterances
from sorigeul.alignment.word_alignment import align_words
from sorigeul.text.vocabulary import Vocabulary

SECONDS = 0.12  # of a character
FRAMES = 3  # of a character; it is heard in the first one
SYLLABLES = "".join(chr(0xAC00 + 28 * i) for i in range(300))
VOCABULARY = Vocabulary.from_texts([SYLLABLES + " ."])


def hear(spoken: str, script: Script) -> HeardSpeech:
    """What is heard of a text, in which `_` is a pause."""
    blank = VOCABULARY.pad_id
    path: list[int] = []
    for char in spoken:
        path += [VOCABULARY.encode(char)[0] if char != "_" else blank] + [blank] * (FRAMES - 1)
    units = [*sorted({*script.tokens, *script.space}), blank]
    columns = [units.index(id_) if id_ in units else len(units) for id_ in path]
    scores = torch.full((len(path), len(units) + 1), -12.0)
    scores[torch.arange(len(path)), torch.tensor(columns)] = 0.0
    edges = np.linspace(0, len(spoken) * SECONDS, len(path) + 1)
    levels = np.where([char in "_ " for char in spoken], -70.0, -20.0)
    return HeardSpeech(
        scores=scores.log_softmax(-1),
        units=units,
        path=np.array(path),
        times=np.stack((edges[:-1], edges[1:]), axis=1),
        levels=np.repeat(levels, round(SECONDS * 100)),
        seconds=float(edges[-1]),
        silent=[*script.space, blank],
    )


def cut(
    spoken: str, written: list[str], max_seconds: float = 15.0, lines: bool = False
) -> list[AlignedUtterance]:
    script = Script.from_lines(written, VOCABULARY)
    heard = hear(spoken, script)
    words = align_words(script, heard, find_blocks(script, heard))
    return choose_utterances(script, heard, words, max_seconds, lines)


def text(first: int, words: int) -> str:
    """Words of four syllables, none of which is in another word."""
    return " ".join(SYLLABLES[4 * i : 4 * i + 4] for i in range(first, first + words))


def test_a_cut_is_at_a_pause_rather_than_in_fluent_speech() -> None:
    one, other = text(0, 9), text(9, 9)
    first, second = cut(f"{one}____{other}", [f"{one} {other}"], max_seconds=6.0)
    assert (first.text, second.text) == (one, other)
    assert SECONDS * len(one) <= first.end <= second.start <= SECONDS * (len(one) + 4)


def test_of_two_pauses_the_end_of_a_sentence_is_preferred() -> None:
    parts = [text(0, 6), text(6, 6), text(12, 6)]
    spoken = "__".join(parts)
    for ended in (0, 1):
        sentences = [part + ("." if i == ended else "") for i, part in enumerate(parts)]
        utterances = cut(spoken, [" ".join(sentences)], max_seconds=8.0)
        assert [one.text for one in utterances] == (
            [sentences[0], f"{sentences[1]} {sentences[2]}"]
            if ended == 0
            else [f"{sentences[0]} {sentences[1]}", sentences[2]]
        )


def test_no_utterance_is_longer_than_allowed_and_all_words_are_in_one() -> None:
    spoken = text(0, 60)
    for max_seconds in (2.0, 5.0, 12.0):
        utterances = cut(spoken, [spoken], max_seconds)
        assert all(one.end - one.start <= max_seconds for one in utterances)
        assert " ".join(one.text for one in utterances) == spoken
        times = [time for one in utterances for time in (one.start, one.end)]
        assert times == sorted(times)


def test_a_line_or_a_word_that_is_too_long_is_marked() -> None:
    one, long, other = text(0, 3), text(3, 12), text(15, 3)
    utterances = cut(f"{one}___{long}___{other}", [one, long, other], max_seconds=4.0, lines=True)
    assert [(each.text, each.too_long) for each in utterances] == [
        (one, False),
        (long, True),
        (other, False),
    ]
    word = SYLLABLES[:12]
    (utterance,) = cut(word, [word], max_seconds=1.0)
    assert (utterance.text, utterance.too_long) == (word, True)


def test_speech_that_is_not_in_the_text_is_in_no_utterance() -> None:
    one, foreign, other = text(0, 12), text(40, 8), text(12, 12)
    utterances = cut(f"{one} {foreign} {other}", [one, other])
    assert " ".join(one.text for one in utterances) == f"{one} {other}"
    begin, end = SECONDS * (len(one) + 1), SECONDS * (len(one) + len(foreign) + 1)
    reach = 0.5  # seconds, where the speech has no pause
    for utterance in utterances:
        assert utterance.end <= begin + reach + 0.01 or utterance.start >= end - reach - 0.01


def test_text_that_is_not_spoken_is_in_no_utterance() -> None:
    one, unspoken, other = text(0, 12), text(40, 4), text(12, 12)
    utterances = cut(f"{one}____{other}__", [one, unspoken, other])
    kept = " ".join(utterance.text for utterance in utterances)
    assert not set(kept) & set(unspoken.replace(" ", ""))
    assert len(kept) > 0.7 * len(f"{one} {other}")
    assert min(utterance.score for utterance in utterances) > -1.0


def test_a_line_that_is_spoken_in_part_is_not_an_utterance() -> None:
    whole, part, rest = text(0, 6), text(6, 4), text(10, 4)
    spoken = f"{whole}___{part}______"
    utterances = cut(spoken, [whole, f"{part} {rest}"], lines=True)
    assert [one.text for one in utterances] == [whole]


def test_words_that_the_model_has_no_characters_for_end_an_utterance() -> None:
    one, other = text(0, 10), text(10, 10)
    utterances = cut(f"{one}__{other}", [f"{one} OK {other}"])
    assert [utterance.text for utterance in utterances] == [one, other]


def test_signs_belong_to_the_word_before_them_or_to_the_first_of_their_line() -> None:
    one, two, three = SYLLABLES[:3]
    script = Script.from_lines([f"- {one} - {two}", "...", f'" {three} "'], VOCABULARY)
    assert [word.text for word in script.words] == [f"- {one} -", two, f'" {three} "']
    assert [word.ends_line for word in script.words] == [False, True, True]
    assert all(word.tokens for word in script.words)
    assert script.text(0, 2) == f"- {one} - {two}"
