"""Subtitles: the rules of reading, whatever is said, and however it comes."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.paths import ROOT, SHARED
from helpers.subtitles import TimedWord, parse, too_fast, violations
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.recognition.subtitles import Cue, Subtitles, subtitles
from sorigeul.recognition.transcription import Segment, Transcription, Word
from sorigeul.recognition.writers import write
from sorigeul.search.options import SearchOptions
from sorigeul.sound.audio import SAMPLE_RATE, Samples

SMALL = ROOT / "runs" / "small"


def segment_of(words: Sequence[TimedWord], channel: str = "") -> Segment:
    text = " ".join(word for word, *_ in words)
    return Segment(
        start=words[0][1],
        end=words[-1][2],
        text=text,
        confidence=1.0,
        finished=True,
        characters=list(text),
        alignment=np.zeros((len(text), 1), np.float32),
        channel=channel,
        words=[Word(word, start, end, 1.0) for word, start, end in words],
    )


def spoken(text: str, start: float = 0.0, speed: float = 7.0) -> list[TimedWord]:
    """The words of a text, each syllable as long as the others; a | is a pause of 0.3 s."""
    words, time = [], start
    for part in text.split("|"):
        for word in part.split():
            words.append((word, time, time + len(word) / speed))
            time = words[-1][2]
        time += 0.3
    return words


def cues_of(words: Sequence[TimedWord], line: int = 20) -> list[Cue]:
    """The cues of words in one segment, at the end of a recording."""
    return subtitles(Transcription("", [segment_of(words)], words[-1][2], ()), line)


def shown(text: str, line: int = 20) -> list[str]:
    return [cue.text for cue in cues_of(spoken(text), line)]


def srt_of(*cues: tuple[float, float, str]) -> str:
    def time(seconds: float) -> str:
        return f"00:00:{seconds:06.3f}".replace(".", ",")

    return "".join(
        f"{number}\n{time(start)} --> {time(end)}\n{text}\n\n"
        for number, (start, end, text) in enumerate(cues, 1)
    )


@pytest.mark.parametrize(
    ("cues", "fault"),
    [
        ([(0, 2, "가나다 라마바")], ""),
        ([(0, 2, "가\n나\n다")], "1: 3 lines"),
        ([(0, 4, "가나다라마바사아자 차카타파하가나다라마")], ""),
        ([(0, 4, "가나다라마바사아자 차카타파하가나다라마바")], "1: a line of 21 characters"),
        ([(0, 2, "가나다\n라마바")], "1: two lines that fit in one"),
        ([(0, 7.1, "가")], "1: 7.100 s long"),
        ([(0, 0.9, "가")], "1: only 0.900 s long"),
        (
            [(0, 1, "가나다라마바사 아자차카타파하")],
            "1: 15.0 characters a second, but time is left",
        ),
        ([(0, 1, "가나다라마바사 아자차카타"), (1, 2, "가")], ""),
        ([(0, 2, "가"), (1.9, 3, "나")], "1: overlaps with what follows"),
        ([(0, 2, "가"), (2.3, 4, "나")], "1: a gap of 0.300 s is open"),
    ],
)
def test_the_checker_finds_each_fault(cues: list[tuple[float, float, str]], fault: str) -> None:
    assert violations(srt_of(*cues)) == ([fault] if fault else [])


def test_the_checker_compares_with_the_words() -> None:
    srt = srt_of((1, 3, "가 나"), (3, 5, "다"))
    words = [("가", 1.0, 2.0), ("나", 2.0, 3.0), ("다", 3.0, 5.0)]
    assert violations(srt, words) == []
    assert violations(srt, [("가", 1.1, 2.0), *words[1:]]) == [
        "1: begins -0.100 s from its first word"
    ]
    assert violations(srt, [*words[:1], ("나", 2.0, 3.1), words[2]]) == [
        "1: ends before its last word"
    ]
    assert violations(srt, words[:2]) == [
        "the words are not those of the recording, each whole and in order"
    ]


WORD = st.text("가나다라마고면서는데을의했니다", min_size=1, max_size=10)


@st.composite
def timed_words(draw: st.DrawFn) -> list[TimedWord]:
    """Words as people say them: 4 to 10 syllables a second, with pauses or without."""
    words, time = [], draw(st.floats(0, 5))
    for _ in range(draw(st.integers(1, 60))):
        text = draw(WORD)
        end = time + len(text) / draw(st.floats(4, 10))
        words.append((text, time, end))
        time = end + draw(st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.3, 0.499, 0.5, 0.9, 1.0, 9.0]))
    return words


@settings(max_examples=50)
@given(timed_words(), st.sampled_from([12, 16, 20, 42]), st.floats(0, 9))
def test_the_rules_hold_whatever_is_said(words: list[TimedWord], line: int, silence: float) -> None:
    transcription = Transcription("", [segment_of(words)], words[-1][2] + silence, ())
    srt = write("srt", transcription, subtitle_line=line)
    assert not violations(srt, words, transcription.duration, line)


@settings(max_examples=50)
@given(timed_words(), st.data())
def test_cues_do_not_depend_on_the_segments_in_which_words_come(
    words: list[TimedWord], data: st.DataObject
) -> None:
    places = data.draw(st.sets(st.integers(1, max(len(words) - 1, 1)))) & set(range(1, len(words)))
    edges = [0, *sorted(places), len(words)]
    segments = [segment_of(words[i:j]) for i, j in pairwise(edges)]
    duration = words[-1][2] + 1
    whole = write("srt", Transcription("", [segment_of(words)], duration, ()))
    assert write("srt", Transcription("", segments, duration, ())) == whole


def test_breaks_are_where_clauses_and_phrases_end() -> None:
    assert shown(
        "저는 오늘 아침에 일찍 일어나서|회사에 갔는데 아무도 없었습니다|"
        "그래서 다시 집으로 돌아왔어요 그런데 문이 잠겨 있었습니다"
    ) == [
        "저는 오늘 아침에 일찍 일어나서\n회사에 갔는데 아무도 없었습니다",
        "그래서 다시 집으로 돌아왔어요\n그런데 문이 잠겨 있었습니다",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "나는 어제 그 사람의 아름다운 정원에 가 보았다",
        "우리 학교의 모든 학생들이 운동장에 모여 있습니다",
        "이것은 지금까지 내가 먹어 본 것 중에서 제일 맛있다",
    ],
)
def test_words_that_belong_together_stay_in_one_line(text: str) -> None:
    upper, lower = shown(text)[0].split("\n")
    modifiers = ["그", "사람의", "아름다운", "우리", "학교의", "모든", "제일", "본"]
    assert upper.split()[-1] not in modifiers
    assert lower.split()[0] not in ["보았다", "있습니다", "것", "중에서"]


def test_a_text_that_fits_is_one_line_and_two_lines_are_alike() -> None:
    assert shown("가나다라 마바사아 자차카타 파하") == ["가나다라 마바사아 자차카타 파하"]
    (cue,) = shown("가나다라 마바사아 자차카타 파하가나 다라마바 사아자차")
    assert cue == "가나다라 마바사아 자차카타\n파하가나 다라마바 사아자차"


def test_a_line_may_be_as_wide_as_one_wants() -> None:
    text = "가나다라 마바사아 자차카타 파하가나"  # 19 characters
    assert shown(text, 19) == [text]
    assert all(len(line) <= 16 for line in shown(text, 16)[0].split("\n"))
    with pytest.raises(UserError, match="subtitle_line is 7, but must be at least 8 and at most"):
        Subtitles(7)


def test_a_word_longer_than_a_line_is_not_divided() -> None:
    long = "가" * 31
    assert shown(f"그리고 {long} 끝") == [f"그리고\n{long}", "끝"]


def test_a_short_word_is_shown_for_a_second_and_fast_speech_into_the_silence_after_it() -> None:
    words = [("네", 1.0, 1.2), *spoken("아주 빠르게 말한 이 문장은 읽을 수 없다", 5.0, speed=14)]
    first, second = subtitles(Transcription("", [segment_of(words)], 20.0, ()))
    assert (first.start, first.end) == (1.0, 2.0)
    assert second.start == 5.0
    assert second.end == pytest.approx(5.0 + len(second.text) / 12, abs=0.001)
    assert second.end > words[-1][2]


def test_the_last_cue_ends_with_the_recording_if_it_has_lasted_a_second() -> None:
    (fast,) = subtitles(Transcription("", [segment_of(spoken("가나다라 " * 6, 0, 15))], 2.0, ()))
    assert (fast.start, fast.end) == (0.0, 2.0)
    (short,) = subtitles(Transcription("", [segment_of([("네", 4.0, 4.2)])], 4.3, ()))
    assert (short.start, short.end) == (4.0, 5.0)


def test_gaps_below_half_a_second_are_closed() -> None:
    long = "가나다라마바사아자 " * 3  # as much as a cue can hold
    seconds = 27 / 7
    words = [*spoken(long), *spoken(long, seconds + 0.4), *spoken(long, 2 * seconds + 1.0)]
    first, second, third = subtitles(Transcription("", [segment_of(words)], 20.0, ()))
    assert first.end == second.start
    assert second.end == pytest.approx(2 * seconds + 0.4, abs=0.001)
    assert third.start - second.end == pytest.approx(0.6, abs=0.002)


def test_a_segment_without_words_is_divided_in_proportion() -> None:
    segment = Segment(2.0, 6.0, "가나다 라", 1.0, True, [], np.zeros((0, 1), np.float32))
    (cue,) = subtitles(Transcription("", [segment], 9.0, ()))
    assert [(word.text, word.start, word.end) for word in cue.words] == [
        ("가나다", 2.0, 5.0),
        ("라", 5.0, 6.0),
    ]
    assert (cue.start, cue.end) == (2.0, 6.0)


def test_channels_have_cues_of_their_own_in_the_order_of_time() -> None:
    left = [spoken("여보세요 잘 들리십니까", at) for at in (0.0, 20.0, 40.0)]
    right = [spoken("네 잘 들립니다", at) for at in (1.0, 21.5)]
    segments = sorted(
        [segment_of(words, "left") for words in left]
        + [segment_of(words, "right") for words in right],
        key=lambda segment: segment.start,
    )
    cues = subtitles(Transcription("", segments, 60.0, ()))
    assert [(cue.channel, cue.start) for cue in cues] == [
        ("left", 0.0),
        ("right", 1.0),
        ("left", 20.0),
        ("right", 21.5),
        ("left", 40.0),
    ]
    assert cues[0].end > cues[1].start  # both speak


def test_a_channel_that_falls_silent_does_not_keep_the_others_waiting() -> None:
    made = Subtitles()
    list(made.feed(segment_of(spoken("여보세요", 0.0), "left")))
    given_out = [
        cue.start
        for start in range(1, 100, 3)
        for cue in made.feed(segment_of(spoken("네 그렇습니다", start), "right"))
    ]
    assert given_out[:3] == [0.0, 1.0, 4.0]
    assert len(given_out) > 28


def endless_speech() -> Iterator[Segment]:
    """Ten minutes without any pause, a word in each segment."""
    generator = np.random.default_rng(0)
    time = 0.0
    while time < 600:
        text = "가" * int(generator.integers(1, 7))
        yield segment_of([(text, time, time + len(text) / 7)])
        time += len(text) / 7


def test_speech_without_a_pause_waits_for_some_seconds_only() -> None:
    made, last_end = Subtitles(), 0.0
    for segment in endless_speech():
        for cue in made.feed(segment):
            assert cue.start == last_end
            last_end = cue.end
        assert segment.start - last_end < 30


def pansori(files: Sequence[Path], pause: float = 0.4) -> tuple[Samples, list[float]]:
    """Recordings one after the other, and where each begins, in seconds."""
    pieces: list[Samples] = []
    starts, length = [], 0
    noise = np.random.default_rng(0)
    for file in files:
        samples, rate = soundfile.read(file, dtype="float32")
        assert rate == SAMPLE_RATE
        starts.append(length / SAMPLE_RATE)
        silence = 0.0005 * noise.standard_normal(round(pause * SAMPLE_RATE)).astype(np.float32)
        pieces += [samples, silence]
        length += len(samples) + len(silence)
    return np.concatenate(pieces), starts


@pytest.fixture(scope="module")
def small() -> Recognizer:
    if not (SMALL / "model.safetensors").is_file():
        pytest.skip("needs runs/small: sorigeul train data/pansori runs/small")
    return Recognizer.from_pretrained(SMALL, "cpu")


@pytest.fixture(scope="module")
def talks() -> list[Path]:
    files = sorted((SHARED / "corpora" / "pansori-tedxkr").glob("data/*/*/*.flac"))
    if not files:
        pytest.skip("Pansori TEDxKR is not here")
    return files


@pytest.mark.prove
def test_ten_minutes_of_pansori_keep_the_rules(
    small: Recognizer, talks: list[Path], tmp_path: Path
) -> None:
    samples, _ = pansori(talks[::15], pause=0.2)
    assert len(samples) > 600 * SAMPLE_RATE
    soundfile.write(tmp_path / "talks.flac", samples, SAMPLE_RATE)
    transcription = small.transcribe(tmp_path / "talks.flac")
    words = [
        (word.word, word.start, word.end)
        for segment in transcription.segments
        for word in segment.words
    ]
    srt = write("srt", transcription)
    fast = too_fast(srt)
    print(
        f"{len(words)} words in {len(parse(srt))} cues; {len(fast)} of them faster than 12 "
        f"characters a second, {max((cue.speed for cue in fast), default=0):.1f} at most"
    )
    assert len(parse(srt)) > 150
    assert not violations(srt, words, transcription.duration)


@pytest.mark.prove
@pytest.mark.parametrize("minutes", [20, 120])
def test_long_recordings_do_not_drift(
    small: Recognizer, talks: list[Path], tmp_path: Path, minutes: int
) -> None:
    """Words are where they are in the recordings by themselves. A search would change nothing."""
    greedy = small.with_options(SearchOptions(beam=1))
    samples, starts = pansori(talks)
    count = int(np.searchsorted(starts, 60.0 * minutes))
    end = round(starts[count] * SAMPLE_RATE)
    soundfile.write(tmp_path / "talks.flac", samples[:end], SAMPLE_RATE)
    transcription = greedy.transcribe(tmp_path / "talks.flac")
    words = [word for segment in transcription.segments for word in segment.words]
    srt = write("srt", transcription)
    assert not violations(srt, [(w.word, w.start, w.end) for w in words], transcription.duration)
    cues = parse(srt)
    differences = []
    for number in np.linspace(0, count - 1, 40).round().astype(int):
        alone = [
            word for segment in greedy.transcribe(talks[number]).segments for word in segment.words
        ]
        for word in alone[:1]:
            expected = starts[number] + word.start
            same = [w.start for w in words if w.word == word.word and abs(w.start - expected) < 2]
            if same:
                found = min(same, key=lambda start: abs(start - expected))
                differences.append(found - expected)
                assert any(cue.start - 0.001 <= found < cue.end for cue in cues)
    print(
        f"{transcription.duration:.0f} s, {len(words)} words, {len(cues)} cues; words compared: "
        f"{np.round(differences, 3).tolist()}"
    )
    assert len(differences) >= 10
    assert np.abs(differences).max() <= 0.2
