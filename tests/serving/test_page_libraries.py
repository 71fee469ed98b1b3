"""The libraries of our pages are those that were published, and say under which licence."""

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from helpers.paths import ROOT


@pytest.fixture
def libraries() -> ModuleType:
    """The script."""
    spec = importlib.util.spec_from_file_location("libraries", ROOT / "tools/page_libraries.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_files_are_as_listed(libraries: ModuleType) -> None:
    assert set(libraries.PACKAGES) == set((ROOT / "sorigeul").rglob("page/vendor"))
    for folder in libraries.PACKAGES:
        assert libraries.differences(folder) == []


def test_what_was_changed_lost_or_added_is_named(libraries: ModuleType, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(libraries.SERVER_PAGE, tmp_path / "vendor"))
    libraries.PACKAGES[copy] = libraries.PACKAGES[libraries.SERVER_PAGE]
    with (copy / "htm.mjs").open("a", encoding="utf-8") as file:
        file.write("// changed\n")
    (copy / "hooks.mjs").unlink()
    (copy / "other.mjs").write_text("", encoding="utf-8")
    assert sorted(libraries.differences(copy)) == [
        "hooks.mjs: missing",
        "htm.mjs: differs from SHA256SUMS",
        "other.mjs: no file of a package",
    ]


def test_every_package_has_its_licence_and_its_version_in_the_list(libraries: ModuleType) -> None:
    for folder, packages in libraries.PACKAGES.items():
        readme = (folder / "README.md").read_text(encoding="utf-8")
        licences = [name for name in libraries.vendored(folder) if name.startswith("LICENSE")]
        for package in packages:
            name, version = re.split("@|==", package)
            assert f"{name} {version}" in readme
            (licence,) = [file for file in licences if file.split(".")[1] in name]
            text = (folder / licence).read_text(encoding="utf-8")
            assert "copyright" in text.lower()
