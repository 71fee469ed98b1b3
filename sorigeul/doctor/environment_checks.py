"""What in the environment stands in the way of training or recognition, and what to do about it."""

import fcntl
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from sorigeul.base.capacity import free_gib
from sorigeul.base.threads import COUNT, container_cores, usable_cores

_LEAST_MEMORY = 2.0  # GiB; the preset quickstart takes 1.5, small 3.3 at most
_LEAST_DISK = 2.0  # GB; a run with its checkpoints
_LEAST_SHARED = 0.5  # GB; the default of Docker is 0.06
_LEAST_FILES = 256


def environment_problems() -> list[str]:
    """One line each: what it is, and the remedy."""
    return [problem for check in _CHECKS if (problem := check()) is not None]


def _memory() -> str | None:
    free = free_gib()
    if free is None or free >= _LEAST_MEMORY:
        return None
    return f"only {free:.1f} GiB of memory are free: close other programs, or train elsewhere"


def _disk() -> str | None:
    free = shutil.disk_usage(".").free / 1e9
    if free >= _LEAST_DISK:
        return None
    return f"only {free:.1f} GB are free on this disk: make room, or work in another folder"


def _temporary_files() -> str | None:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free / 1e9
    if free >= _LEAST_DISK:
        return None
    return f"only {free:.1f} GB are free in {folder}: make room, or set TMPDIR to another folder"


def _shared_memory() -> str | None:
    """Loading processes hand batches over in shared memory, of which containers have little."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or (size := shutil.disk_usage(shared).total / 1e9) >= _LEAST_SHARED:
        return None
    return (
        f"/dev/shm has {size:.2f} GB: start the container with --shm-size=1g, or train with "
        "--num_workers 0"
    )


def _writing() -> str | None:
    try:
        with tempfile.TemporaryFile(dir=".") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except PermissionError:
        return "this folder cannot be written: give RUN and OUT in another one"
    except OSError as error:
        return (
            f"this folder has no locks for files ({error.strerror}): see to it yourself that only "
            "one process writes to a run"
        )
    return None


def _threads() -> str | None:
    cores = min(usable_cores(), container_cores() or usable_cores())
    threads = torch.get_num_threads()
    if threads < cores and COUNT in os.environ:
        return f"{COUNT}={threads} leaves {cores - threads} of {cores} cores unused: unset it"
    return None


def _busy() -> str | None:
    if not hasattr(os, "getloadavg") or (load := os.getloadavg()[0]) <= usable_cores() + 1:
        return None
    return f"the load is {load:.1f} on {usable_cores()} cores: other programs slow this down"


def _gpu() -> str | None:
    if torch.cuda.is_available() or not Path("/dev/nvidia0").exists():
        return None
    if torch.version.cuda is None:
        return (
            "there is a GPU, but this PyTorch is built for CPUs: install it as "
            "https://pytorch.org/get-started says for CUDA"
        )
    return "there is a GPU, but PyTorch does not see it: check driver and CUDA_VISIBLE_DEVICES"


def _open_files() -> str | None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files >= _LEAST_FILES:
        return None
    return f"a process may open only {files} files: raise it with 'ulimit -n 1024'"


def _encoding() -> str | None:
    if sys.getfilesystemencoding().lower().replace("-", "") == "utf8":
        return None
    return "names of files are not UTF-8 here, so Hangul in them is lost: set LANG=C.UTF-8"


_CHECKS: tuple[Callable[[], str | None], ...] = (
    _memory,
    _disk,
    _temporary_files,
    _shared_memory,
    _writing,
    _threads,
    _busy,
    _gpu,
    _open_files,
    _encoding,
)
