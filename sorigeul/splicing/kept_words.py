"""The words of utterances in time, found in chunks and kept, so that each is found only once."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from sorigeul.alignment.script import Script
from sorigeul.base.files import naming, write_text
from sorigeul.base.progress import progress_bar
from sorigeul.recognition.batching import length_batches
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples
from sorigeul.splicing.utterances import Utterance
from sorigeul.splicing.word_places import WordPlaces, place_words

_VERSION = 1  # increases whenever the words of the same utterance would be placed in another way
_CHUNK, _CHUNK_SECONDS = 128, 600.0  # utterances that are read at a time, and kept together

Words = list[WordPlaces | None]
"""of the utterances of a chunk; None for one that could not be read or placed"""


def find_words(
    recognizer: Recognizer, model_key: str, utterances: Sequence[Utterance], path: Path
) -> tuple[Words, list[str]]:
    """The words of each utterance; also why recordings could not be read.

    `path` is the file in which they are kept, and `model_key` tells the recogniser's model from
    others. A chunk with recordings that could not be read is not kept, so they are tried again.
    """
    kept = _read(path)
    chunks = {_key(model_key, chunk): chunk for chunk in _chunks(utterances)}
    known = {
        key: kept[key] for key, chunk in chunks.items() if len(kept.get(key, ())) == len(chunk)
    }
    write_text(path, "".join(_line(key, words) for key, words in known.items()))
    faults: list[str] = []
    with (
        naming(path),
        path.open("a", encoding="utf-8") as file,
        progress_bar("finding words", len(utterances), sum(map(len, known.values()))) as advance,
    ):
        for key, chunk in chunks.items():
            if key in known:
                continue
            known[key], of_chunk = _find(recognizer, chunk)
            faults += of_chunk
            if not of_chunk:
                file.write(_line(key, known[key]))
                file.flush()
            advance(len(chunk), "")
    return [words for key in chunks for words in known[key]], faults


def _chunks(utterances: Sequence[Utterance]) -> Iterator[Sequence[Utterance]]:
    first, seconds = 0, 0.0
    for place, one in enumerate(utterances):
        if place - first == _CHUNK or seconds + one.recording.seconds > _CHUNK_SECONDS:
            yield utterances[first:place]
            first, seconds = place, 0.0
        seconds += one.recording.seconds
    yield utterances[first:]


def _key(model_key: str, chunk: Sequence[Utterance]) -> str:
    """Everything that decides where the words of a chunk are."""
    parts = [str(_VERSION), model_key, *(one.key for one in chunk)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _read(path: Path) -> dict[str, Words]:
    """What earlier calls have found, by the keys of its chunks."""
    chunks: dict[str, Words] = {}
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            content = json.loads(line)
            words = [None if one is None else WordPlaces(**one) for one in content["words"]]
            chunks[content["key"]] = words
        except (ValueError, LookupError, TypeError):
            continue  # a call was killed while it wrote the line
    return chunks


def _line(key: str, words: Words) -> str:
    content = {"key": key, "words": [None if one is None else asdict(one) for one in words]}
    return json.dumps(content) + "\n"


def _find(recognizer: Recognizer, chunk: Sequence[Utterance]) -> tuple[Words, list[str]]:
    """The words of some utterances, and why some could not be read."""
    samples: dict[int, Samples] = {}
    faults: list[str] = []
    for number, one in enumerate(chunk):
        try:
            samples[number] = one.recording.samples()
        except AudioError as error:
            faults.append(str(error))
    numbers = list(samples)
    seconds = [len(samples[number]) / SAMPLE_RATE for number in numbers]
    batches = [
        [numbers[place] for place in batch]
        for batch in length_batches(seconds, recognizer.batch_seconds)
    ]

    def place(batch: Sequence[int]) -> Words:
        vocabulary = recognizer.pretrained.vocabulary
        scripts = [Script.from_lines([chunk[number].text], vocabulary) for number in batch]
        return place_words(recognizer, [samples[number] for number in batch], scripts)

    found: Words = [None] * len(chunk)
    with recognizer.threads() as threads:
        for batch, placed in zip(batches, threads.map(place, batches), strict=True):
            for number, words in zip(batch, placed, strict=True):
                found[number] = words
    return found, faults
