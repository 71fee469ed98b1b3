"""Counts of splits, and their comparison with published ones."""

from pathlib import Path

from sorigeul.corpora.counts import SplitCounts, compare_with_published, sentence, summary, total
from sorigeul.corpora.utterances import Utterance


def counts(*utterances: tuple[str, str | None]) -> SplitCounts:
    """Counts of utterances of half an hour, given as (text, speaker)."""
    split = SplitCounts()
    for text, speaker in utterances:
        split.add(Utterance("u", Path("u.wav"), text, speaker, duration=1800.0))
    return split


def test_a_speaker_in_two_splits_counts_once_in_the_total() -> None:
    splits = [counts(("말", "가"), ("글", "나"), ("글", None)), counts(("말", "가"))]
    assert splits[0].nameless == 1
    assert total(splits) == {"utterances": 4, "hours": 2.0, "speakers": 2}


def test_published_counts_stand_beside_those_found() -> None:
    splits = {"train": counts(("말", "가")), "": counts(("말", "나"))}
    published = {"all": {"speakers": 3}, "train": {"utterances": 5}, "test": {"utterances": 1}}
    assert compare_with_published(published, splits) == {
        "all": {"speakers": {"published": 3, "found": 2}},
        "train": {"utterances": {"published": 5, "found": 1}},
        "test": {"utterances": {"published": 1, "found": 0}},
    }


def test_the_summary_counts_characters_and_sentences() -> None:
    splits = {"train": counts(("말 말", "가"), ("글", "가")), "test": counts(("글", "나"))}
    assert summary(splits)["train"] == {
        "utterances": 2,
        "hours": 1.0,
        "speakers": 1,
        "characters": 4,
        "distinct_characters": 3,
        "characters_not_in_train": 0,
        "distinct_sentences": 2,
        "sentences_in_train": 2,
    }
    assert summary(splits)["test"]["sentences_in_train"] == 1


def test_characters_that_train_lacks_are_counted() -> None:
    splits = {"train": counts(("말 글", "가")), "test": counts(("말 뷁", "나"), ("뷁 힣", "나"))}
    assert summary(splits)["test"]["characters_not_in_train"] == 3


def test_a_sentence_is_what_is_said_not_how_it_is_punctuated() -> None:
    assert sentence("가 나, 다.") == sentence("가나 다?") == sentence("가나다")
    assert sentence("가나다") != sentence("가나라")
    assert sentence("?") != sentence("!")  # with nothing to be said, the text as it is
