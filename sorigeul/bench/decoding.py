"""Benchmark suite "decoding": greedy recognition, against the plain model and against Whisper."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from sorigeul.bench.machine import device_type
from sorigeul.bench.measurements import Measurement, Point, Target
from sorigeul.bench.plain_las import PlainLAS
from sorigeul.bench.synthetic import CHARACTERS_PER_SECOND, synthetic_speech
from sorigeul.bench.timing import fastest_seconds
from sorigeul.bench.yardsticks import Whisper
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.search import inference
from sorigeul.search.greedy import greedy_search
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.features import LogMel

_DURATIONS = (2, 5, 10, 30)  # seconds of the recordings that are recognised


@dataclass(frozen=True)
class _Models:
    """The models that recognise the same recordings."""

    whispers: Mapping[str, Whisper]
    """by size"""
    plain: PlainLAS
    by_precision: Mapping[str, ListenAttendSpell]
    log_mel: LogMel


def measure_decoding() -> Iterator[Measurement]:
    """Measure real-time factors of greedy recognition, one recording at a time."""
    device = device_type()
    torch.manual_seed(0)
    seed = ListenAttendSpell(LASConfig.seed(80)).eval().to(device)
    plain = PlainLAS(seed.config).take_weights(seed.cpu()).eval().to(device)
    seed.to(device)
    by_precision: dict[str, ListenAttendSpell] = {
        "float32": inference.optimize_layout(copy.deepcopy(seed))
    }
    if device == "cpu":
        by_precision["int8"] = inference.quantize(copy.deepcopy(seed))
    by_precision["bfloat16"] = copy.deepcopy(seed)
    whispers = {size: Whisper(size, device) for size in Whisper.SIZES}
    log_mel = LogMel(FeatureConfig()).to(device)
    models = _Models(whispers, plain, by_precision, log_mel)
    for duration in _DURATIONS:
        yield from _measure_models(models, duration)


def _measure_models(models: _Models, duration: int) -> Iterator[Measurement]:
    """Measure how long every model takes for one recording; all write equally many characters."""
    device, samples = device_type(), synthetic_speech(duration)
    waveform = torch.from_numpy(samples)[None].to(device)
    length = torch.tensor([len(samples)], device=device)
    characters = round(duration * CHARACTERS_PER_SECOND)
    whisper_base = 0.0
    for size, whisper in models.whispers.items():
        # Sizes are in ascending order, so that the last is base.
        whisper_base = fastest_seconds(partial(whisper.recognize, samples, characters), 2, device)
        yield _real_time_factor(f"Whisper {size}", duration, whisper_base)
    plain_seconds = fastest_seconds(
        lambda: models.plain.recognize(models.log_mel(waveform, length)[0], characters), 3, device
    )
    yield _real_time_factor("seed, plain PyTorch", duration, plain_seconds)

    def recognize(model: ListenAttendSpell, output_layer: _FixedLengthOutput) -> None:
        output_layer.step = 0
        (hypothesis,) = greedy_search(model, model.listen(*models.log_mel(waveform, length)))
        if len(hypothesis.tokens) != characters:
            written = len(hypothesis.tokens)
            raise RuntimeError(f"{written} characters were written instead of {characters}")

    for precision, model in models.by_precision.items():
        output_layer = _FixedLengthOutput.install(model, characters)
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, precision == "bfloat16"):
            seconds = fastest_seconds(partial(recognize, model, output_layer), 5, device)
        yield _real_time_factor(f"seed, {precision}", duration, seconds, whisper_base)


def _real_time_factor(
    name: str, duration: int, seconds: float, whisper_base: float = 0.0
) -> Measurement:
    """The measurement of a model that took `seconds` for a recording of `duration` seconds.

    `whisper_base` are the seconds of Whisper base, with which our models are compared.
    """
    limit = "the speller's weights are read from memory again for every character"
    targets: tuple[Target, ...] = ()
    factor = {"seed, float32": 0.02, "seed, int8": 0.012}.get(name)
    if factor is not None and duration == 5 and device_type() == "cpu":
        targets = (
            Target("value", "at most", factor, limit),
            Target("ratio", "at least", 15, limit),
        )
    return Measurement(
        name=f"recognition of {duration} s: {name}",
        value=seconds / duration,
        unit="of real time",
        yardstick=f"Whisper base: {whisper_base / duration:.3f}" if whisper_base else "",
        ratio=whisper_base / seconds if whisper_base else None,
        targets=targets,
        point=Point("recognition", name, duration),
    )


class _FixedLengthOutput(nn.Module):
    """An output layer of a speller that ends every text after a fixed number of characters."""

    def __init__(self, out: nn.Module, characters: int, eos_id: int) -> None:
        super().__init__()
        self.out, self.characters, self.eos_id, self.step = out, characters, eos_id, 0

    @classmethod
    def install(cls, model: ListenAttendSpell, characters: int) -> "_FixedLengthOutput":
        """Wrap the output layer of a model, in place of an earlier wrapper."""
        out = model.speller.out
        layer = cls(out.out if isinstance(out, cls) else out, characters, model.config.eos_id)
        model.speller.out = layer  # type: ignore[assignment]
        return layer

    def forward(self, merged: Tensor) -> Tensor:
        logits: Tensor = self.out(merged)
        logits[..., self.eos_id] = 1e4 if self.step == self.characters else -1e4
        self.step += 1
        return logits
