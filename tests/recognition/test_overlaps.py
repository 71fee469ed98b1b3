"""Segments that overlap: their common text is written once, and no word is divided."""

from itertools import pairwise

import numpy as np
import pytest

from sorigeul.recognition.overlaps import RecognizedSegment, join_overlaps
from sorigeul.recognition.transcription import Segment
from sorigeul.recognition.word_times import word_ranges
from sorigeul.text.vocabulary import Vocabulary

LEFT = "오늘은 날씨가 좋"
RIGHT = "씨가 좋네요 내일도"
VOCABULARY = Vocabulary.from_texts([LEFT, RIGHT, "가나다라마바사하자오"])


def recognized(
    text: str, start: float, end: float, first: float, last: float, overlaps_next: bool
) -> RecognizedSegment:
    """A segment from `start` to `end` whose characters are spoken from `first` to `last`."""
    step = (last - first) / max(len(text), 1)
    return RecognizedSegment(
        segment=Segment(
            start, end, text, 0.9, True, list(text), np.zeros((len(text), 3), np.float32)
        ),
        tokens=VOCABULARY.encode(text),
        spans=first + step * np.stack((np.arange(len(text)), 1 + np.arange(len(text))), axis=1),
        word_confidences=[len(text[slice(*part)]) / 10 for part in word_ranges(text)],
        overlaps_next=overlaps_next,
    )


def joined(*segments: RecognizedSegment) -> list[str]:
    return [segment.text for segment in join_overlaps(segments, VOCABULARY)]


def test_common_text_is_written_once_and_cut_at_a_space() -> None:
    left = recognized(LEFT, 0, 5, 3.2, 6.0, True)
    right = recognized(RIGHT, 5, 10, 4.4, 8.0, False)
    assert joined(left, right) == ["오늘은 날씨가", "좋네요 내일도"]


def test_without_a_common_space_the_cut_is_at_a_common_character() -> None:
    left = recognized("가나다", 0, 5, 4.0, 5.5, True)
    right = recognized("나다라", 5, 10, 4.5, 6.0, False)
    first, second = joined(left, right)
    assert first + second == "가나다라"


def test_with_nothing_in_common_each_keeps_what_was_spoken_on_its_side() -> None:
    left = recognized("가가가가", 0, 5, 4.0, 6.0, True)
    right = recognized("라라라라", 5, 10, 4.0, 6.0, False)
    assert joined(left, right) == ["가가", "라라"]


def test_every_segment_of_a_chain_is_joined() -> None:
    """Of a text of which a character is spoken every 0.8 s, cut at five and ten seconds."""
    text = "오늘은 날씨가 좋네요 내일도 가나"

    def heard(start: float, end: float, overlaps_next: bool) -> RecognizedSegment:
        first = round(max(start - 1, 0) / 0.8)
        last = round((end + overlaps_next) / 0.8)
        part = text[first:last]
        return recognized(part, start, end, 0.8 * first, 0.8 * (first + len(part)), overlaps_next)

    parts = joined(heard(0, 5, True), heard(5, 10, True), heard(10, 14.4, False))
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")


def test_characters_in_common_count_only_if_they_are_spoken_at_one_time() -> None:
    left = recognized("가 나다마바사", 0, 5, 3.5, 6.0, True)  # its space is at 4.0 s
    right = recognized("하하하오 자", 5, 10, 4.2, 6.5, False)  # its space is at 5.9 s
    first, second = joined(left, right)
    assert "나" in first
    assert "자" in second


def test_if_one_side_hears_nothing_the_other_keeps_all() -> None:
    nothing = recognized("", 0, 5, 4.0, 6.0, True)
    assert joined(nothing, recognized("가나다", 5, 10, 4.0, 6.0, False)) == ["", "가나다"]
    left = recognized("가나다", 0, 5, 4.0, 6.0, True)
    assert joined(left, recognized("", 5, 10, 4.0, 6.0, False)) == ["가나다", ""]


def test_segments_without_an_overlap_stay_as_they_are() -> None:
    parts = [recognized(text, 0, 1, 0, 1, False) for text in ("가나", "", "다라")]
    assert joined(*parts) == ["가나", "", "다라"]


@pytest.mark.parametrize("text", ["", "가"])
def test_a_last_segment_that_waits_is_not_lost(text: str) -> None:
    assert joined(recognized(text, 0, 5, 0, 5, True)) == [text]


def test_the_alignment_follows_the_text() -> None:
    left = recognized(LEFT, 0, 5, 3.2, 6.0, True)
    right = recognized(RIGHT, 5, 10, 4.4, 8.0, False)
    for segment in join_overlaps((left, right), VOCABULARY):
        assert len(segment.characters) == len(segment.alignment)


def assert_words_fit(segments: list[Segment]) -> None:
    """All words are those of the texts, in the order of time, each within its segment."""
    for segment in segments:
        assert [word.word for word in segment.words] == segment.text.split()
        assert all(segment.start <= word.start for word in segment.words)
        assert all(word.start < word.end for word in segment.words)
        assert all(word.end <= segment.end for word in segment.words)
    words = [word for segment in segments for word in segment.words]
    assert all(word.end <= following.start for word, following in pairwise(words))
    assert all(segment.end <= following.start for segment, following in pairwise(segments))


def test_words_stay_with_the_characters_that_are_kept() -> None:
    left = recognized(LEFT, 0, 5, 3.2, 6.0, True)
    right = recognized(RIGHT, 5, 10, 4.4, 8.0, False)
    segments = list(join_overlaps((left, right), VOCABULARY))
    assert_words_fit(segments)
    words = [word for segment in segments for word in segment.words]
    assert [word.word for word in words] == ["오늘은", "날씨가", "좋네요", "내일도"]
    assert [word.confidence for word in words] == [0.3, 0.3, 0.3, 0.3]
    step = 2.8 / len(LEFT)
    assert (words[1].start, words[1].end) == pytest.approx((3.2 + 4 * step, 3.2 + 7 * step))


def test_half_a_word_keeps_the_confidence_of_the_whole() -> None:
    left = recognized("가나다", 0, 5, 4.0, 5.5, True)
    right = recognized("나다라", 5, 10, 4.5, 6.0, False)
    segments = list(join_overlaps((left, right), VOCABULARY))
    assert_words_fit(segments)
    assert [word.confidence for segment in segments for word in segment.words] == [0.3, 0.3]


def test_words_that_take_no_time_are_spread_evenly() -> None:
    heard = recognized("가나 다 라마바 사", 1.0, 3.0, 1.0, 1.0, False)
    (segment,) = join_overlaps([heard], VOCABULARY)
    assert_words_fit([segment])
    assert [(word.start, word.end) for word in segment.words] == [
        (1.0, 1.5),
        (1.5, 2.0),
        (2.0, 2.5),
        (2.5, 3.0),
    ]


@pytest.mark.parametrize("seed", range(40))
def test_words_fit_whatever_the_segments_contain(seed: int) -> None:
    """Texts at random, of which neighbours share much, little or nothing, at any rate."""
    random = np.random.default_rng(seed)
    segments = []
    for number in range(4):
        start, end = 5.0 * number, 5.0 * (number + 1)
        text = "".join(random.choice(list("가나다 "), size=random.integers(0, 14)))
        heard_from, heard_to = max(start - 1, 0), end + (number < 3)
        first, last = np.sort(random.uniform(heard_from, heard_to, size=2))
        segments.append(recognized(text, start, end, first, last, number < 3))
    assert_words_fit(list(join_overlaps(segments, VOCABULARY)))
