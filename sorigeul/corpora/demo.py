"""A small Korean corpus spoken by eSpeak NG. Knows voices and how to make them speak, no model.

What is said is made up, or comes from a text file. Nothing is downloaded: library and data come
with the package ``espeakng-loader`` (extra ``demo``).
The same options give the same bytes, whatever was synthesised before in the same process.
"""

import _ctypes
import ctypes
import importlib
import os
import shutil
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import count, islice
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from sorigeul.audio import SAMPLE_RATE
from sorigeul.corpora.items import Layout, PrepareOptions, Rejected, Utterance
from sorigeul.corpora.passages import passages
from sorigeul.corpora.pool import cores, in_order
from sorigeul.corpora.sentences import sentence
from sorigeul.errors import UserError

Samples = npt.NDArray[np.float32]

VOICES: dict[str, tuple[str, ...]] = {
    "train": (
        *("Alex", "Andrea", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Mario", "Michael"),
        *("Mike", "Storm", "adam", "anika", "aunty", "benjamin", "david", "ed", "edward2"),
        *("f3", "f4", "f5", "grandma", "grandpa", "gustave", "iven", "iven2", "iven3", "iven4"),
        *("john", "klatt3", "klatt4", "klatt5", "klatt6", "linda", "m1", "m3", "m5", "m6", "m7"),
        *("m8", "marcelo", "max", "michel", "miguel", "mike2", "paul", "pedro"),
        *("steph", "steph2", "steph3"),
    ),
    "dev": ("Denis", "f1", "pablo", "quincy", "victor"),
    "test": ("Annie", "Nguyen", "antonio", "belinda", "edward", "f2", "m2", "m4", "rob", "robert"),
}
"""The variants of eSpeak NG that speak, by split.

Left out are those that whisper or croak, the robots, the strong echoes, those whose formants lie
off a human's (``kaukovalta``, ``zac``, ``Tweaky`` ...), and ``Reed``, whose breath no seed reaches.
Some of the rest are near twins, such as ``rob`` and ``robert``: no voice of dev or test has its
twin in train.
"""

_SHARES = {"train": 0.85, "dev": 0.05, "test": 0.1}
"""Of the utterances or of the hours."""
_UTTERANCES = 3000
_LEAST_EXAMPLES = 3
"""How often train holds each syllable of dev and test, at the least, if sentences are made up."""
_CHUNK = 8  # lines that a process speaks before it answers

Text = Mapping[str, str]
"""Sentences to say, and where each stands."""


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Synthesise utterances under ``out/audio/<voice>/``, 16 kHz FLAC, on all cores.

    ``options`` say how many or how long, and which file the sentences are from. A tenth is test and
    a twentieth dev. Voices and sentences of one split occur in no other.
    """
    if source is not None:
        raise UserError(
            f"{source}: the demo corpus reads no source, it is synthesised; leave it out"
        )
    name = options.text_file
    text, rejected = passages(Path(name)) if name else ({}, [])
    # Once without a voice: mistakes show before anything is written.
    counts = Counter(line.split for line in script(options, text))
    with Synthesizer() as synthesizer:
        yield Layout(
            f"speech synthesis by eSpeak NG {synthesizer.version}",
            notes=tuple(_repetitions(counts, text, name)),
            items=counts.total() + len(rejected),
        )
        yield from rejected
        work = partial(_flac, synthesizer)
        lines = script(options, text)
        with closing(in_order(work, lines, cores(), _CHUNK, lambda line: line.id)) as spoken:
            for line, flac in spoken:
                path = out / "audio" / line.voice / f"{line.id}.flac"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(flac)
                yield Utterance(line.id, path, line.text, line.voice, line.split, where=line.where)


def _repetitions(counts: Counter[str], text: Text, name: str) -> Iterator[str]:
    for split, sentences in _dealt(text).items():
        if sentences and counts[split] > len(sentences):
            yield (
                f"{split}: {name} has {len(sentences):,} sentences for it, said "
                f"up to {-(-counts[split] // len(sentences))} times each, by different voices"
            )


@dataclass(frozen=True)
class Line:
    """One line of the script: who says what, and how it is to sound."""

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
    """Of full scale."""
    snr: float
    """dB of speech over background noise."""
    pink: bool
    noise_seed: int

    @property
    def seconds(self) -> float:
        """How long it will be: right on average over the voices, within a tenth for each."""
        return 0.45 + 30 / self.rate * len(self.text.replace(" ", ""))


def script(options: PrepareOptions, text: Text | None = None) -> Iterator[Line]:
    """Draw what is said, by whom and how: train, then dev, then test.

    Without a ``text`` sentences are made up, and none comes twice. With one each is said once, then
    each again in another voice, and so on.

    Raises:
        UserError: if there is too little for a split.
    """
    dealt = _dealt(text or {})
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
    """Endless lines of sentences made up that are not yet ``said``; ``known`` counts train's."""
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
        yield _cast(random, split, index, voice, text, seed)


def _recital(split: str, sentences: list[tuple[str, str]], seed: int) -> Iterator[Line]:
    """Endless lines of the same sentences, shuffled in each round."""
    voices, index = VOICES[split], 0
    for round_ in count():
        order = list(enumerate(sentences))
        Random(f"{seed}/{split}/round {round_}").shuffle(order)
        for place, (text, where) in order:
            random = Random(f"{seed}/{split}/{index}")
            voice = voices[(place + round_) % len(voices)]  # another one in each round
            yield _cast(random, split, index, voice, text, seed, where)
            index += 1


def _sentences(random: Random, split: str) -> Iterator[str]:
    while True:
        text = sentence(random)
        if _owner(text) == split:
            yield text


def _dealt(text: Text) -> dict[str, list[tuple[str, str]]]:
    dealt: dict[str, list[tuple[str, str]]] = {split: [] for split in _SHARES}
    for sentence_, where in text.items():
        dealt[_owner(sentence_)].append((sentence_, where))
    return dealt


def _owner(text: str) -> str:
    """The split of a sentence: by a checksum, whatever the seed, so that none is in two."""
    return {0: "dev", 1: "test"}.get(zlib.crc32(text.encode()) % 10, "train")


def _cast(
    random: Random, split: str, index: int, voice: str, text: str, seed: int, where: str = ""
) -> Line:
    person = Random(voice)  # the same base rate and pitch whenever this voice speaks
    noisy = random.random() < 0.4
    name = f"demo-{seed}-{split}-{index:05}"
    return Line(
        id=name,
        split=split,
        voice=voice,
        text=text,
        where=where or name,
        rate=round(person.uniform(200, 240) * random.uniform(0.92, 1.08)),
        pitch=round(person.uniform(42, 58) + random.uniform(-6, 6)),
        pitch_range=round(person.uniform(40, 65) + random.uniform(-10, 10)),
        peak=10 ** (random.uniform(-20, -1) / 20),
        snr=random.uniform(15, 30) if noisy else random.uniform(45, 60),
        pink=random.random() < 0.5,
        noise_seed=random.getrandbits(32),
    )


def _flac(synthesizer: "Synthesizer", line: Line) -> bytes:
    file = BytesIO()
    samples = _record(synthesizer, line)
    soundfile.write(file, samples, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    return file.getvalue()


def _record(synthesizer: "Synthesizer", line: Line) -> Samples:
    speech = synthesizer.speak(line.text, line.voice, line.rate, line.pitch, line.pitch_range)
    random = np.random.default_rng(line.noise_seed)
    before, after = random.uniform(0.08, 0.25, size=2)
    speech = _trim(speech, before, after)
    noise = random.standard_normal(2 ** len(speech).bit_length(), np.float32)  # quick to transform
    if line.pink:
        spectrum = np.fft.rfft(noise)
        noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))))
    noise = noise[: len(speech)]
    noise *= np.sqrt(np.mean(speech**2) / np.mean(noise**2)) * 10 ** (-line.snr / 20)
    mixed = speech + noise
    return np.asarray(mixed * (line.peak / np.abs(mixed).max()), np.float32)


