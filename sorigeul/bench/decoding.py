"""Measures the package against yardsticks in the same run, on the same work.

A figure is a number, its unit, what it is compared with and the ratio to it (above 1: better). The
suites can be run alone; the report rewrites the tables of `BENCHMARKS.md` and draws its plots.
"""

import copy
from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from sorigeul.bench.machine import device_type
from sorigeul.bench.measurements import Measurement, Point, Target
from sorigeul.bench.synthetic import CHARACTERS_PER_SECOND, synthetic_speech
from sorigeul.bench.yardsticks import (
    PlainLAS,
    Whisper,
    fastest_seconds,
)
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.search import inference
from sorigeul.search.greedy import greedy_search
from sorigeul.sound.features import FeatureConfig, LogMel

_LENGTHS = (2, 5, 10, 30)  # seconds of the recordings that are recognised


# Decoding.


def measure_decoding() -> Iterator[Measurement]:
    """Real-time factors of greedy recognition, one recording at a time and in batches."""
    device = device_type()
    torch.manual_seed(0)
    seed = ListenAttendSpell(LASConfig.seed(80)).eval().to(device)
    plain = PlainLAS(seed.config).take_weights(seed.cpu()).eval().to(device)
    seed.to(device)
    precisions: dict[str, ListenAttendSpell] = {
        "float32": inference.optimize_layout(copy.deepcopy(seed))
    }
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
) -> Iterator[Measurement]:
    """Recognition of one recording by everything there is, each with output of one length."""
    device, samples = device_type(), synthetic_speech(seconds)
    waveform = torch.from_numpy(samples)[None].to(device)
    length = torch.tensor([len(samples)], device=device)
    text = round(seconds * CHARACTERS_PER_SECOND)
    base = 0.0
    for size, whisper in whispers.items():
        base = fastest_seconds(partial(whisper.recognize, samples, text), 2, device)
        yield _recognition(f"Whisper {size}", seconds, base)
    took = fastest_seconds(lambda: plain.recognize(log_mel(waveform, length)[0], text), 3, device)
    yield _recognition("seed, plain PyTorch", seconds, took)

    def recognize(model: ListenAttendSpell, ends: _EndsAfter) -> None:
        ends.step = 0
        (found,) = greedy_search(model, model.listen(*log_mel(waveform, length)))
        if len(found.tokens) != text:
            raise RuntimeError(f"{len(found.tokens)} characters came out instead of {text}")

    for name, model in precisions.items():
        ends = _EndsAfter.put_into(model, text)
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, name == "bfloat16"):
            took = fastest_seconds(partial(recognize, model, ends), 5, device)
        yield _recognition(f"seed, {name}", seconds, took, base)


def _recognition(name: str, seconds: int, took: float, whisper_base: float = 0.0) -> Measurement:
    """The real-time factor of `name`; ours is compared with Whisper base."""
    reading = "the speller's weights come from memory anew for every character"
    targets: tuple[Target, ...] = ()
    factor = {"seed, float32": 0.02, "seed, int8": 0.012}.get(name)
    if factor is not None and seconds == 5 and device_type() == "cpu":
        targets = (
            Target("value", "at most", factor, reading),
            Target("ratio", "at least", 15, reading),
        )
    return Measurement(
        f"recognition of {seconds} s: {name}",
        took / seconds,
        "of real time",
        f"Whisper base: {whisper_base / seconds:.3f}" if whisper_base else "",
        whisper_base / took if whisper_base else None,
        targets,
        Point("recognition", name, seconds),
    )


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
