"""Brings the libraries of the server's page into the repository, and checks them.

    python tools/page_libraries.py fetch     from the npm registry, with their licences; needs npm
    python tools/page_libraries.py check     compares the files with their SHA256SUMS

The page has no build step and makes no request to elsewhere, so its libraries lie beside it.
"""

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "sorigeul" / "serving" / "page" / "vendor"
SUMS = VENDOR / "SHA256SUMS"
PACKAGES = {
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
}
"""the files of each package, and what they are called here"""
CHANGES = {
    "preact.mjs": [("\n//# sourceMappingURL=preact.mjs.map", "")],
    "hooks.mjs": [
        ('from"preact"', 'from"./preact.mjs"'),  # a bare name would need an import map
        ("\n//# sourceMappingURL=hooks.mjs.map", ""),
    ],
}
"""what is replaced in files, once each; everything else is as published"""


def fetch() -> None:
    """Write the files of all packages, and their sums."""
    for package, files in PACKAGES.items():
        with tempfile.TemporaryDirectory() as folder:
            command = ["npm", "pack", "--silent", package]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            (archive,) = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as members:
                for source, name in files.items():
                    content = members.extractfile(f"package/{source}")
                    assert content is not None
                    (VENDOR / name).write_bytes(changed(name, content.read()))
        print(f"{package}: {', '.join(files.values())}")
    lines = [f"{checksum(VENDOR / name)}  {name}\n" for name in sorted(vendored())]
    SUMS.write_text("".join(lines), encoding="utf-8")


def changed(name: str, content: bytes) -> bytes:
    """The content of a file with its `CHANGES`."""
    for old, new in CHANGES.get(name, []):
        if content.count(old.encode()) != 1:
            sys.exit(f"error: {name}: {old!r} is not in it once; adapt CHANGES to this version")
        content = content.replace(old.encode(), new.encode())
    return content


def differences() -> list[str]:
    """What is not as `SUMS` says, in words."""
    lines = SUMS.read_text(encoding="utf-8").splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    faults = [f"{name}: not listed in {SUMS.name}" for name in sorted(vendored() - sums.keys())]
    present = {path.name for path in VENDOR.iterdir()} - {"README.md", SUMS.name}
    faults += [f"{name}: no file of a package" for name in sorted(present - vendored())]
    for name, expected in sums.items():
        if name not in present:
            faults.append(f"{name}: missing")
        elif checksum(VENDOR / name) != expected:
            faults.append(f"{name}: differs from {SUMS.name}")
    return faults


def vendored() -> set[str]:
    """The names of all files."""
    return {name for files in PACKAGES.values() for name in files.values()}


def checksum(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("action", choices=["fetch", "check"])
    if parser.parse_args().action == "fetch":
        fetch()
    if faults := differences():
        sys.exit("\n".join(f"error: {fault}" for fault in faults))
    print(f"{len(vendored())} files are as {SUMS.name} says")


if __name__ == "__main__":
    main()
