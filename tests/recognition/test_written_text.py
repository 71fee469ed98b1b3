"""Transcriptions in written form: text, words with their times, and every output format."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sorigeul.recognition.live import (
    FinalSegment,
    ProvisionalText,
    SpeechStarted,
    SpeechStopped,
)
from sorigeul.recognition.transcription import Alternative, Segment, Transcription, Word
from sorigeul.recognition.writers import write
from sorigeul.recognition.written_text import written_event, written_segment, written_transcription

SPOKEN = "이 사람이 세 시 삼십 분에 칠십 퍼센트를 공일공 일이삼사 오육칠팔"
WRITTEN = "이 사람이 3시 30분에 70%를 010-1234-5678"


def segment(text: str, start: float = 10.0) -> Segment:
    """A segment whose words last a second each; the n-th has a confidence of 0.9 - n/100."""
    words = [
        Word(word, start + place, start + place + 0.9, 0.9 - place / 100)
        for place, word in enumerate(text.split())
    ]
    end = start + len(words)
    return Segment(
        start, end, text, 0.8, True, list(text), np.zeros((len(text), 1), np.float32), words=words
    )


def test_a_written_word_covers_the_words_it_stands_for() -> None:
    converted = written_segment(segment(SPOKEN))
    assert (converted.text, converted.spoken) == (WRITTEN, SPOKEN)
    assert [word.word for word in converted.words] == WRITTEN.split()
    assert [(word.start, round(word.end, 3)) for word in converted.words] == [
        (10, 10.9),
        (11, 11.9),
        (12, 13.9),
        (14, 15.9),
        (16, 17.9),
        (18, 20.9),
    ]
    assert [round(word.confidence, 2) for word in converted.words] == [
        *(0.9, 0.89),
        *(0.87, 0.85, 0.83),
        0.8,
    ]


def test_what_belongs_to_the_spoken_text_stays() -> None:
    heard = segment("칠십 퍼센트")
    converted = written_segment(heard)
    assert converted.characters == heard.characters
    assert converted.alignment is heard.alignment
    assert (converted.start, converted.end) == (heard.start, heard.end)
    assert converted.confidence == heard.confidence


def test_words_without_times_and_alternatives() -> None:
    heard = replace(segment("세 시"), words=[], alternatives=[Alternative("네 시", -1.0)])
    converted = written_segment(heard)
    assert (converted.text, converted.words) == ("3시", [])
    assert converted.alternatives == [Alternative("4시", -1.0)]


def test_live_text_is_written_too() -> None:
    """What replaces a text as a whole, and what is final; nothing else has a text."""
    heard = segment("칠십 퍼센트가")
    assert written_event(FinalSegment(heard, True)) == FinalSegment(written_segment(heard), True)
    assert written_event(ProvisionalText("약 칠십")) == ProvisionalText("약 70")
    for event in (SpeechStarted(1.0), SpeechStopped(2.0)):
        assert written_event(event) is event


@pytest.fixture
def transcription() -> Transcription:
    segments = [segment("칠십 퍼센트가"), segment("한 시간 뒤", 20.0)]
    return written_transcription(Transcription.from_segments(segments, 30.0, ("decoded WAV",)))


def test_the_text_formats_and_subtitles_have_the_written_text(transcription: Transcription) -> None:
    assert write("txt", transcription) == "70%가\n1시간 뒤\n"
    assert write("tsv", transcription).splitlines()[1:] == [
        "10000\t12000\t70%가",
        "20000\t23000\t1시간 뒤",
    ]
    for kind, comma in (("srt", ","), ("vtt", ".")):
        cues = write(kind, transcription)
        assert f"00:00:10{comma}000 --> 00:00:11{comma}900\n70%가\n" in cues
        assert f"00:00:20{comma}000 --> 00:00:22{comma}900\n1시간 뒤\n" in cues
    by_word = write("srt", transcription, word_times=True)
    assert "00:00:20,000 --> 00:00:21,900\n1시간\n" in by_word


def test_json_keeps_the_spoken_text_too(transcription: Transcription) -> None:
    content = json.loads(write("json", transcription))
    assert (content["text"], content["spoken"]) == ("70%가 1시간 뒤", "칠십 퍼센트가 한 시간 뒤")
    assert [one["spoken"] for one in content["segments"]] == ["칠십 퍼센트가", "한 시간 뒤"]
    plain = json.loads(write("json", Transcription.from_segments([segment("세 시")], 1.0, ())))
    assert "spoken" not in plain
    assert "spoken" not in plain["segments"][0]
