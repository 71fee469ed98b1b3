"""What is kept of the words of a corpus, and found again."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from helpers import tones

from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.recording_list import RecordingEntry
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.splicing import kept_words
from sorigeul.splicing.kept_words import find_words
from sorigeul.splicing.utterances import Utterance


@pytest.fixture
def utterances(tmp_path: Path) -> list[Utterance]:
    found = []
    for number, text in enumerate(tones.texts(20)):
        path = tmp_path / f"{number}.flac"
        soundfile.write(path, tones.synthesize(text, number), SAMPLE_RATE)
        entry = RecordingEntry(str(number), str(path), len(text) * tones.SECONDS)
        found.append(Utterance(entry, text, "화자", f"key {number}"))
    return found


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many utterances were heard together, each time."""
    counts: list[int] = []
    find = kept_words._find

    def counted(recognizer: Recognizer, chunk: Mapping[int, Utterance]) -> object:
        counts.append(len(chunk))
        return find(recognizer, chunk)

    monkeypatch.setattr(kept_words, "_find", counted)
    monkeypatch.setattr(kept_words, "_CHUNK", 6)
    return counts


def test_what_is_kept_is_not_heard_again(
    run: Path, utterances: list[Utterance], tmp_path: Path, heard: list[int]
) -> None:
    recognizer, path = Recognizer.from_pretrained(run), tmp_path / "words.jsonl"
    words, faults = find_words(recognizer, "model", utterances, path)
    assert heard == [6, 6, 6, 2]
    assert not faults
    assert len(words) == 20
    heard.clear()
    assert find_words(recognizer, "model", utterances, path) == (words, {})
    assert heard == []
    added = [replace(utterances[0], key="new"), *utterances]
    assert find_words(recognizer, "model", added, path)[0] == [words[0], *words]
    assert heard == [1]
    heard.clear()
    twice = [*utterances, *utterances]
    assert find_words(recognizer, "model", twice, path)[0] == [*words, *words]
    assert heard == []
    assert find_words(recognizer, "other model", utterances, path)[0] == words
    assert heard == [6, 6, 6, 2]


def test_what_a_killed_call_has_written_whole_is_kept(
    run: Path, utterances: list[Utterance], tmp_path: Path, heard: list[int]
) -> None:
    recognizer, path = Recognizer.from_pretrained(run), tmp_path / "words.jsonl"
    words, _ = find_words(recognizer, "model", utterances[:6], path)
    one = path.read_bytes()
    heard.clear()
    for left in (
        one[:-30],
        b"\xff\xfe\n" + one,
        b"[3]\n" + one + b'{"a": ["b"]}\n',
        one + one[:50],
    ):
        path.write_bytes(left)
        assert find_words(recognizer, "model", utterances[:6], path)[0] == words
    assert heard == [6]


def test_long_utterances_are_read_a_few_at_a_time(
    run: Path,
    utterances: list[Utterance],
    tmp_path: Path,
    heard: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_words, "_CHUNK_SECONDS", 2.0)
    find_words(Recognizer.from_pretrained(run), "model", utterances, tmp_path / "words.jsonl")
    assert sum(heard) == 20
    assert len(heard) > 8
    first = 0
    for count in heard:
        seconds = [one.recording.seconds for one in utterances[first : first + count]]
        assert sum(seconds) <= 2.0
        first += count


def test_what_could_not_be_read_is_tried_again_and_nothing_else(
    run: Path, utterances: list[Utterance], tmp_path: Path, heard: list[int]
) -> None:
    recognizer, path = Recognizer.from_pretrained(run), tmp_path / "words.jsonl"
    (tmp_path / "3.flac").unlink()
    words, faults = find_words(recognizer, "model", utterances, path)
    assert words[3] is None
    assert list(faults) == [3]
    assert "3.flac: cannot be opened" in faults[3]
    heard.clear()
    soundfile.write(tmp_path / "3.flac", tones.synthesize(utterances[3].text), SAMPLE_RATE)
    again, faults = find_words(recognizer, "model", utterances, path)
    assert not faults
    assert heard == [1]
    assert again[3] is not None
    assert [*again[:3], *again[4:]] == [*words[:3], *words[4:]]


def test_recordings_that_are_away_for_a_call_are_not_heard_again(
    run: Path, utterances: list[Utterance], tmp_path: Path, heard: list[int]
) -> None:
    recognizer, path = Recognizer.from_pretrained(run), tmp_path / "words.jsonl"
    words, _ = find_words(recognizer, "model", utterances, path)
    away = [replace(one, key=f"{one.key}, gone") for one in utterances]
    for one in utterances:
        Path(one.recording.audio).rename(f"{one.recording.audio}.away")
    assert len(find_words(recognizer, "model", away, path)[1]) == 20
    for one in utterances:
        Path(f"{one.recording.audio}.away").rename(one.recording.audio)
    heard.clear()
    assert find_words(recognizer, "model", utterances, path) == (words, {})
    assert heard == []
