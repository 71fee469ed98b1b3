"""The demo corpus: Korean sentences spoken by a speech synthesizer, with background noise.

The sentences are made up, or come from a text file. Nothing is downloaded. The same options give
the same bytes.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

from sorigeul.base.errors import UserError
from sorigeul.base.process_pool import cores, map_in_order
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.utterances import Corpus, Layout, Rejected, Utterance
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.synthesis.espeak import Synthesizer
from sorigeul.synthesis.passages import passages
from sorigeul.synthesis.script import Line, Text, deal_to_splits, script

_CHUNK = 8  # lines that a worker speaks at a time


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
    # Draw the script once without synthesis, so that mistakes show before anything is written.
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
        with closing(map_in_order(work, lines, cores(), _CHUNK, lambda line: line.id)) as spoken:
            for line, flac in spoken:
                path = out / "audio" / line.voice / f"{line.id}.flac"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(flac)
                yield Utterance(line.id, path, line.text, line.voice, line.split, where=line.where)


def _repetitions(counts: Counter[str], text: Text, name: str) -> Iterator[str]:
    for split, sentences in deal_to_splits(text).items():
        if sentences and counts[split] > len(sentences):
            yield (
                f"{split}: {name} has {len(sentences):,} sentences for it, said "
                f"up to {-(-counts[split] // len(sentences))} times each, by different voices"
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
    noise = random.standard_normal(
        2 ** len(speech).bit_length(), np.float32
    )  # a power of two: fast to transform
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


DEMO = Corpus("demo", read, reads_text_file=True)
