"""Script of the demo corpus: the text, voice, speaking rate, pitch and noise of each utterance.

The same options give the same lines. No voice and no sentence is in two splits.
"""

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from random import Random

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.synthesis.sentences import sentence
from sorigeul.synthesis.voices import VOICES

_SHARES = {"train": 0.85, "dev": 0.05, "test": 0.1}
"""Share of each split, in utterances or hours."""
_DEFAULT_UTTERANCES = 3000
_MIN_EXAMPLES = 3
"""If sentences are made up, each syllable of dev and test occurs at least this often in train."""
_MAX_DRAWS = 2000
"""Sentences drawn in search of a usable one, before giving up."""

SentencesFromFile = Mapping[str, str]
"""Sentences of a text file, and where each of them stands: ``book.txt:12``."""


@dataclass(frozen=True)
class Line:
    """A line of the script: an utterance to synthesise."""

    id: str
    split: str
    voice: str
    text: str
    where: str
    """origin of the text: a file and its line, or the id of a made-up sentence"""
    rate: int
    """in words per minute, as eSpeak NG counts them"""
    pitch: int
    """from 0 to 100"""
    pitch_range: int
    """from 0 to 100"""
    peak: float
    """highest amplitude; full scale is 1"""
    snr: float
    """signal-to-noise ratio in dB"""
    pink: bool
    """whether the noise is pink; else it is white"""
    noise_seed: int

    @property
    def seconds(self) -> float:
        """Estimated duration: correct on average over the voices, within a tenth for each."""
        return 0.45 + 30 / self.rate * len(self.text.replace(" ", ""))


def script(options: PrepareOptions, sentences: SentencesFromFile | None = None) -> Iterator[Line]:
    """Draw the lines of train, then dev, then test.

    Without ``sentences`` they are made up, and none is repeated. Given ``sentences`` are all used
    once, then all again by another voice, and so on.

    Raises:
        UserError: if there are too few sentences for a split.
    """
    available = sentences_by_split(sentences or {})
    used: set[str] = set()
    train_syllables: Counter[str] = Counter()
    for split, share in _SHARES.items():
        if sentences and not available[split]:
            raise UserError(
                f"text {options.text_file}: none of its {len(sentences)} sentences falls to "
                f"{split}; give 100 or more"
            )
        lines = (
            _lines_from_file(split, available[split], options.seed)
            if sentences
            else _made_up_lines(split, options.seed, used, train_syllables)
        )
        if options.hours:
            yield from _limit_duration(lines, share * options.hours * 3600)
        else:
            total = options.utterances or _DEFAULT_UTTERANCES
            yield from islice(lines, _utterances_by_split(total)[split])


def sentences_by_split(sentences: SentencesFromFile) -> dict[str, list[tuple[str, str]]]:
    """Return the sentences of each split, each with where it stands."""
    by_split: dict[str, list[tuple[str, str]]] = {split: [] for split in _SHARES}
    for text, where in sentences.items():
        by_split[_split_of(text)].append((text, where))
    return by_split


def _split_of(text: str) -> str:
    """Choose the split by a checksum, so that no seed puts the sentence in another split."""
    return {0: "dev", 1: "test"}.get(zlib.crc32(text.encode()) % 10, "train")


def _utterances_by_split(total: int) -> dict[str, int]:
    held_out = {split: max(1, int(total * _SHARES[split])) for split in ("dev", "test")}
    return {"train": max(0, total - sum(held_out.values())), **held_out}


def _limit_duration(lines: Iterator[Line], seconds: float) -> Iterator[Line]:
    while seconds > 0:
        line = next(lines)
        seconds -= line.seconds
        yield line


def _made_up_lines(
    split: str, seed: int, used: set[str], train_syllables: Counter[str]
) -> Iterator[Line]:
    """Yield lines of new sentences without end.

    Adds each sentence to ``used``, and counts the syllables of train in ``train_syllables``.
    """
    for index in count():
        random = Random(f"{seed}/{split}/{index}")
        for text in islice(_made_up_sentences(random, split), _MAX_DRAWS):
            learnable = split == "train" or min(train_syllables[c] for c in text) >= _MIN_EXAMPLES
            if learnable and text not in used:
                break
        else:
            raise UserError(
                f"too few utterances: train does not hold the syllables of {split}; "
                "ask for 100 or more, or 0.1 hours"
            )
        used.add(text)
        if split == "train":
            train_syllables.update(text)
        voice = VOICES[split][index % len(VOICES[split])]
        id_ = f"demo-{seed}-{split}-{index:05}"
        yield _draw_line(random, id_, split, voice, text, where=id_)


def _made_up_sentences(random: Random, split: str) -> Iterator[str]:
    while True:
        text = sentence(random)
        if _split_of(text) == split:
            yield text


def _lines_from_file(split: str, sentences: list[tuple[str, str]], seed: int) -> Iterator[Line]:
    """Yield lines of the same sentences without end, shuffled in each round."""
    voices, index = VOICES[split], 0
    for round_ in count():
        shuffled = list(enumerate(sentences))
        Random(f"{seed}/{split}/round {round_}").shuffle(shuffled)
        for number, (text, where) in shuffled:
            random = Random(f"{seed}/{split}/{index}")
            voice = voices[(number + round_) % len(voices)]  # another one in each round
            id_ = f"demo-{seed}-{split}-{index:05}"
            yield _draw_line(random, id_, split, voice, text, where)
            index += 1


def _draw_line(random: Random, id_: str, split: str, voice: str, text: str, where: str) -> Line:
    """Draw how the text is spoken, and the noise."""
    voice_random = Random(voice)  # gives a voice the same base rate and pitch in all its lines
    noisy = random.random() < 0.4
    return Line(
        id=id_,
        split=split,
        voice=voice,
        text=text,
        where=where,
        rate=round(voice_random.uniform(200, 240) * random.uniform(0.92, 1.08)),
        pitch=round(voice_random.uniform(42, 58) + random.uniform(-6, 6)),
        pitch_range=round(voice_random.uniform(40, 65) + random.uniform(-10, 10)),
        peak=10 ** (random.uniform(-20, -1) / 20),
        snr=random.uniform(15, 30) if noisy else random.uniform(45, 60),
        pink=random.random() < 0.5,
        noise_seed=random.getrandbits(32),
    )
