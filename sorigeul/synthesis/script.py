"""The script of the demo corpus: which sentence is said, by which voice, how fast, in what noise.

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
"""Shares of the splits, of utterances or hours."""
_UTTERANCES = 3000
_LEAST_EXAMPLES = 3
"""Least number of times that train has each syllable of dev and test (made-up sentences)."""

Text = Mapping[str, str]
"""Sentence -> where it is from (file and line)."""


@dataclass(frozen=True)
class Line:
    """One line of the script: voice, text, and how it sounds."""

    id: str
    split: str
    voice: str
    text: str
    where: str
    """Where the text is from: the file and its line, or the id of a sentence made up."""
    rate: int
    """Words a minute, as eSpeak NG counts them."""
    pitch: int
    pitch_range: int
    peak: float
    """Peak amplitude; full scale is 1."""
    snr: float
    """dB of speech over background noise."""
    pink: bool
    noise_seed: int

    @property
    def seconds(self) -> float:
        """Estimated duration: unbiased over all voices, within a tenth for each."""
        return 0.45 + 30 / self.rate * len(self.text.replace(" ", ""))


def script(options: PrepareOptions, text: Text | None = None) -> Iterator[Line]:
    """Draw the lines: train, then dev, then test.

    Without a ``text`` sentences are made up, and none comes twice. With one each is said once, then
    each again in another voice, and so on.

    Raises:
        UserError: if there is too little for a split.
    """
    dealt = deal_to_splits(text or {})
    said: set[str] = set()
    known: Counter[str] = Counter()
    for split, share in _SHARES.items():
        if text and not dealt[split]:
            raise UserError(
                f"text {options.text_file}: none of its {len(text)} sentences falls to {split}; "
                "give 100 or more"
            )
        lines = (
            _recital(split, dealt[split], options.seed)
            if text
            else _improvisation(split, options.seed, said, known)
        )
        if options.hours:
            yield from _lasting(lines, share * options.hours * 3600)
        else:
            yield from islice(lines, _utterances(options.utterances or _UTTERANCES)[split])


def _utterances(total: int) -> dict[str, int]:
    held = {split: max(1, int(total * _SHARES[split])) for split in ("dev", "test")}
    return {"train": max(0, total - sum(held.values())), **held}


def _lasting(lines: Iterator[Line], seconds: float) -> Iterator[Line]:
    while seconds > 0:
        line = next(lines)
        seconds -= line.seconds
        yield line


def _improvisation(split: str, seed: int, said: set[str], known: Counter[str]) -> Iterator[Line]:
    """Yield lines of made-up sentences without end, none of them ``said`` before.

    ``known`` counts the syllables of train.
    """
    for index in count():
        random = Random(f"{seed}/{split}/{index}")
        for text in islice(_sentences(random, split), 2000):
            learnable = split == "train" or min(known[c] for c in text) >= _LEAST_EXAMPLES
            if learnable and text not in said:
                break
        else:
            raise UserError(
                f"too few utterances: train does not hold the syllables of {split}; "
                "ask for 100 or more, or 0.1 hours"
            )
        said.add(text)
        if split == "train":
            known.update(text)
        voice = VOICES[split][index % len(VOICES[split])]
        name = f"demo-{seed}-{split}-{index:05}"
        yield _cast(random, name, split, voice, text, where=name)


def _recital(split: str, sentences: list[tuple[str, str]], seed: int) -> Iterator[Line]:
    """Yield lines of the same sentences without end, shuffled in each round."""
    voices, index = VOICES[split], 0
    for round_ in count():
        order = list(enumerate(sentences))
        Random(f"{seed}/{split}/round {round_}").shuffle(order)
        for place, (text, where) in order:
            random = Random(f"{seed}/{split}/{index}")
            voice = voices[(place + round_) % len(voices)]  # another one in each round
            name = f"demo-{seed}-{split}-{index:05}"
            yield _cast(random, name, split, voice, text, where)
            index += 1


def _sentences(random: Random, split: str) -> Iterator[str]:
    while True:
        text = sentence(random)
        if _owner(text) == split:
            yield text


def deal_to_splits(text: Text) -> dict[str, list[tuple[str, str]]]:
    dealt: dict[str, list[tuple[str, str]]] = {split: [] for split in _SHARES}
    for sentence_, where in text.items():
        dealt[_owner(sentence_)].append((sentence_, where))
    return dealt


def _owner(text: str) -> str:
    """Return the split of a sentence, by a checksum: whatever the seed, no sentence is in two."""
    return {0: "dev", 1: "test"}.get(zlib.crc32(text.encode()) % 10, "train")


def _cast(random: Random, name: str, split: str, voice: str, text: str, where: str) -> Line:
    person = Random(voice)  # the same base rate and pitch whenever this voice speaks
    noisy = random.random() < 0.4
    return Line(
        id=name,
        split=split,
        voice=voice,
        text=text,
        where=where,
        rate=round(person.uniform(200, 240) * random.uniform(0.92, 1.08)),
        pitch=round(person.uniform(42, 58) + random.uniform(-6, 6)),
        pitch_range=round(person.uniform(40, 65) + random.uniform(-10, 10)),
        peak=10 ** (random.uniform(-20, -1) / 20),
        snr=random.uniform(15, 30) if noisy else random.uniform(45, 60),
        pink=random.random() < 0.5,
        noise_seed=random.getrandbits(32),
    )