def _trim(samples: Samples, before: float, after: float) -> Samples:
    """The part above -40 dB of its peak, with ``before`` and ``after`` seconds around it."""
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    lead, tail = round(before * SAMPLE_RATE), round(after * SAMPLE_RATE)
    padded = np.pad(samples, (lead, tail))
    return padded[loud[0] : loud[-1] + 1 + lead + tail]


# Of espeak-ng/speak_lib.h.
_LIBRARY_RATE = 22_050
_SYNCHRONOUS, _DO_NOT_EXIT, _UTF8 = 2, 0x8000, 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_HALF_VOLUME = 50  # at the default of 100 some variants clip
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
    )


class Synthesizer:
    """eSpeak NG speaking Korean, as a context manager. For one thread at a time.

    The library is one set of global variables, and one of them (the phase of the pitch flutter)
    outlives even ``espeak_Terminate``: what was said before would change what is said next. So a
    private copy of the library is loaded afresh for each utterance, which costs a millisecond and
    leaves alone whoever else in this process uses the library.

    Raises:
        UserError: if ``espeakng-loader`` is not installed, or its data are not usable.
    """

    def __init__(self) -> None:
        try:
            loader = importlib.import_module("espeakng_loader")
        except ImportError:
            raise UserError(
                "the demo corpus needs the package espeakng-loader: pip install 'sorigeul[demo]'"
            ) from None
        self._folder = tempfile.TemporaryDirectory(prefix="sorigeul-")
        here = Path(self._folder.name)
        self._library = str(shutil.copy(loader.get_library_path(), here))
        # Copied too, since the library cuts paths at 160 bytes.
        self._data = shutil.copytree(loader.get_data_path(), here / "data", ignore=_other_languages)
        with self._loaded() as library:
            library.espeak_Info.restype = ctypes.c_char_p
            self.version: str = library.espeak_Info(None).decode()

    def __enter__(self) -> "Synthesizer":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def speak(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int) -> Samples:
        """Say ``text`` with the variant ``voice``: float32 ``(N,)`` at 16 kHz, in [-1, 1].

        ``rate`` is in words a minute (80 to 450); ``pitch`` and ``pitch_range`` go from 0 to 100,
        50 leaving the voice as it is. The same arguments give the same samples.

        Raises:
            UserError: if there is no such voice.
        """
        pieces: list[bytes] = []

        def collect(samples: int | None, count: int, _events: int | None) -> int:
            if samples:
                pieces.append(ctypes.string_at(samples, 2 * count))
            return 0

        callback = _CALLBACK(collect)  # a name, so that it outlives the call into C

        with self._loaded() as library:
            library.espeak_SetSynthCallback(callback)
            self._choose(library, voice)
            library.espeak_SetParameter(_VOLUME, _HALF_VOLUME, 0)
            library.espeak_SetParameter(_RATE, rate, 0)
            library.espeak_SetParameter(_PITCH, pitch, 0)
            library.espeak_SetParameter(_RANGE, pitch_range, 0)
            data = text.encode()
            size = ctypes.c_size_t(len(data) + 1)
            library.espeak_Synth(data, size, 0, 1, 0, _UTF8, None, None)
        samples = np.frombuffer(b"".join(pieces), np.int16).astype(np.float32) / 32768
        return np.asarray(soxr.resample(samples, _LIBRARY_RATE, SAMPLE_RATE), np.float32)

    def _choose(self, library: ctypes.CDLL, voice: str) -> None:
        library.espeak_SetVoiceByName(f"ko+{voice}".encode())
        library.espeak_GetCurrentVoice.restype = ctypes.POINTER(_Voice)
        # An unknown variant leaves the plain voice behind and still reports success.
        if library.espeak_GetCurrentVoice().contents.identifier != f"ko+{voice}".encode():
            known = sorted(path.name for path in (self._data / "voices" / "!v").iterdir())
            raise UserError(f"voice {voice!r}: unknown; choose one of {', '.join(known)}")

    @contextmanager
    def _loaded(self) -> Iterator[ctypes.CDLL]:
        try:
            library = ctypes.CDLL(self._library)
        except OSError as error:
            raise UserError(
                f"eSpeak NG does not load ({error}): set TMPDIR to a folder that may hold programs"
            ) from error
        try:
            data = os.fsencode(self._data)
            if library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DO_NOT_EXIT) != _LIBRARY_RATE:
                raise UserError(
                    "eSpeak NG does not start: pip install --force-reinstall espeakng-loader"
                )
            library.espeak_ng_SetRandSeed(ctypes.c_long(0))  # else the clock seeds it
            yield library
            library.espeak_Terminate()
        finally:
            if sys.platform == "win32":
                _ctypes.FreeLibrary(library._handle)
            else:
                _ctypes.dlclose(library._handle)


def _other_languages(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name.endswith("_dict") and name != "ko_dict"}
