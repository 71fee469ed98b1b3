"""Checks that settings fit a corpus: enough frames for fast speakers, a complete vocabulary."""

import re
from pathlib import Path

import numpy as np
from helpers.commands import Command
from helpers.damaged_corpora import copy_corpus, rows

from sorigeul.sound import audio

SMALL_MODEL = ("--preset", "quickstart", "--n_mels", "16", "--hidden_size", "16")
FIVE_STEPS = ("--time_limit", "5")
"""by the clock of these tests; too short for the overfit test"""


def test_sixteenfold_reduction_and_a_fast_speaker(
    sorigeul: Command, small_demo: Path, tmp_path: Path
) -> None:
    """A third of the corpus is spoken fast; at eightfold reduction nothing is wrong with it."""

    def slow_down_two_thirds(number: int, samples: audio.Samples) -> audio.Samples:
        slow = np.concatenate((samples, samples[:1600] * 0.01, samples * 0.001))
        return samples if number % 3 == 0 else slow

    mixed = copy_corpus(small_demo, tmp_path / "mixed", slow_down_two_thirds)
    done = sorigeul("doctor", mixed, "--time_reduction", "16")
    assert done.status == 2
    assert re.match(r"[23]\d\.\d % of the utterances have too much text", done.error())
    for words in ("6.25 frames a second", "16-fold", "set time_reduction 8"):
        assert words in done.error()
    eightfold = sorigeul("doctor", mixed, *SMALL_MODEL, *FIVE_STEPS)
    assert "too short for the overfit test" in eightfold.error()


def test_too_many_jamo_for_eightfold_reduction(sorigeul: Command, small_demo: Path) -> None:
    error = sorigeul("doctor", small_demo, *SMALL_MODEL, "--vocabulary", "jamo").error()
    assert "8-fold time_reduction" in error
    assert "set vocabulary syllable" in error


def test_characters_that_the_vocabulary_lacks(
    sorigeul: Command, small_demo: Path, tmp_path: Path
) -> None:
    english = rows(small_demo, "dev")
    for row in english:
        row["supervisions"][0]["text"] = "the quick brown fox"
    error = sorigeul("doctor", copy_corpus(small_demo, tmp_path / "english", dev=english)).error()
    assert re.match(r"the vocabulary lacks 8\d\.\d\d % of the text of dev, 15 different", error)
    table = tmp_path / "table.csv"
    table.write_text(
        "id,char,freq\n0, ,9\n1,가,5\n2,나,4\n3,<s>,0\n4,</s>,0\n5,_,0\n", encoding="utf-8"
    )
    error = sorigeul("doctor", small_demo, "--vocabulary", table).error()
    assert "of the text of train" in error
    assert f"{table} lacks them; set vocabulary syllable" in error


def test_a_few_missing_characters_are_a_warning(
    sorigeul: Command, small_demo: Path, tmp_path: Path
) -> None:
    dev = rows(small_demo)[:20]
    dev[0]["supervisions"][0]["text"] += " 뷁뷁"
    copy = copy_corpus(small_demo, tmp_path / "copy", dev=dev)
    done = sorigeul("doctor", copy, *SMALL_MODEL, *FIVE_STEPS)
    assert "of the text of dev, 1 different characters that are never recognised (뷁)" in done.err
    assert "too short for the overfit test" in done.error()


def test_utterances_without_a_length(sorigeul: Command, small_demo: Path, tmp_path: Path) -> None:
    train = rows(small_demo)
    train[0]["duration"] = 0
    copy = copy_corpus(small_demo, tmp_path / "copy", train=train)
    done = sorigeul("doctor", copy, *SMALL_MODEL, *FIVE_STEPS)
    found = f"1 of {len(train)} utterances have no length above 0, such as {train[0]['id']}: "
    assert found in done.err
    assert "too short for the overfit test" in done.error()
