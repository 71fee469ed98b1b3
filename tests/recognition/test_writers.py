"""The exact output of each format."""

import csv
import json
from dataclasses import replace
from io import StringIO

import pytest
import torch

from sorigeul.recognition.transcription import Segment, Transcription, Word
from sorigeul.recognition.writers import WRITERS, write


def segment(start: float, end: float, text: str, finished: bool = True) -> Segment:
    return Segment(start, end, text, 0.98765, finished, list(text), torch.zeros(len(text), 1))


TRANSCRIPTION = Transcription(
    text="안녕하세요 A&B <끝> 한 시간 뒤",
    segments=[
        segment(0.0, 1.5, "안녕하세요"),
        segment(2.0004, 3.9996, "A&B <끝>", finished=False),
        segment(61.0, 62.0, ""),
        segment(3725.25, 3726.0078, "한 시간 뒤"),
    ],
    duration=3728.00781,
    account=("decoded WAV (Signed 16 bit PCM)", "resampled from 44100 Hz to 16000 Hz"),
)

EXPECTED = {
    "txt": """\
안녕하세요
A&B <끝>

한 시간 뒤
""",
    "json": """\
{
  "text": "안녕하세요 A&B <끝> 한 시간 뒤",
  "language": "ko",
  "duration": 3728.008,
  "account": [
    "decoded WAV (Signed 16 bit PCM)",
    "resampled from 44100 Hz to 16000 Hz"
  ],
  "segments": [
    {
      "start": 0.0,
      "end": 1.5,
      "text": "안녕하세요",
      "confidence": 0.9877,
      "finished": true,
      "doubtful": false,
      "words": []
    },
    {
      "start": 2.0,
      "end": 4.0,
      "text": "A&B <끝>",
      "confidence": 0.9877,
      "finished": false,
      "doubtful": true,
      "words": []
    },
    {
      "start": 61.0,
      "end": 62.0,
      "text": "",
      "confidence": 0.9877,
      "finished": true,
      "doubtful": false,
      "words": []
    },
    {
      "start": 3725.25,
      "end": 3726.008,
      "text": "한 시간 뒤",
      "confidence": 0.9877,
      "finished": true,
      "doubtful": false,
      "words": []
    }
  ]
}
""",
    "srt": """\
1
00:00:00,000 --> 00:00:01,500
안녕하세요

2
00:00:02,000 --> 00:00:04,000
A&B <끝>

3
01:02:05,250 --> 01:02:06,250
한 시간 뒤

""",
    "vtt": """\
WEBVTT

00:00:00.000 --> 00:00:01.500
안녕하세요

00:00:02.000 --> 00:00:04.000
<c.doubtful>A&amp;B &lt;끝&gt;</c>

01:02:05.250 --> 01:02:06.250
한 시간 뒤

""",
    "tsv": """\
start\tend\ttext
0\t1500\t안녕하세요
2000\t4000\tA&B <끝>
61000\t62000\t
3725250\t3726008\t한 시간 뒤
""",
}

WITHOUT_SPEECH = Transcription("", [], 21.0, ())


def test_every_format_is_tested() -> None:
    assert WRITERS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("kind", EXPECTED)
def test_each_format_is_exactly_as_expected(kind: str) -> None:
    assert write(kind, TRANSCRIPTION) == EXPECTED[kind]


@pytest.mark.parametrize(
    ("kind", "content"),
    [("txt", ""), ("srt", ""), ("vtt", "WEBVTT\n\n"), ("tsv", "start\tend\ttext\n")],
)
def test_a_recording_without_speech_is_an_empty_file_of_its_format(kind: str, content: str) -> None:
    assert write(kind, WITHOUT_SPEECH) == content


def test_json_without_speech_has_the_same_keys() -> None:
    content = json.loads(write("json", WITHOUT_SPEECH))
    assert content == {
        "text": "",
        "language": "ko",
        "duration": 21.0,
        "account": [],
        "segments": [],
    }


def test_json_can_hold_any_text() -> None:
    text = '따옴표 " 역사선 \\ 줄\n탭\t끝\u2028'
    content = json.loads(write("json", Transcription(text, [segment(0, 1, text)], 1.0, ())))
    assert (content["text"], content["segments"][0]["text"]) == (text, text)


