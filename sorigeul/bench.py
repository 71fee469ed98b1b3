"""Measures the package against yardsticks in the same run, on the same work.

A figure is a number, its unit, what it is compared with and the ratio to it (above 1: better). The
suites can be run alone; the report rewrites the tables of `BENCHMARKS.md` and draws its plots.
"""

import contextlib
import copy
import io
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from sorigeul import audio, checkpoint, corpora, data, decode
from sorigeul.audio import SAMPLE_RATE
from sorigeul.data import DataConfig, Share
from sorigeul.errors import UserError
from sorigeul.features import FeatureConfig, LogMel
from sorigeul.figures import Figure, Point, Target
from sorigeul.files import write_text
from sorigeul.journal import read_metrics
from sorigeul.model import inference
from sorigeul.model.las import LASConfig, ListenAttendSpell
from sorigeul.settings import Settings
from sorigeul.train import train
from sorigeul.vocabulary import Vocabulary
from sorigeul.yardsticks import (
    PlainLAS,
    Whisper,
    best,
    decoding_rate,
    librosa_log_mel,
    matrix_rate,
    memory_rate,
    plain_step_seconds,
    random_batch,
)

Suite = Literal["training", "features", "decoding", "loading", "startup"]
SUITES: tuple[Suite, ...] = get_args(Suite)

_CHARACTERS_A_SECOND = 6.8  # KsponSpeech's speakers
_SEED_BATCH, _SEED_SECONDS, _SEED_CHARACTERS = 8, 5.6, 38
_CORPUS_SIZES = (10_000, 100_000, 300_000, 622_545)  # the last is KsponSpeech's
_LENGTHS = (2, 5, 10, 30)  # seconds of the recordings that are recognised


def bench(suites: Sequence[Suite] = SUITES) -> Iterator[Figure]:
    """Measure the suites, one figure after the other. Some minutes on two cores.

    Raises UserError where a yardstick is not installed.
    """
    work: dict[Suite, Callable[[], Iterator[Figure]]] = {
        "training": _training, "features": _features, "decoding": _decoding,
        "loading": _loading, "startup": _startup,
    }  # fmt: skip
    yield from _machine()
    for suite in suites:
        try:
            yield from work[suite]()
        except ModuleNotFoundError as error:
            raise UserError(
                f"{error.name} is what '{suite}' is compared with, and is not installed: "
                "pip install 'sorigeul[bench]'"
            ) from error


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _machine() -> Iterator[Figure]:
    """What everything else has to be seen against."""
    device = _device()
    for kind in (torch.float32, torch.bfloat16):
        name = str(kind).removeprefix("torch.")
        yield Figure(f"matrix product, {name}", matrix_rate(kind, device) / 1e9, "GFLOP/s")
    yield Figure("memory, copy", memory_rate(device) / 1e9, "GB/s")


# Training.


def _training() -> Iterator[Figure]:
    yield from _seed_step()
    yield from _growing_audio()
    yield from _preset("small")


def _seed_step() -> Iterator[Figure]:
    """A step of the printed model against the same step written plainly, in float32."""
    device, work = _device(), (_SEED_BATCH, _SEED_SECONDS, _SEED_CHARACTERS)
    config = LASConfig.seed(80)
    plainly = plain_step_seconds(config, *work, device)
    torch.manual_seed(0)
    model = ListenAttendSpell(config).to(device)
    batch = random_batch(*work, device)
    _agree(model, PlainLAS(config).to(device).take_weights(model), *batch)
    seconds = _SEED_BATCH * _SEED_SECONDS
    yardstick = f"plain PyTorch, float32, default layout: {seconds / plainly:.1f} audio-s/s"
    for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        step, before = _training_step(model, *batch, kind), matrix_rate(kind, device)
        took = best(step, 4, device)
        half = kind == torch.bfloat16
        least = Target("ratio", "at least", 8.0 if device == "cuda" else 2.5, "see the next line")
        yield Figure(
            f"training step, seed, {name}", seconds / took, "audio-s/s", yardstick, plainly / took,
            (least,) if half else (),
        )  # fmt: skip
        limit = max(before, matrix_rate(kind, device))  # the machine may be busy for a while
        share = _operations(step) / took / limit
        steps = "time steps of the recurrent layers one after the other, and what only moves memory"
        yield Figure(
            f"arithmetic of that step, {name}", 100 * share, "% of the machine's",
            f"matrix product, {name}: {limit / 1e9:.0f} GFLOP/s", share,
            (Target("ratio", "at least", 0.6, steps),) if half and device == "cpu" else (),
        )  # fmt: skip


