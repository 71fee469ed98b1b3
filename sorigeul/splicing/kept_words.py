"""The words of utterances in time, found in chunks and kept, so that each is found only once."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
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

Words = dict[str, WordPlaces | None]
"""by the key of their utterance; None if it could not be placed"""


def find_words(
    recognizer: Recognizer, model_key: str, utterances: Sequence[Utterance], path: Path
) -> tuple[list[WordPlaces | None], dict[int, str]]:
    """The words of each utterance; None for one that could not be read or placed.

    Also why some could not be read, by their numbers; the next call tries them again. `path` is the
    file in which words are kept, and `model_key` tells the recogniser's model from others.
    """
    kept = _read(path)
    keys = [_key(model_key, one) for one in utterances]
    missing = [number for number, key in enumerate(keys) if key not in kept]
    if missing:  # also what is not needed now: recordings may be back with the next call
        write_text(path, _line(kept))  # without the half line of a call that was killed
    faults: dict[int, str] = {}
    done = len(utterances) - len(missing)
    with progress_bar("finding words", len(utterances), done) as advance:
        for chunk in _chunks(missing, utterances):
            found, of_chunk = _find(recognizer, {number: utterances[number] for number in chunk})
            faults |= of_chunk
            words = {keys[number]: places for number, places in found.items()}
            kept |= words
            with naming(path), path.open("a", encoding="utf-8") as file:
                file.write(_line(words))
            advance(len(chunk), "")
    if missing and not faults:
        write_text(path, _line({key: kept[key] for key in keys}))
    return [kept.get(key) for key in keys], faults


def _chunks(numbers: Sequence[int], utterances: Sequence[Utterance]) -> Iterator[Sequence[int]]:
    first, seconds = 0, 0.0
    for place, number in enumerate(numbers):
        own = utterances[number].recording.seconds
        if place > first and (place - first == _CHUNK or seconds + own > _CHUNK_SECONDS):
            yield numbers[first:place]
            first, seconds = place, 0.0
        seconds += own
    if numbers:
        yield numbers[first:]


def _key(model_key: str, utterance: Utterance) -> str:
    """Everything that decides where the words of an utterance are."""
    return hashlib.sha256(f"{_VERSION} {model_key} {utterance.key}".encode()).hexdigest()[:32]


def _read(path: Path) -> Words:
    """What earlier calls have found. A line is there as a whole, so what is done again is alike."""
    kept: Words = {}
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            items = json.loads(line).items()
            kept |= {key: None if one is None else WordPlaces(**one) for key, one in items}
        except (ValueError, AttributeError, TypeError):
            continue  # a call was killed while it wrote the line
    return kept


def _line(words: Words) -> str:
    fields = {key: None if one is None else asdict(one) for key, one in words.items()}
    return json.dumps(fields) + "\n"


def _find(
    recognizer: Recognizer, chunk: Mapping[int, Utterance]
) -> tuple[dict[int, WordPlaces | None], dict[int, str]]:
    """The words of some utterances by their numbers, and why some could not be read."""
    samples: dict[int, Samples] = {}
    faults: dict[int, str] = {}
    for number, one in chunk.items():
        try:
            samples[number] = one.recording.samples()
        except AudioError as error:
            faults[number] = str(error)
    numbers = list(samples)
    seconds = [len(samples[number]) / SAMPLE_RATE for number in numbers]
    batches = [
        [numbers[place] for place in batch]
        for batch in length_batches(seconds, recognizer.batch_seconds)
    ]

    def place(batch: Sequence[int]) -> list[WordPlaces | None]:
        vocabulary = recognizer.pretrained.vocabulary
        scripts = [Script.from_lines([chunk[number].text], vocabulary) for number in batch]
        return place_words(recognizer, [samples[number] for number in batch], scripts)

    found: dict[int, WordPlaces | None] = {}
    with recognizer.threads() as threads:
        for batch, placed in zip(batches, threads.map(place, batches), strict=True):
            found |= dict(zip(batch, placed, strict=True))
    return found, faults
