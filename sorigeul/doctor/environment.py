"""Whether a corpus and settings can train, told within minutes: the story of `sorigeul doctor`.

First the environment, then what can be told of the data without training, since that takes seconds
and explains more; then thirty utterances learnt by heart. Knows what the commands print and advise.
"""

import importlib.util
import shutil
from collections.abc import Iterator
from importlib.metadata import version

import torch

from sorigeul.base.machine import describe_machine
from sorigeul.training import devices

_EXTRAS = {
    "demo": ("espeakng_loader",),
    "serve": ("fastapi", "uvicorn"),
    "export": ("onnx", "onnxruntime"),
    "lm": ("kenlm",),
}


def environment() -> Iterator[str]:
    """Versions, device, extras and room, a line each."""
    yield f"sorigeul {version('sorigeul')}; {describe_machine()}"
    if torch.cuda.is_available():
        names = ", ".join(map(torch.cuda.get_device_name, range(torch.cuda.device_count())))
        yield f"device: {names}, CUDA {torch.version.cuda}"
    else:
        fast = "bfloat16 in hardware" if devices.cpu_has_bfloat16() else "no bfloat16: float32"
        yield f"device: CPU, {fast}"
    missing = {
        extra: [name for name in names if importlib.util.find_spec(name) is None]
        for extra, names in _EXTRAS.items()
    }
    there = [extra for extra, names in missing.items() if not names]
    away = [f"{extra} ({', '.join(names)})" for extra, names in missing.items() if names]
    yield f"extras: {', '.join(there) or 'none'}; not installed: {', '.join(away) or 'none'}"
    yield f"free disk space here: {shutil.disk_usage('.').free / 1e9:.1f} GB"