def test_tsv_can_be_read_back() -> None:
    rows = list(csv.DictReader(StringIO(write("tsv", TRANSCRIPTION)), dialect=csv.excel_tab))
    assert [row["text"] for row in rows] == [segment.text for segment in TRANSCRIPTION.segments]
    assert [int(row["end"]) - int(row["start"]) for row in rows] == [1500, 2000, 1000, 758]


@pytest.mark.parametrize(
    ("seconds", "time"),
    [
        (0.0, "00:00:00,000"),
        (0.0004, "00:00:00,000"),
        (0.9996, "00:00:01,000"),
        (59.9995, "00:01:00,000"),
        (3599.9999, "01:00:00,000"),
        (86_400 + 61.001, "24:01:01,001"),
        (360_000.0, "100:00:00,000"),
    ],
)
def test_rounded_times_carry_over_into_minutes_and_hours(seconds: float, time: str) -> None:
    transcription = Transcription("가", [segment(seconds, seconds + 1, "가")], seconds + 1, ())
    assert write("srt", transcription).startswith(f"1\n{time} --> ")
    assert f"\n{time.replace(',', '.')} --> " in write("vtt", transcription)


def test_a_channel_is_named_where_there_are_several() -> None:
    segments = [
        replace(segment(0, 1, "여보세요"), channel="left"),
        replace(segment(1, 2, "네"), channel="right"),
    ]
    transcription = Transcription("여보세요 네", segments, 2.0, ())
    assert write("txt", transcription) == "left: 여보세요\nright: 네\n"
    assert "<v left>여보세요</v>" in write("vtt", transcription)
    assert "\nright: 네\n" in write("srt", transcription)
    assert write("tsv", transcription).endswith("1000\t2000\tright: 네\n")
    fields = json.loads(write("json", transcription))["segments"]
    assert [row["channel"] for row in fields] == ["left", "right"]


WORDS = replace(
    segment(1.0, 3.0, "A&B 한 시간"),
    words=[Word("A&B", 1.0, 1.5, 0.9), Word("한", 1.6, 1.8, 0.5), Word("시간", 1.8004, 3.0, 0.25)],
)


@pytest.mark.parametrize("word_times", [False, True])
def test_json_has_the_words_with_their_times(word_times: bool) -> None:
    content = json.loads(write("json", Transcription("", [WORDS], 3.0, ()), word_times))
    assert content["segments"][0]["words"] == [
        {"word": "A&B", "start": 1.0, "end": 1.5, "confidence": 0.9},
        {"word": "한", "start": 1.6, "end": 1.8, "confidence": 0.5},
        {"word": "시간", "start": 1.8, "end": 3.0, "confidence": 0.25},
    ]


def test_vtt_puts_the_time_before_each_word_that_does_not_begin_the_subtitle() -> None:
    content = write("vtt", Transcription("", [WORDS], 3.0, ()), word_times=True)
    assert content == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nA&amp;B <00:00:01.600>한 <00:00:01.800>시간\n\n"
    )


def test_vtt_times_rise_within_the_subtitle() -> None:
    """Players ignore a time that is not above the one before it."""
    words = [Word("가", 1.2, 1.3, 1.0), Word("나", 1.2003, 1.4, 1.0), Word("다", 2.0, 2.2, 1.0)]
    short = replace(WORDS, text="가 나 다", words=words)
    content = write("vtt", Transcription("", [short], 3.0, ()), word_times=True)
    assert content.endswith("00:00:01.200 --> 00:00:02.200\n가 나 <00:00:02.000>다\n\n")


def test_srt_has_a_subtitle_for_each_word() -> None:
    right = replace(WORDS, channel="right")
    content = write(
        "srt", Transcription("", [right, segment(4, 5, "끝")], 5.0, ()), word_times=True
    )
    assert content == (
        "1\n00:00:01,000 --> 00:00:01,500\nright: A&B\n\n"
        "2\n00:00:01,600 --> 00:00:01,800\nright: 한\n\n"
        "3\n00:00:01,800 --> 00:00:03,000\nright: 시간\n\n"
        "4\n00:00:04,000 --> 00:00:05,000\n끝\n\n"
    )


@pytest.mark.parametrize("kind", ["txt", "tsv"])
def test_other_formats_have_no_times_of_words(kind: str) -> None:
    transcription = Transcription("", [WORDS], 3.0, ())
    assert write(kind, transcription, word_times=True) == write(kind, transcription)
