"""The libraries of the page are those that were published, and say under which licence."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from helpers.paths import ROOT


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, which looks at a copy of the files."""
    spec = importlib.util.spec_from_file_location("libraries", ROOT / "tools/page_libraries.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    copy = Path(shutil.copytree(module.VENDOR, tmp_path / "vendor"))
    monkeypatch.setattr(module, "VENDOR", copy)
    monkeypatch.setattr(module, "SUMS", copy / "SHA256SUMS")
    return module


def test_all_files_are_as_listed(libraries: ModuleType) -> None:
    assert libraries.differences() == []


def test_what_was_changed_lost_or_added_is_named(libraries: ModuleType) -> None:
    with (libraries.VENDOR / "htm.mjs").open("a", encoding="utf-8") as file:
        file.write("// changed\n")
    (libraries.VENDOR / "hooks.mjs").unlink()
    (libraries.VENDOR / "other.mjs").write_text("", encoding="utf-8")
    assert sorted(libraries.differences()) == [
        "hooks.mjs: missing",
        "htm.mjs: differs from SHA256SUMS",
        "other.mjs: no file of a package",
    ]


def test_every_package_has_its_licence_and_its_version_in_the_list(libraries: ModuleType) -> None:
    readme = (libraries.VENDOR / "README.md").read_text(encoding="utf-8")
    for package, files in libraries.PACKAGES.items():
        name, version = package.split("@")
        assert f"{name} {version}" in readme
        (licence,) = [file for file in files.values() if file.startswith("LICENSE")]
        assert "copyright" in (libraries.VENDOR / licence).read_text(encoding="utf-8").lower()
