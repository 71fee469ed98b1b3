"""Benchmark suite "steps": whole training steps of the presets, by size of batch, with memory.

A step is the learner's: from waveforms through features, masks, both passes and Adam, but without
reading files. On a GPU it also counts the kernels of a step, and how long they keep the GPU busy:
where that is a small part of the step, launching them is what takes the time.
"""

import resource
from collections.abc import Callable, Iterator

import torch
from torch.profiler import ProfilerActivity, profile

from sorigeul.bench.machine import device_type
from sorigeul.bench.measurements import Measurement, Target
from sorigeul.bench.plain_las import plain_step_seconds
from sorigeul.bench.synthetic import CHARACTERS_PER_SECOND
from sorigeul.bench.timing import fastest_seconds
from sorigeul.data.batches import Batch, longest_batch
from sorigeul.model.config import LASConfig
from sorigeul.text.vocabulary import SPECIALS, Vocabulary
from sorigeul.training import devices
from sorigeul.training.learner import Learner
from sorigeul.training.settings import Settings

_UTTERANCE = 5.6  # seconds, the mean of KsponSpeech
_BATCH_SECONDS = {"cuda": (60, 240, 900), "cpu": (60,)}
_PRESETS = ("seed", "small", "base")
_KSPONSPEECH_HOURS = 965
_UNITS = 2000
_GPU_TARGET = 5000.0  # audio-seconds a second of the seed's model


def measure_steps() -> Iterator[Measurement]:
    """Measure steps of each preset in batches of several sizes."""
    device = device_type()
    config = LASConfig.seed(80)
    plain_batch = (42, _UTTERANCE, round(_UTTERANCE * CHARACTERS_PER_SECOND))
    plain_rate = 42 * _UTTERANCE / plain_step_seconds(config, *plain_batch, device)
    for preset in _PRESETS:
        rates = []
        for seconds in _BATCH_SECONDS[device]:
            step, batch = _step(preset, seconds)
            _reset_peak()
            rate = float(batch.lengths.sum()) / 16_000 / fastest_seconds(step, 5, device)
            rates.append(rate)
            is_seed = preset == "seed"
            yield Measurement(
                name=f"step, {preset}, batches of {seconds} s",
                value=rate,
                unit="audio-s/s",
                yardstick=f"the seed's model in plain PyTorch: {plain_rate:.0f}" if is_seed else "",
                ratio=rate / plain_rate if is_seed else None,
            )
            yield Measurement(f"of which memory, {preset}, {seconds} s", _peak_gigabytes(), "GB")
            if device == "cuda":
                yield from _kernels(step, f"{preset}, {seconds} s")
        days = _KSPONSPEECH_HOURS * 3600 / max(rates) / 86_400
        yield Measurement(f"an epoch of KsponSpeech, {preset}, at the best of these", days, "days")
        if preset == "seed" and device == "cuda":
            target = Target("value", "at least", _GPU_TARGET, "one kernel a time step")
            ratio = Target("ratio", "at least", 8.0, "the time steps are cuDNN's in both")
            best = max(rates)
            yield Measurement(
                "step, seed, at the best of these",
                best,
                "audio-s/s",
                f"plain PyTorch, float32: {plain_rate:.0f}",
                best / plain_rate,
                (target, ratio),
            )


def _step(preset: str, batch_seconds: int) -> tuple[Callable[[], object], Batch]:
    """A step of a preset's learner on noise, and its batch."""
    settings = Settings.preset(preset).changed(
        {"batch_seconds": float(batch_seconds), "speed_perturbation": False, "silence_share": 0.0},
        "bench",
    )
    fabric = devices.launch(settings.training)
    vocabulary = Vocabulary((*(chr(0xAC00 + 5 * unit) for unit in range(_UNITS)), *SPECIALS))
    learner = Learner(settings, vocabulary, fabric)
    characters = round(_UTTERANCE * CHARACTERS_PER_SECOND)
    batch = longest_batch(_UTTERANCE, characters, vocabulary, settings.data)
    batch.augmented.fill_(True)
    count = int(batch.token_lengths.sum()) + len(batch)
    learner.train()

    def step() -> object:
        rate = settings.training.lr
        return learner.step([batch], [count], rate, settings.training.scheduled_sampling)

    step()
    return step, batch


def _kernels(step: Callable[[], object], name: str) -> Iterator[Measurement]:
    """How many kernels a step launches, and the share of its time in which one of them runs."""
    seconds = fastest_seconds(step, 3, "cuda")
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiler:
        step()
        torch.cuda.synchronize()
    kernels = [
        event
        for event in profiler.events()
        if event.device_type.name == "CUDA" and not event.is_user_annotation
    ]
    busy = sum(event.device_time_total for event in kernels) / 1e6
    yield Measurement(f"kernels of a step, {name}", len(kernels), "launches")
    yield Measurement(f"the GPU works, {name}", 100 * busy / seconds, "% of the step")


def _reset_peak() -> None:
    if device_type() == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak_gigabytes() -> float:
    """The most memory so far: of the GPU since `_reset_peak`, or of this process on a CPU."""
    if device_type() == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