def _agree(model: ListenAttendSpell, plain: PlainLAS, features: Tensor, tokens: Tensor) -> None:
    """The yardstick must do the same work: with one set of weights, one loss."""
    lengths = torch.full((len(features),), features.shape[1], device=features.device)
    amounts = torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
    model.eval()
    plain.eval()
    with torch.no_grad():
        ours = model.losses(model(features, lengths, tokens), tokens, amounts, 0.1).total
        theirs = plain.loss(features, tokens, 0.1)
    if not torch.isclose(ours, theirs, rtol=1e-4):
        raise RuntimeError(f"the yardstick's loss is {theirs:.6f}, the model's {ours:.6f}")


def _training_step(
    model: ListenAttendSpell, features: Tensor, tokens: Tensor, kind: torch.dtype
) -> Callable[[], object]:
    """A step as `train` does it, without what comes before and after."""
    device = features.device.type
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    lengths = torch.full((len(features),), features.shape[1], device=device)
    amounts = torch.full((len(tokens),), tokens.shape[1], device=device)
    model.train()

    def step() -> None:
        with torch.autocast(device, kind, enabled=kind != torch.float32):
            spelled = model(features, lengths, tokens)
            loss = model.losses(spelled, tokens, amounts, 0.1).total
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _operations(step: Callable[[], object]) -> int:
    """Multiplications and additions of the matrix products and convolutions of a step."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def _growing_audio() -> Iterator[Figure]:
    """Whether a training step costs as much a second of audio in long utterances as in short."""
    device, batch = _device(), 4
    model = ListenAttendSpell(LASConfig.seed(80)).to(device)
    short = 0.0
    for seconds in (2, 5, 10, 20, 30):
        text = round(seconds * _CHARACTERS_A_SECOND)
        step = _training_step(model, *random_batch(batch, seconds, text, device), torch.bfloat16)
        rate = batch * seconds / best(step, 2, device)
        short = short or rate
        yield Figure(
            f"training step, seed, bfloat16, {batch} utterances of {seconds} s", rate,
            "audio-s/s", f"of 2 s: {short:.1f} audio-s/s", rate / short,
            point=Point("training", "seed, bfloat16", seconds),
        )  # fmt: skip


def _preset(name: str) -> Iterator[Figure]:
    """The whole way of a preset: files, batches, features, steps, on synthetic recordings."""
    settings = Settings.preset(name)
    alike = replace(
        settings.model, score_function="self", ctc_weight=0.0, guide_weight=0.0,
        vocabulary_size=2040,
    )  # fmt: skip
    rows, seconds = settings.data.batch_size, 3.2
    plain_rate = rows * seconds / plain_step_seconds(alike, rows, seconds, 15, _device())
    with tempfile.TemporaryDirectory() as folder, _quietly():
        corpus, run = Path(folder, "corpus"), Path(folder, "run")
        _synthetic_corpus(corpus, utterances=320)
        train(corpus, run, settings.changed({"max_epochs": 4, "seed": 1}, "bench"))
        epoch = read_metrics(run, "epoch")[-1]
    rate = float(epoch["audio_seconds_per_second"])
    wide = "its recurrent layers are wide for accuracy's sake, and most of the arithmetic"
    yield Figure(
        f"training, preset {name}, from files on", rate, "audio-s/s",
        f"a plain step of its size, without files, CTC and masks: {plain_rate:.0f} audio-s/s",
        rate / plain_rate, (Target("value", "at least", 150, wide),) if _device() == "cpu" else (),
    )  # fmt: skip
    yield Figure(
        "of which waiting for batches", 100 * float(epoch["waiting_share"]), "%",
        targets=(Target("value", "at most", 5, "decoding in the training process"),),
    )  # fmt: skip


# Features.


def _features() -> Iterator[Figure]:
    """Log-mel spectrograms on one core, against librosa's, an utterance at a time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds, config = 5, FeatureConfig(normalization="none")
        samples = _noise(seconds)
        ours = LogMel(config)
        waveform, length = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
        expected = librosa_log_mel(samples, config.n_mels).T
        found = ours(waveform, length)[0][0].numpy() * (10 / np.log(10))  # nepers to decibels
        if not np.allclose(found, expected, atol=1e-2):
            raise RuntimeError("our features are not librosa's")
        normalized = LogMel(FeatureConfig())
        took = best(lambda: normalized(waveform, length), 20)
        theirs = best(lambda: librosa_log_mel(samples, config.n_mels), 20)
    finally:
        torch.set_num_threads(threads)
    rate = seconds / took
    yield Figure(
        "features, one core", rate, "times real time",
        f"librosa: {seconds / theirs:.0f} times real time", theirs / took,
        (
            Target("value", "at least", 2000, "the Fourier transform"),
            Target("ratio", "at least", 15, "both are near the time of the Fourier transform"),
        ),
    )  # fmt: skip


