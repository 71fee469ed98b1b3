"""Benchmark suite "loading": decoding of files, batches, and the start of a training."""

import json
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import soundfile

from sorigeul.bench.measurements import Measurement, Point, Target
from sorigeul.bench.output import quiet
from sorigeul.bench.synthetic import synthetic_corpus, synthetic_recordings
from sorigeul.bench.timing import fastest_seconds
from sorigeul.bench.yardsticks import decoding_rate
from sorigeul.data import manifests
from sorigeul.data.config import DataConfig
from sorigeul.data.sampling import ProcessShare, training_batches
from sorigeul.data.statistics import manifest_statistics, too_fast_for_ctc
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.text.vocabulary import Vocabulary

_CORPUS_SIZES = (10_000, 100_000, 300_000, 622_545)  # utterances; the last is KsponSpeech's size


def measure_loading() -> Iterator[Measurement]:
    """Measure decoding, batches, and what happens before the first batch of a training."""
    yield from _measure_decoding()
    yield from _measure_batches()
    yield from _measure_training_start()


def _measure_decoding() -> Iterator[Measurement]:
    """Measure the decoding of FLAC, against libsndfile alone."""
    with tempfile.TemporaryDirectory() as folder:
        paths = synthetic_recordings(Path(folder), 120)
        audio_seconds = sum(soundfile.info(path).duration for path in paths)
        libsndfile_rate = decoding_rate(paths)
        seconds = fastest_seconds(lambda: [audio.load(path) for path in paths], 3)
    yield Measurement(
        name="decoding FLAC, one core",
        value=audio_seconds / seconds,
        unit="times real time",
        yardstick=f"libsndfile alone: {libsndfile_rate:.0f} times real time",
        ratio=audio_seconds / seconds / libsndfile_rate,
    )


def _measure_batches() -> Iterator[Measurement]:
    """Measure how fast one core loads batches, which limits how fast any GPU can train."""
    configs = {
        "as they are": DataConfig(use_augment=False, num_workers=0),
        "at three speeds": DataConfig(use_augment=False, num_workers=0, speed_perturbation=True),
    }
    utterances = 320
    with tempfile.TemporaryDirectory() as folder:
        for file_format, suffix in (("PCM", ".pcm"), ("FLAC", ".flac")):
            corpus = Path(folder, file_format)
            with quiet():
                synthetic_corpus(corpus, utterances, suffix)
            cuts = manifests.required_manifest(corpus, "train")
            vocabulary = Vocabulary.from_characters(
                manifest_statistics(cuts).characters, "syllable", 1
            )
            for speeds, config in configs.items():
                batches = training_batches(cuts, vocabulary, config, 0)
                audio_seconds = sum(int(batch.lengths.sum()) for batch in batches) / SAMPLE_RATE
                yield Measurement(
                    name=f"batches of {file_format} {speeds}, one core",
                    value=audio_seconds / fastest_seconds(partial(list, batches), 3),
                    unit="audio-s/s",
                )
        # Every process draws the batches of all processes and decodes its share of them, so more
        # processes do not draw faster.
        config = DataConfig(num_workers=0, speed_perturbation=True)
        batches = training_batches(cuts, vocabulary, config, 0)
        drawn_utterances = 2 * utterances  # each once more, with SpecAugment
        yield Measurement(
            name="drawing of batches, however many processes",
            value=drawn_utterances / fastest_seconds(partial(list, batches.sampler), 3),
            unit="utterances/s",
        )


def _measure_training_start() -> Iterator[Measurement]:
    """Measure what a training does before its first batch, in corpora up to KsponSpeech's size."""
    with tempfile.TemporaryDirectory() as folder:
        prepared, corpus = Path(folder, "prepared"), Path(folder, "corpus")
        with quiet():
            synthetic_corpus(prepared, utterances=100)
        cut = json.loads((prepared / "train.jsonl").read_text(encoding="utf-8").partition("\n")[0])
        before_id, after_id = json.dumps({**cut, "id": "@"}).split("@", 1)
        corpus.mkdir()
        for size in _CORPUS_SIZES:
            with (corpus / "train.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(f"{before_id}{number}{after_id}\n" for number in range(size))
            start = time.perf_counter()
            _draw_first_batch(corpus)
            seconds = time.perf_counter() - start
            is_largest = size == _CORPUS_SIZES[-1]
            yield Measurement(
                name=f"start of a training on {size:,} utterances",
                value=seconds,
                unit="s",
                targets=(Target("value", "at most", 30, "reading JSON"),) if is_largest else (),
                point=Point("corpus", "to the first batch", size),
            )


def _draw_first_batch(corpus: Path) -> None:
    """Everything that a training does before the first batch is decoded."""
    cuts = manifests.required_manifest(corpus, "train")
    vocabulary = Vocabulary.from_characters(manifest_statistics(cuts).characters, "syllable", 1)
    list(too_fast_for_ctc(cuts, vocabulary, 12.5))
    batches = training_batches(cuts, vocabulary, DataConfig(), 0, ProcessShare(0, 1))
    next(iter(batches.sampler))
