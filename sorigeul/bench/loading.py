"""Measures the package against yardsticks in the same run, on the same work.

A figure is a number, its unit, what it is compared with and the ratio to it (above 1: better). The
suites can be run alone; the report rewrites the tables of `BENCHMARKS.md` and draws its plots.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import soundfile

from sorigeul.bench.measurements import Measurement, Point, Target
from sorigeul.bench.synthetic import quiet, synthetic_corpus, synthetic_recordings
from sorigeul.bench.yardsticks import (
    decoding_rate,
    fastest_seconds,
)
from sorigeul.data import manifests
from sorigeul.data.config import DataConfig, ProcessShare
from sorigeul.data.sampling import training_batches
from sorigeul.data.statistics import manifest_statistics, too_fast_for_ctc
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.text.vocabulary import Vocabulary

_CORPUS_SIZES = (10_000, 100_000, 300_000, 622_545)  # the last is KsponSpeech's


# Loading.


def measure_loading() -> Iterator[Measurement]:
    """Decoding of FLAC against the bare decoder, batches, and what a corpus costs at first."""
    with tempfile.TemporaryDirectory() as folder:
        files = synthetic_recordings(Path(folder), 120)
        seconds = sum(soundfile.info(file).duration for file in files)
        bare = decoding_rate(files)
        took = fastest_seconds(lambda: [audio.load(file) for file in files], 3)
    yield Measurement(
        "decoding FLAC, one core",
        seconds / took,
        "times real time",
        f"libsndfile alone: {bare:.0f} times real time",
        seconds / took / bare,
    )
    yield from _batches()
    yield from _growing_corpus()


def _batches() -> Iterator[Measurement]:
    """What one core makes ready for a training, which bounds what any GPU can learn from."""
    ways = {
        "as they are": DataConfig(use_augment=False, num_workers=0),
        "at three speeds": DataConfig(use_augment=False, num_workers=0, speed_perturbation=True),
    }
    utterances = 320
    with tempfile.TemporaryDirectory() as folder:
        for kind, suffix in (("PCM", ".pcm"), ("FLAC", ".flac")):
            corpus = Path(folder, kind)
            with quiet():
                synthetic_corpus(corpus, utterances, suffix)
            cuts = manifests.required_manifest(corpus, "train")
            vocabulary = Vocabulary.from_characters(
                manifest_statistics(cuts).characters, "syllable", 1
            )
            for way, config in ways.items():
                batches = training_batches(cuts, vocabulary, config, 0)
                seconds = sum(int(batch.lengths.sum()) for batch in batches) / SAMPLE_RATE
                rate = seconds / fastest_seconds(partial(list, batches), 3)
                yield Measurement(f"batches of {kind} {way}, one core", rate, "audio-s/s")
        # Every process draws the batches of all and decodes its share: more of them draw no faster.
        config = DataConfig(num_workers=0, speed_perturbation=True)  # and a copy of each
        batches = training_batches(cuts, vocabulary, config, 0)
        rate = 2 * utterances / fastest_seconds(partial(list, batches.sampler), 3)
        yield Measurement("drawing of batches, however many processes", rate, "utterances/s")


def _growing_corpus() -> Iterator[Measurement]:
    """What a training does before its first batch, in corpora up to KsponSpeech's size."""
    with tempfile.TemporaryDirectory() as folder:
        prepared, corpus = Path(folder, "prepared"), Path(folder, "corpus")
        with quiet():
            synthetic_corpus(prepared, utterances=100)
        cut = json.loads((prepared / "train.jsonl").read_text(encoding="utf-8").partition("\n")[0])
        before, after = json.dumps({**cut, "id": "@"}).split("@", 1)
        corpus.mkdir()
        for count in _CORPUS_SIZES:
            with (corpus / "train.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(f"{before}{number}{after}\n" for number in range(count))
            start = time.perf_counter()
            _first_batch(corpus)
            last = count == _CORPUS_SIZES[-1]
            yield Measurement(
                f"start of a training on {count:,} utterances",
                time.perf_counter() - start,
                "s",
                targets=(Target("value", "at most", 30, "reading JSON"),) if last else (),
                point=Point("corpus", "to the first batch", count),
            )


def _first_batch(corpus: Path) -> None:
    """All that comes before the first batch is decoded."""
    cuts = manifests.required_manifest(corpus, "train")
    vocabulary = Vocabulary.from_characters(manifest_statistics(cuts).characters, "syllable", 1)
    list(too_fast_for_ctc(cuts, vocabulary, 12.5))
    batches = training_batches(cuts, vocabulary, DataConfig(), 0, ProcessShare(0, 1))
    next(iter(batches.sampler))