# Decoding.


def _decoding() -> Iterator[Figure]:
    """Real-time factors of greedy recognition, one recording at a time and in batches."""
    device = _device()
    torch.manual_seed(0)
    seed = ListenAttendSpell(LASConfig.seed(80)).eval().to(device)
    plain = PlainLAS(seed.config).take_weights(seed.cpu()).eval().to(device)
    seed.to(device)
    precisions: dict[str, ListenAttendSpell] = {"float32": inference.lay_out(copy.deepcopy(seed))}
    if device == "cpu":
        precisions["int8"] = inference.quantize(copy.deepcopy(seed))
    precisions["bfloat16"] = copy.deepcopy(seed)
    whispers = {size: Whisper(size, device) for size in Whisper.SIZES}
    log_mel = LogMel(FeatureConfig()).to(device)
    for seconds in _LENGTHS:
        yield from _recognitions(seconds, plain, precisions, whispers, log_mel)


def _recognitions(
    seconds: int,
    plain: PlainLAS,
    precisions: Mapping[str, ListenAttendSpell],
    whispers: Mapping[str, Whisper],
    log_mel: LogMel,
) -> Iterator[Figure]:
    """Recognition of one recording by everything there is, each with output of one length."""
    device, samples = _device(), _noise(seconds)
    waveform = torch.from_numpy(samples)[None].to(device)
    length = torch.tensor([len(samples)], device=device)
    text = round(seconds * _CHARACTERS_A_SECOND)
    base = 0.0
    for size, whisper in whispers.items():
        base = best(partial(whisper.recognize, samples, text), 2, device)
        yield _recognition(f"Whisper {size}", seconds, base)
    took = best(lambda: plain.recognize(log_mel(waveform, length)[0], text), 3, device)
    yield _recognition("seed, plain PyTorch", seconds, took)

    def recognize(model: ListenAttendSpell, ends: _EndsAfter) -> None:
        ends.step = 0
        (found,) = decode.greedy(model, model.listen(*log_mel(waveform, length)))
        if len(found.tokens) != text:
            raise RuntimeError(f"{len(found.tokens)} characters came out instead of {text}")

    for name, model in precisions.items():
        ends = _EndsAfter.put_into(model, text)
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, name == "bfloat16"):
            took = best(partial(recognize, model, ends), 5, device)
        yield _recognition(f"seed, {name}", seconds, took, base)


