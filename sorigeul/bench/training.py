"""Benchmark suite "training": training steps against a plain one, and a preset from files on."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from sorigeul.bench.machine import device_type, matrix_rate
from sorigeul.bench.measurements import Measurement, Point, Target
from sorigeul.bench.output import quiet
from sorigeul.bench.plain_las import PlainLAS, plain_step_seconds, random_batch
from sorigeul.bench.synthetic import CHARACTERS_PER_SECOND, synthetic_corpus
from sorigeul.bench.timing import fastest_seconds
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.losses import joint_losses
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import train
from sorigeul.training.settings import Settings

_SEED_BATCH = (8, 5.6, 38)
"""utterances, seconds and characters of each, of a step of the seed's model"""


def measure_training() -> Iterator[Measurement]:
    """Measure single steps of the seed's model, and a whole training of a preset."""
    yield from _measure_seed_steps()
    yield from _measure_durations()
    yield from _measure_preset("small")


def _measure_seed_steps() -> Iterator[Measurement]:
    """Measure a step of the seed's model, against the same step written plainly in float32."""
    device, config = device_type(), LASConfig.seed(80)
    plain_seconds = plain_step_seconds(config, *_SEED_BATCH, device)
    torch.manual_seed(0)
    model = ListenAttendSpell(config).to(device)
    features, tokens = random_batch(*_SEED_BATCH, device)
    plain = PlainLAS(config).to(device).take_weights(model)
    _require_equal_losses(model, plain, features, tokens)
    utterances, utterance_seconds, _ = _SEED_BATCH
    audio_seconds = utterances * utterance_seconds
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        step = training_step(model, features, tokens, dtype)
        rate_before = matrix_rate(dtype, device)
        seconds = fastest_seconds(step, 4, device)
        is_bfloat16 = dtype == torch.bfloat16
        target = Target("ratio", "at least", 8.0 if device == "cuda" else 2.5, "see the next line")
        yield Measurement(
            name=f"training step, seed, {name}",
            value=audio_seconds / seconds,
            unit="audio-s/s",
            yardstick=(
                "plain PyTorch, float32, default layout: "
                f"{audio_seconds / plain_seconds:.1f} audio-s/s"
            ),
            ratio=plain_seconds / seconds,
            targets=(target,) if is_bfloat16 else (),
        )
        # Measured twice, since other work may slow the machine for a while.
        peak_rate = max(rate_before, matrix_rate(dtype, device))
        share = _operations(step) / seconds / peak_rate
        target = Target(
            of="ratio",
            bound="at least",
            number=0.6,
            limit=(
                "time steps of the recurrent layers one after the other, and what only moves memory"
            ),
        )
        yield Measurement(
            name=f"arithmetic of that step, {name}",
            value=100 * share,
            unit="% of the machine's",
            yardstick=f"matrix product, {name}: {peak_rate / 1e9:.0f} GFLOP/s",
            ratio=share,
            targets=(target,) if is_bfloat16 and device == "cpu" else (),
        )


def _require_equal_losses(
    model: ListenAttendSpell, plain: PlainLAS, features: Tensor, tokens: Tensor
) -> None:
    """Raise RuntimeError if the yardstick does other work: with equal weights the losses differ."""
    lengths, token_lengths = _full_lengths(features, tokens)
    model.eval()
    plain.eval()
    with torch.no_grad():
        spelled = model(features, lengths, tokens)
        loss = joint_losses(model.config, spelled, tokens, token_lengths, 0.1).total
        plain_loss = plain.loss(features, tokens, 0.1)
    if not torch.isclose(loss, plain_loss, rtol=1e-4):
        raise RuntimeError(f"the yardstick's loss is {plain_loss:.6f}, the model's {loss:.6f}")


def training_step(
    model: ListenAttendSpell, features: Tensor, tokens: Tensor, dtype: torch.dtype
) -> Callable[[], object]:
    """A step as `train` does it, without what comes before and after."""
    device = features.device.type
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    lengths, token_lengths = _full_lengths(features, tokens)
    model.train()

    def step() -> None:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            spelled = model(features, lengths, tokens)
            loss = joint_losses(model.config, spelled, tokens, token_lengths, 0.1).total
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _full_lengths(features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths of a batch without padding: frames (B,), characters (B,)."""
    lengths = torch.full((len(features),), features.shape[1], device=features.device)
    token_lengths = torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
    return lengths, token_lengths


def _operations(step: Callable[[], object]) -> int:
    """Multiplications and additions in the matrix products and convolutions of a step."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def _measure_durations() -> Iterator[Measurement]:
    """Measure whether a second of audio costs as much in long utterances as in short ones."""
    device, utterances = device_type(), 4
    model = ListenAttendSpell(LASConfig.seed(80)).to(device)
    rate_of_shortest = 0.0
    for duration in (2, 5, 10, 20, 30):
        characters = round(duration * CHARACTERS_PER_SECOND)
        features, tokens = random_batch(utterances, duration, characters, device)
        step = training_step(model, features, tokens, torch.bfloat16)
        rate = utterances * duration / fastest_seconds(step, 2, device)
        rate_of_shortest = rate_of_shortest or rate
        yield Measurement(
            name=f"training step, seed, bfloat16, {utterances} utterances of {duration} s",
            value=rate,
            unit="audio-s/s",
            yardstick=f"of 2 s: {rate_of_shortest:.1f} audio-s/s",
            ratio=rate / rate_of_shortest,
            point=Point("training", "seed, bfloat16", duration),
        )


def _measure_preset(name: str) -> Iterator[Measurement]:
    """Measure a training of a preset, from files to steps, on synthetic recordings."""
    settings = Settings.preset(name)
    plain_config = replace(
        settings.model,
        score_function="self",
        ctc_weight=0.0,
        guide_weight=0.0,
        vocabulary_size=2040,
    )
    utterances, utterance_seconds = settings.data.batch_size, 3.2
    plain_seconds = plain_step_seconds(
        plain_config, utterances, utterance_seconds, 15, device_type()
    )
    plain_rate = utterances * utterance_seconds / plain_seconds
    with tempfile.TemporaryDirectory() as folder, quiet():
        corpus, run = Path(folder, "corpus"), Path(folder, "run")
        synthetic_corpus(corpus, utterances=320)
        train(corpus, run, settings.changed({"max_epochs": 4, "seed": 1}, "bench"))
        last_epoch = read_metrics(run, "epoch")[-1]
    rate = float(last_epoch["audio_seconds_per_second"])
    limit = "its recurrent layers are wide for accuracy's sake, and most of the arithmetic"
    yield Measurement(
        name=f"training, preset {name}, from files on",
        value=rate,
        unit="audio-s/s",
        yardstick=(
            f"a plain step of its size, without files, CTC and masks: {plain_rate:.0f} audio-s/s"
        ),
        ratio=rate / plain_rate,
        targets=(Target("value", "at least", 150, limit),) if device_type() == "cpu" else (),
    )
    yield Measurement(
        name="of which waiting for batches",
        value=100 * float(last_epoch["waiting_share"]),
        unit="%",
        targets=(Target("value", "at most", 5, "decoding in the training process"),),
    )
