"""What `pip install sorigeul` brings: built, installed in clean environments, and used there.

For each extra and each Python from 3.10 on that is found; what was installed, and how large it is,
is printed at the end. Installing needs a package index.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest
from helpers.commands import Command
from helpers.paths import ROOT

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
WITHOUT_TORCH = ("", "runtime", "serve")
SOURCES = ("sorigeul", "tests", "docs", "pyproject.toml", "README.md", "LICENSE")
LICENCES = ("silero_vad/LICENSE", "vendor/LICENSE.preact", "dist-info/licenses/LICENSE")


@dataclass(frozen=True)
class Packages:
    """What a builder makes of the sources."""

    sdist: Path
    wheel: Path
    """built from the sdist, as pip does where there is no wheel"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment in which only the wheel and what it needs is installed."""

    folder: Path

    def run(self, *arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one of its programs far from the sources; it must end with this status."""
        program, *rest = map(str, arguments)
        done = subprocess.run(
            [str(self.folder / "bin" / program), *rest],
            cwd=self.folder,
            env=variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def sorigeul(self, *arguments: str | Path) -> str:
        return self.run("sorigeul", *arguments).stdout

    @property
    def packages(self) -> list[str]:
        listed = json.loads(self.run("python", "-m", "pip", "list", "--format=json").stdout)
        return [one["name"] for one in listed if one["name"] != "pip"]

    @property
    def megabytes(self) -> float:
        files = (path for path in self.folder.rglob("*") if not path.is_symlink())
        return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def variables() -> dict[str, str]:
    """The environment variables, without those by which a Python would find other packages."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in ours}


def interpreter(python: str) -> Path | None:
    """An interpreter of this version, from the search path or from pyenv; None without one."""
    found = shutil.which(f"python{python}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [*pyenv.glob(f"{python}.*/bin/python"), *([Path(found)] if found else [])]
    for candidate in candidates:
        code = "import ensurepip, sys; print(sys.version)"
        done = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.startswith(f"{python}."):
            return candidate
    return None


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Built from a copy of the sources, to leave these as they are."""
    folder = tmp_path_factory.mktemp("packages")
    source, out = folder / "source", folder / "dist"
    out.mkdir()
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, source)
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (sdist,) = out.glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", out, sdist], check=True)
    (wheel,) = out.glob("*.whl")
    return Packages(sdist, wheel)


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Lines of a table, which is printed when all tests have added theirs."""
    lines = ["| extra | Python | packages | MB |", "| --- | --- | ---: | ---: |"]
    yield lines
    captured = request.config.pluginmanager.get_plugin("capturemanager")
    with captured.global_and_fixture_disabled():
        print("", *lines, sep="\n")


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of a small run."""
    from sorigeul.exporting.export import export

    folder = tmp_path_factory.mktemp("export") / "exported"
    export(str(run), folder)
    return folder


@pytest.fixture
def environment(
    request: pytest.FixtureRequest, packages: Packages, rows: list[str], tmp_path: Path
) -> Iterator[Environment]:
    """The wheel with an extra in a new environment of a Python, `request.param`."""
    extra, python = request.param
    program = interpreter(python)
    if program is None:
        pytest.skip(f"there is no Python {python} here")
    folder = tmp_path / "environment"
    try:
        subprocess.run([program, "-m", "venv", folder], check=True, env=variables())
        environment = Environment(folder)
        wanted = f"sorigeul[{extra}] @ {packages.wheel.as_uri()}" if extra else packages.wheel
        constraints = ROOT / "constraints.txt"
        environment.run("python", "-m", "pip", "install", "--quiet", "-c", constraints, wanted)
        environment.run("python", "-m", "pip", "check")
        size = f"{len(environment.packages)} | {environment.megabytes:.0f}"
        rows.append(f"| {extra or 'none'} | {python} | {size} |")
        yield environment
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # hundreds of megabytes each


def install(*extras: str, pythons: tuple[str, ...] = PYTHONS) -> pytest.MarkDecorator:
    """Runs a test in an environment of each of these extras and Pythons."""
    pairs = [(extra, python) for python in pythons for extra in extras]
    names = [f"{extra or 'none'}-{python}" for extra, python in pairs]
    return pytest.mark.parametrize("environment", pairs, ids=names, indirect=True)


@pytest.mark.prove
def test_the_wheel_of_the_sdist_holds_the_package_and_nothing_else(packages: Packages) -> None:
    every = [path for path in (ROOT / "sorigeul").rglob("*") if path.is_file()]
    files = {path.relative_to(ROOT).as_posix() for path in every if "__pycache__" not in path.parts}
    with zipfile.ZipFile(packages.wheel) as archive:
        names = archive.namelist()
    assert {name for name in names if ".dist-info/" not in name} == files
    for licence in LICENCES:
        assert any(name.endswith(licence) for name in names), licence
    with tarfile.open(packages.sdist) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    assert files <= sources
    assert {"LICENSE", "README.md", "pyproject.toml"} <= sources


@pytest.mark.prove
@install("", "runtime")
def test_without_extras_runs_and_exports_recognise(
    environment: Environment, sorigeul: Command, exported: Path, run: Path, audio: Path
) -> None:
    assert "transcribe" in environment.sorigeul("--help")
    expected = sorigeul("transcribe", exported, audio / "u09.wav").out
    assert expected.strip()
    assert environment.sorigeul("transcribe", exported, audio / "u09.wav") == expected
    assert environment.sorigeul("transcribe", run, audio / "u09.wav") == expected
    assert "# exported" in environment.sorigeul("card", exported)
    assert "# tiny" in environment.sorigeul("card", run, "--name", "tiny")
    missing = environment.run("python", "-c", "import torch", status=1)
    assert "No module named 'torch'" in missing.stderr
    transcribe = ("sorigeul", "transcribe", run, audio / "u09.wav")
    refused = environment.run(*transcribe, "--precision", "int8", status=2)
    assert "needs PyTorch for the precision int8: pip install 'sorigeul[train]'" in refused.stderr


@pytest.mark.prove
@install("serve")
def test_a_server_answers(
    environment: Environment, sorigeul: Command, run: Path, audio: Path
) -> None:
    expected = sorigeul("transcribe", run, audio / "u09.wav").out
    server = subprocess.Popen(
        [environment.folder / "bin" / "sorigeul", "serve", run, "--port", "0"],
        cwd=environment.folder,
        env=variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert re.fullmatch(r"http://\S+:\d+", url)
        answer = httpx.post(
            f"{url}/v1/audio/transcriptions",
            data={"model": run.name, "response_format": "text"},
            files={"file": (audio / "u09.wav").read_bytes()},
            timeout=60,
        )
        assert (answer.status_code, answer.text.strip()) == (200, expected.strip())
        page = httpx.get(url, timeout=60)
        assert "<html" in page.text
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


@pytest.mark.prove
@install("train", pythons=(OWN,))
def test_what_it_takes_to_train_is_there(environment: Environment, audio: Path) -> None:
    """In one Python alone: PyTorch is large, and the tests of the others know the rest."""
    prepared = environment.sorigeul("prepare", "table", audio / "table.csv", "data")
    assert "48 usable utterances" in prepared
    small = ("--hidden_size", "16", "--conv_channels", "4", "--max_steps", "3")
    environment.sorigeul("train", "data", "run", "--preset", "quickstart", *small)
    environment.sorigeul("transcribe", "run", audio / "u09.wav")
    evaluated = json.loads(environment.sorigeul("evaluate", "run", "data", "--json", "-"))
    assert evaluated["utterances"] == 4
    assert "# run" in environment.sorigeul("card", "run")
