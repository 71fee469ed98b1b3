"""What is kept of the words of a corpus, and found again."""

import json
from pathlib import Path

import numpy as np
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


def test_a_chunk_that_is_kept_is_not_heard_again(
    run: Path, utterances: list[Utterance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_words, "_CHUNK", 6)
    heard: list[int] = []
    find = kept_words._find

    def counted(recognizer: Recognizer, chunk: list[Utterance]) -> object:
        heard.append(len(chunk))
        return find(recognizer, chunk)

    monkeypatch.setattr(kept_words, "_find", counted)
    recognizer, path = Recognizer.from_pretrained(run), tmp_path / "words.jsonl"
    words, faults = find_words(recognizer, "model", utterances, path)
    assert heard == [6, 6, 6, 2]
    assert not faults
    assert len(words) == 20
    whole = path.read_bytes()
    for content, missing in (
        (whole, []),
        (whole[:-30], [2]),  # killed in the last line
        (whole.replace(whole.splitlines()[1], b"\xff nothing"), [6]),
        (whole.replace(b'"scores"', b'"others"', 3), [6]),
    ):
        heard.clear()
        path.write_bytes(content)
        assert find_words(recognizer, "model", utterances, path) == (words, [])
        assert heard == missing
        assert len(path.read_bytes().splitlines()) == 4
    heard.clear()
    assert find_words(recognizer, "other model", utterances, path)[0] == words
    assert heard == [6, 6, 6, 2]
    heard.clear()
    changed = [*utterances[:7], utterances[0], *utterances[8:]]
    find_words(recognizer, "other model", changed, path)
    assert heard == [6]


def test_long_utterances_are_read_a_few_at_a_time(
    run: Path, utterances: list[Utterance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_words, "_CHUNK_SECONDS", 2.0)
    recognizer = Recognizer.from_pretrained(run)
    find_words(recognizer, "model", utterances, tmp_path / "words.jsonl")
    sizes = [
        len(json.loads(line)["words"])
        for line in (tmp_path / "words.jsonl").read_text().splitlines()
    ]
    assert sum(sizes) == 20
    first = 0
    for size in sizes:
        seconds = [one.recording.seconds for one in utterances[first : first + size]]
        assert sum(seconds) <= 2.0
        first += size


def test_chunks_with_what_could_not_be_read_are_tried_again(
    run: Path, utterances: list[Utterance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_words, "_CHUNK", 10)
    recognizer, path = Recognizer.from_pretrained(run), tmp_path / "words.jsonl"
    (tmp_path / "3.flac").unlink()
    words, faults = find_words(recognizer, "model", utterances, path)
    assert words[3] is None
    assert len(faults) == 1
    assert "3.flac: cannot be opened" in faults[0]
    assert len(path.read_text().splitlines()) == 1
    soundfile.write(tmp_path / "3.flac", tones.synthesize(utterances[3].text), SAMPLE_RATE)
    again, faults = find_words(recognizer, "model", utterances, path)
    assert not faults
    assert again[3] is not None
    assert np.array_equal([one for one in again if one is not again[3]], [*words[:3], *words[4:]])
