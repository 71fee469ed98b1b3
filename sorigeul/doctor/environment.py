"""What `sorigeul doctor` prints of the environment: one screen that goes into a bug report.

Versions, machine, decoders and settings, then what stands in the way and what to do about it. It
names neither the user nor the host, and the home folder is ``~``.
"""

import locale
import os
import platform
import re
import resource
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import av
import huggingface_hub.constants
import soundfile
import torch

from sorigeul.base import provenance
from sorigeul.base.capacity import free_gib
from sorigeul.base.machine import memory_gib, processor
from sorigeul.base.printable import printable
from sorigeul.base.threads import usable_cores
from sorigeul.doctor.environment_checks import environment_problems
from sorigeul.training import devices

_WIDTH = 100  # columns
_REQUIREMENT_OF_EXTRA = re.compile(r"""([\w.-]+).*;.*\bextra == ["']([\w-]+)["']""")
_EXTRAS_OF_DEVELOPERS = ("bench", "dev")
_MISSING = "missing"
_LIBRARIES = {
    "arithmetic": ("numpy", "lightning-fabric", "torchdata", "safetensors"),
    "data": ("lhotse", "huggingface_hub", "onnx", "onnxruntime", "rapidfuzz", "tyro"),
}
_DECODERS = ("aac", "ac3", "eac3", "alac", "amrnb", "mp2", "mp3float", "opus", "vorbis", "wmav2")
"""of libav: those of phones, videos and browsers"""
_VARIABLES = ("OMP_", "MKL_", "CUDA_", "HF_", "TMPDIR", "PYTHON", "LANG", "LC_", "WORLD_SIZE")
"""what the names of variables begin with that change what we do"""
_SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD")
_LONGEST_VALUE = 40  # characters


def environment() -> Iterator[str]:
    """The lines of the screen: facts, each after its name, then what stands in the way."""
    for name, text in _facts():
        lines = textwrap.wrap(
            f"{name + ':':<13}{printable(text)}",
            _WIDTH,
            subsequent_indent=" " * 13,
            break_on_hyphens=False,
        )
        yield from lines
    problems = environment_problems()
    yield ""
    if not problems:
        yield "Nothing stands in the way of training and recognition."
    for problem in problems:
        yield from textwrap.wrap(f"! {printable(problem)}", _WIDTH, subsequent_indent="  ")


def _facts() -> Iterator[tuple[str, str]]:
    commit = (provenance.commit() or "").partition("+")
    source = f"commit {commit[0][:12]}{commit[1]}{commit[2]}" if commit[0] else "not from git"
    yield "sorigeul", f"{version('sorigeul')} ({source}), {datetime.now(timezone.utc):%Y-%m-%d}"
    yield "Python", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "system", ", ".join(filter(None, (_system(), platform.release(), platform.machine())))
    yield "PyTorch", f"{torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    for kind, libraries in _LIBRARIES.items():
        yield kind, _versions(libraries)
    yield "processor", processor(torch.device("cpu"))
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    yield "cores", f"{usable_cores()} of {os.cpu_count()}, threads {torch.get_num_threads()}{load}"
    yield "device", _device()
    total, free = memory_gib(torch.device("cpu")), free_gib()
    yield "memory", f"{_size(total, 'GiB')}, {_size(free, 'GiB')} free"
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield "limits", f"{files:,} open files"
    for name, folder in (("disk here", Path()), ("temporary", Path(tempfile.gettempdir()))):
        yield name, f"{_free_space(folder)}, {_short(folder.absolute())}"
    hub = Path(huggingface_hub.constants.HF_HUB_CACHE)
    offline = ", offline" if huggingface_hub.constants.HF_HUB_OFFLINE else ""
    yield "hub models", f"{_free_space(hub)}, {_short(hub)}{offline}"
    formats = ", ".join(sorted(name.lower() for name in soundfile.available_formats()))
    yield "soundfile", f"{_versions(['soundfile'])}, libsndfile {_libsndfile()}: {formats}"
    yield "libav", f"{_versions(['av'])}, libavcodec {_libavcodec()}: {_decoders()}"
    for name, text in _extras():
        yield name, text
    yield (
        "text",
        (
            f"locale {'.'.join(filter(None, locale.getlocale())) or 'C'}, output "
            f"{sys.stdout.encoding}, file names {sys.getfilesystemencoding()}"
        ),
    )
    yield "variables", ", ".join(_variables()) or "none that matter"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _device() -> str:
    if torch.cuda.is_available():
        names = ", ".join(map(torch.cuda.get_device_name, range(torch.cuda.device_count())))
        return f"{names}, CUDA {torch.version.cuda}"
    precision = "bfloat16 in hardware" if devices.cpu_has_bfloat16() else "no bfloat16: float32"
    return f"CPU, {precision}"


def _versions(libraries: Sequence[str]) -> str:
    return ", ".join(f"{name} {_version(name)}" for name in libraries)


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return _MISSING


def _libsndfile() -> str:
    return str(soundfile.__libsndfile_version__)


def _libavcodec() -> str:
    return ".".join(map(str, av.library_versions["libavcodec"]))


def _decoders() -> str:
    missing = [name for name in _DECODERS if not _has_decoder(name)]
    found = ", ".join(name for name in _DECODERS if name not in missing)
    return f"{found}; without {', '.join(missing)}" if missing else found


def _has_decoder(name: str) -> bool:
    try:
        av.codec.Codec(name, "r")
    except ValueError:
        return False
    return True


def _extras() -> Iterator[tuple[str, str]]:
    missing_libraries: dict[str, list[str]] = {}
    for requirement in map(_REQUIREMENT_OF_EXTRA.match, requires("sorigeul") or ()):
        if requirement is not None and requirement[2] not in _EXTRAS_OF_DEVELOPERS:
            missing = missing_libraries.setdefault(requirement[2], [])
            if _version(requirement[1]) == _MISSING:
                missing.append(requirement[1])
    installed = [extra for extra, missing in missing_libraries.items() if not missing]
    without = [
        f"{extra} ({', '.join(missing)})" for extra, missing in missing_libraries.items() if missing
    ]
    yield "extras", ", ".join(installed) or "none"
    if without:
        yield "without", f"{', '.join(without)}: pip install 'sorigeul[NAME]'"


def _size(amount: float | None, unit: str) -> str:
    return "unknown" if amount is None else f"{amount:.1f} {unit}"


def _free_space(folder: Path) -> str:
    """Free space on the disk of a folder, or of the folder it will be created in."""
    place = next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))
    return f"{shutil.disk_usage(place).free / 1e9:.1f} GB free"


def _short(path: Path) -> str:
    """A path without the name of the user."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _variables() -> Iterator[str]:
    for name in sorted(os.environ):
        if name.startswith(_VARIABLES):
            value = os.environ[name].replace(str(Path.home()), "~")[:_LONGEST_VALUE]
            yield f"{name}={'(set)' if any(word in name for word in _SECRET) else value}"
