"""Benchmark suite "decoding": greedy recognition, against the plain model and against Whisper."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from sorigeul.bench.machine import device_type
from sorigeul.bench.measurements import Measurement, Point, Target
from sorigeul.bench.plain_las import PlainLAS
from sorigeul.bench.synthetic import CHARACTERS_PER_SECOND, synthetic_speech
from sorigeul.bench.timing import fastest_seconds
from sorigeul.bench.yardsticks import Whisper
from sorigeul.exporting.run_graphs import make_graphs
from sorigeul.exporting.runtime import OnnxModel
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.search import inference
from sorigeul.search.greedy import greedy_search
from sorigeul.sound.array_features import ArrayLogMel
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.features import LogMel

_DURATIONS = (2, 5, 10, 30)  # seconds of the recordings that are recognised
_AS_RECOGNISED = "float32, ONNX Runtime, one thread"
"""as a batch is recognised on a CPU, beside others; the rest is by PyTorch, in all threads"""


@dataclass(frozen=True)
class _Models:
    """The models that recognise the same recordings."""

    whispers: Mapping[str, Whisper]
    """by size"""
    plain: PlainLAS
    ours: Mapping[str, Any]
    """by what computes them"""
    log_mel: LogMel


def measure_decoding() -> Iterator[Measurement]:
    """Measure real-time factors of greedy recognition, one recording at a time."""
    device = device_type()
    torch.manual_seed(0)
    seed = ListenAttendSpell(LASConfig.seed(80)).eval().to(device)
    plain = PlainLAS(seed.config).take_weights(seed.cpu()).eval().to(device)
    seed.to(device)
    ours: dict[str, Any] = {}
    if device == "cpu":
        weights = {name: tensor.numpy() for name, tensor in seed.state_dict().items()}
        ours[_AS_RECOGNISED] = make_graphs(seed.config, weights)
        ours["int8"] = inference.quantize(copy.deepcopy(seed))
    ours["float32"] = inference.optimize_layout(copy.deepcopy(seed))
    ours["bfloat16"] = copy.deepcopy(seed)
    whispers = {size: Whisper(size, device) for size in Whisper.SIZES}
    log_mel = LogMel(FeatureConfig()).to(device)
    models = _Models(whispers, plain, ours, log_mel)
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

    def recognize(model: Any) -> None:
        features: Sequence[Any] = models.log_mel(waveform, length)
        if isinstance(model, OnnxModel):
            features = ArrayLogMel(FeatureConfig())(samples[None], length.numpy())
        ending: Any = _FixedLength(model, characters)
        (hypothesis,) = greedy_search(ending, model.listen(*features))
        if len(hypothesis.tokens) != characters:
            written = len(hypothesis.tokens)
            raise RuntimeError(f"{written} characters were written instead of {characters}")

    for way, model in models.ours.items():
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, way == "bfloat16"):
            seconds = fastest_seconds(partial(recognize, model), 5, device)
        yield _real_time_factor(f"seed, {way}", duration, seconds, whisper_base)


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


class _FixedLength:
    """A model whose texts all end after so many characters, whatever computes it."""

    def __init__(self, model: Any, characters: int) -> None:
        self._model, self._characters, self._step = model, characters, 0
        self.config, self.make_memory = model.config, model.make_memory

    def speller(self, *arguments: Any) -> tuple[Any, Any, Any]:
        """As the model's, but for the score of the end."""
        logits, alignments, state = self._model.speller(*arguments)
        logits[..., self.config.eos_id] = 1e4 if self._step == self._characters else -1e4
        self._step += 1
        return logits, alignments, state
