"""Describes the machine: processor or GPU, memory, load, versions."""

import os
import platform
from datetime import datetime, timezone
from pathlib import Path

import torch

from sorigeul.base.capacity import machine_gib


def processor(device: torch.device) -> str:
    """Model name of the GPU, or of the CPU if ``device`` is one."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def memory_gib(device: torch.device) -> float | None:
    """Memory of the GPU, or of the machine, in GiB; None if the system does not report it."""
    if device.type == "cuda":
        gib: float | None = torch.cuda.get_device_properties(device).total_memory / 2**30
    else:
        gib = machine_gib()
    return None if gib is None else round(gib, 1)


def describe_machine() -> str:
    """Date (UTC), processor, cores, threads, load and versions, in one line."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {processor(device)}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads, load {load}, PyTorch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )
