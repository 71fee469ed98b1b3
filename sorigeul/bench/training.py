"""Measures the package against yardsticks in the same run, on the same work.

A figure is a number, its unit, what it is compared with and the ratio to it (above 1: better). The
suites can be run alone; the report rewrites the tables of `BENCHMARKS.md` and draws its plots.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from sorigeul.bench.machine import device_type
from sorigeul.bench.measurements import Measurement, Point, Target
from sorigeul.bench.synthetic import CHARACTERS_PER_SECOND, quiet, synthetic_corpus
from sorigeul.bench.yardsticks import (
    PlainLAS,
    fastest_seconds,
    matrix_rate,
    plain_step_seconds,
    random_batch,
)
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.losses import joint_losses
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import train
from sorigeul.training.settings import Settings

_SEED_BATCH, _SEED_SECONDS, _SEED_CHARACTERS = 8, 5.6, 38


# Training.


def measure_training() -> Iterator[Measurement]:
    yield from _seed_step()
    yield from _growing_audio()
    yield from _preset("small")


def _seed_step() -> Iterator[Measurement]:
    """A step of the printed model against the same step written plainly, in float32."""
    device, work = device_type(), (_SEED_BATCH, _SEED_SECONDS, _SEED_CHARACTERS)
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
        took = fastest_seconds(step, 4, device)
        half = kind == torch.bfloat16
        least = Target("ratio", "at least", 8.0 if device == "cuda" else 2.5, "see the next line")
        yield Measurement(
            f"training step, seed, {name}",
            seconds / took,
            "audio-s/s",
            yardstick,
            plainly / took,
            (least,) if half else (),
        )
        limit = max(before, matrix_rate(kind, device))  # the machine may be busy for a while
        share = _operations(step) / took / limit
        steps = "time steps of the recurrent layers one after the other, and what only moves memory"
        yield Measurement(
            f"arithmetic of that step, {name}",
            100 * share,
            "% of the machine's",
            f"matrix product, {name}: {limit / 1e9:.0f} GFLOP/s",
            share,
            (Target("ratio", "at least", 0.6, steps),) if half and device == "cpu" else (),
        )


def _agree(model: ListenAttendSpell, plain: PlainLAS, features: Tensor, tokens: Tensor) -> None:
    """The yardstick must do the same work: with one set of weights, one loss."""
    lengths = torch.full((len(features),), features.shape[1], device=features.device)
    amounts = torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
    model.eval()
    plain.eval()
    with torch.no_grad():
        ours = joint_losses(
            model.config, model(features, lengths, tokens), tokens, amounts, 0.1
        ).total
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
            loss = joint_losses(model.config, spelled, tokens, amounts, 0.1).total
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


def _growing_audio() -> Iterator[Measurement]:
    """Whether a training step costs as much a second of audio in long utterances as in short."""
    device, batch = device_type(), 4
    model = ListenAttendSpell(LASConfig.seed(80)).to(device)
    short = 0.0
    for seconds in (2, 5, 10, 20, 30):
        text = round(seconds * CHARACTERS_PER_SECOND)
        step = _training_step(model, *random_batch(batch, seconds, text, device), torch.bfloat16)
        rate = batch * seconds / fastest_seconds(step, 2, device)
        short = short or rate
        yield Measurement(
            f"training step, seed, bfloat16, {batch} utterances of {seconds} s",
            rate,
            "audio-s/s",
            f"of 2 s: {short:.1f} audio-s/s",
            rate / short,
            point=Point("training", "seed, bfloat16", seconds),
        )


def _preset(name: str) -> Iterator[Measurement]:
    """The whole way of a preset: files, batches, features, steps, on synthetic recordings."""
    settings = Settings.preset(name)
    alike = replace(
        settings.model,
        score_function="self",
        ctc_weight=0.0,
        guide_weight=0.0,
        vocabulary_size=2040,
    )
    rows, seconds = settings.data.batch_size, 3.2
    plain_rate = rows * seconds / plain_step_seconds(alike, rows, seconds, 15, device_type())
    with tempfile.TemporaryDirectory() as folder, quiet():
        corpus, run = Path(folder, "corpus"), Path(folder, "run")
        synthetic_corpus(corpus, utterances=320)
        train(corpus, run, settings.changed({"max_epochs": 4, "seed": 1}, "bench"))
        epoch = read_metrics(run, "epoch")[-1]
    rate = float(epoch["audio_seconds_per_second"])
    wide = "its recurrent layers are wide for accuracy's sake, and most of the arithmetic"
    yield Measurement(
        f"training, preset {name}, from files on",
        rate,
        "audio-s/s",
        f"a plain step of its size, without files, CTC and masks: {plain_rate:.0f} audio-s/s",
        rate / plain_rate,
        (Target("value", "at least", 150, wide),) if device_type() == "cpu" else (),
    )
    yield Measurement(
        "of which waiting for batches",
        100 * float(epoch["waiting_share"]),
        "%",
        targets=(Target("value", "at most", 5, "decoding in the training process"),),
    )
