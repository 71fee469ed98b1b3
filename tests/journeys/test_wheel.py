"""The wheel, built and installed outside the source tree, holds everything that is needed."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from helpers.paths import ROOT

SOURCES = ("sorigeul", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the package, built from a copy of the sources to leave these as they are."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, folder / "source" / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / "source" / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", folder, folder / "source"], check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_it_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    every = [path for path in (ROOT / "sorigeul").rglob("*") if path.is_file()]
    files = [path for path in every if "__pycache__" not in path.parts]
    expected = {path.relative_to(ROOT).as_posix() for path in files}
    assert "sorigeul/py.typed" in expected
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_installed_command_prepares_trains_and_transcribes(wheel: Path, tmp_path: Path) -> None:
    """In a new environment that shares only the libraries with that of the tests."""
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=os.name != "nt")
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", environment]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", wheel], check=True)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout[:-1]
    )
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries), encoding="utf-8")
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def sorigeul(*arguments: str) -> str:
        done = subprocess.run(
            [environment / "bin" / "sorigeul", *arguments],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    imported = subprocess.run(
        [python, "-c", "import sorigeul; print(sorigeul.__file__)"],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(imported.stdout.strip()).is_relative_to(site), "the source tree is imported"
    assert "prepare" in sorigeul("--help")
    assert "100 usable utterances" in sorigeul("prepare", "demo", "data", "--utterances", "100")
    small = ("--hidden_size", "8", "--conv_channels", "4", "--max_steps", "2")
    sorigeul("train", "data", "run", "--preset", "quickstart", *small)
    recording = next((tmp_path / "data" / "audio").rglob("*-test-*.flac"))
    sorigeul("transcribe", "run", str(recording))