def _recognition(name: str, seconds: int, took: float, whisper_base: float = 0.0) -> Figure:
    """The real-time factor of `name`; ours is compared with Whisper base."""
    reading = "the speller's weights come from memory anew for every character"
    targets: tuple[Target, ...] = ()
    factor = {"seed, float32": 0.02, "seed, int8": 0.012}.get(name)
    if factor is not None and seconds == 5 and _device() == "cpu":
        targets = (
            Target("value", "at most", factor, reading), Target("ratio", "at least", 15, reading),
        )  # fmt: skip
    return Figure(
        f"recognition of {seconds} s: {name}", took / seconds, "of real time",
        f"Whisper base: {whisper_base / seconds:.3f}" if whisper_base else "",
        whisper_base / took if whisper_base else None, targets,
        Point("recognition", name, seconds),
    )  # fmt: skip


class _EndsAfter(nn.Module):
    """The speller's output layer with the end mark after so many characters, and never before."""

    def __init__(self, out: nn.Module, characters: int, eos_id: int) -> None:
        super().__init__()
        self.out, self.characters, self.eos_id, self.step = out, characters, eos_id, 0

    @classmethod
    def put_into(cls, model: ListenAttendSpell, characters: int) -> "_EndsAfter":
        out = model.speller.out
        ends = cls(out.out if isinstance(out, cls) else out, characters, model.config.eos_id)
        model.speller.out = ends  # type: ignore[assignment]
        return ends

    def forward(self, merged: Tensor) -> Tensor:
        logits: Tensor = self.out(merged)
        logits[..., self.eos_id] = 1e4 if self.step == self.characters else -1e4
        self.step += 1
        return logits


# Loading.


def _loading() -> Iterator[Figure]:
    """Decoding of FLAC against the bare decoder, batches, and what a corpus costs at first."""
    with tempfile.TemporaryDirectory() as folder:
        files = _recordings(Path(folder), 120)
        seconds = sum(soundfile.info(file).duration for file in files)
        bare = decoding_rate(files)
        took = best(lambda: [audio.load(file) for file in files], 3)
    yield Figure(
        "decoding FLAC, one core", seconds / took, "times real time",
        f"libsndfile alone: {bare:.0f} times real time", seconds / took / bare,
    )  # fmt: skip
    yield from _batches()
    yield from _growing_corpus()


def _batches() -> Iterator[Figure]:
    """What one core makes ready for a training, which bounds what any GPU can learn from."""
    ways = {
        "as they are": DataConfig(use_augment=False, num_workers=0),
        "at three speeds": DataConfig(use_augment=False, num_workers=0, speed_perturbation=True),
    }
    utterances = 320
    with tempfile.TemporaryDirectory() as folder:
        for kind, suffix in (("PCM", ".pcm"), ("FLAC", ".flac")):
            corpus = Path(folder, kind)
            with _quietly():
                _synthetic_corpus(corpus, utterances, suffix)
            cuts = data.required_manifest(corpus, "train")
            vocabulary = Vocabulary.from_characters(data.survey(cuts).characters, "syllable", 1)
            for way, config in ways.items():
                batches = data.training_batches(cuts, vocabulary, config, 0)
                seconds = sum(int(batch.lengths.sum()) for batch in batches) / SAMPLE_RATE
                rate = seconds / best(partial(list, batches), 3)
                yield Figure(f"batches of {kind} {way}, one core", rate, "audio-s/s")
        # Every process draws the batches of all and decodes its share: more of them draw no faster.
        config = DataConfig(num_workers=0, speed_perturbation=True)  # and a copy of each
        batches = data.training_batches(cuts, vocabulary, config, 0)
        rate = 2 * utterances / best(partial(list, batches.sampler), 3)
        yield Figure("drawing of batches, however many processes", rate, "utterances/s")


def _growing_corpus() -> Iterator[Figure]:
    """What a training does before its first batch, in corpora up to KsponSpeech's size."""
    with tempfile.TemporaryDirectory() as folder:
        prepared, corpus = Path(folder, "prepared"), Path(folder, "corpus")
        with _quietly():
            _synthetic_corpus(prepared, utterances=100)
        cut = json.loads((prepared / "train.jsonl").read_text(encoding="utf-8").partition("\n")[0])
        before, after = json.dumps({**cut, "id": "@"}).split("@", 1)
        corpus.mkdir()
        for count in _CORPUS_SIZES:
            with (corpus / "train.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(f"{before}{number}{after}\n" for number in range(count))
            start = time.perf_counter()
            _first_batch(corpus)
            last = count == _CORPUS_SIZES[-1]
            yield Figure(
                f"start of a training on {count:,} utterances", time.perf_counter() - start, "s",
                targets=(Target("value", "at most", 30, "reading JSON"),) if last else (),
                point=Point("corpus", "to the first batch", count),
            )  # fmt: skip


def _first_batch(corpus: Path) -> None:
    """All that comes before the first batch is decoded."""
    cuts = data.required_manifest(corpus, "train")
    vocabulary = Vocabulary.from_characters(data.survey(cuts).characters, "syllable", 1)
    list(data.infeasible(cuts, vocabulary, 12.5))
    batches = data.training_batches(cuts, vocabulary, DataConfig(), 0, Share(0, 1))
    next(iter(batches.sampler))


# Start-up.


def _startup() -> Iterator[Figure]:
    """Process start to text, and to help, against importing PyTorch alone."""
    command = [sys.executable, "-m", "sorigeul"]
    torch_alone = best(_runs([sys.executable, "-c", "import torch"]), 3)
    with tempfile.TemporaryDirectory() as folder:
        units = [chr(0xAC00 + number) for number in range(2000)]
        vocabulary = Vocabulary.from_texts(units, "syllable", 1)
        model = ListenAttendSpell(LASConfig.seed(80, len(vocabulary)))
        pretrained = checkpoint.Pretrained(model, FeatureConfig(), vocabulary, "plain/1", {})
        checkpoint.publish(Path(folder), pretrained)
        recording = Path(folder, "five.flac")
        soundfile.write(recording, _noise(5), SAMPLE_RATE)
        text = best(_runs([*command, "transcribe", folder, str(recording)]), 3)
    help_ = best(_runs([*command, "--help"]), 3)
    yardstick = f"python -c 'import torch': {torch_alone:.2f} s"
    yield Figure(
        "transcribe, 5 s, process start to text", text, "s", yardstick, torch_alone / text,
        (Target("value", "at most", 3, "imports"),),
    )  # fmt: skip
    yield Figure(
        "--help", help_, "s", yardstick, torch_alone / help_,
        (Target("value", "at most", 0.3, "imports"),),
    )  # fmt: skip


def _runs(command: list[str]) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)


# Synthetic recordings.


def _noise(seconds: float, seed: int = 0) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """A hum and noise that come and go as syllables do (N,)."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    loudness = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * time)
    hum = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 9))
    return (0.05 * loudness * (hum + draw.standard_normal(len(time)))).astype(np.float32)


def _recordings(folder: Path, count: int, suffix: str = ".flac") -> list[Path]:
    """Files of 1 to 9 s, as long as Pansori's utterances are."""
    seconds = np.random.default_rng(7).gamma(4.0, 0.8, count).clip(1, 9)
    files = []
    for number, length in enumerate(seconds):
        files.append(folder / f"{number:04d}{suffix}")
        form = "RAW" if suffix == ".pcm" else None
        soundfile.write(files[-1], _noise(length, number), SAMPLE_RATE, "PCM_16", format=form)
    return files


def _synthetic_corpus(out: Path, utterances: int, suffix: str = ".flac") -> None:
    """A prepared corpus of noise, with as much text as is spoken in its time."""
    draw = np.random.default_rng(3)
    sound = out / "audio"
    sound.mkdir(parents=True)
    lines = ["audio\ttext\tspeaker\tsplit"]
    for number, file in enumerate(_recordings(sound, utterances, suffix)):
        amount = max(1, round(audio.load(file).duration * _CHARACTERS_A_SECOND * 0.7))
        text = "".join(chr(0xAC00 + 28 * draw.integers(0, 399)) for _ in range(amount))
        lines.append(f"{file}\t{text}\ts{number % 10}\ttrain")
    table = out / "table.tsv"
    write_text(table, "\n".join(lines) + "\n")
    corpora.prepare("table", table, out, corpora.PrepareOptions())


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep what a training prints out of what a benchmark prints."""
    log = logging.getLogger("sorigeul")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        log.setLevel(level)
