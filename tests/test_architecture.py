"""The house as docs/architecture.md describes it: folders, what they show each other, the page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.paths import ROOT

PACKAGE = ROOT / "sorigeul"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FOLDERS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())


def imported_modules(file: Path) -> Iterator[str]:
    """The modules of ours that a file imports, or imports from."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sorigeul"):
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                is_module = (ROOT / submodule.replace(".", "/")).with_suffix(".py").is_file()
                yield submodule if is_module else node.module


def listed(folder: str) -> set[str]:
    """What the `__init__` of a folder lists for others to use."""
    tree = ast.parse((PACKAGE / folder / "__init__.py").read_text(encoding="utf-8"))
    lists = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    return set(ast.literal_eval(lists[0])) if lists else set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_uses_of_another_only_what_that_one_lists(folder: str) -> None:
    for file in (PACKAGE / folder).rglob("*.py"):
        for module in imported_modules(file):
            _, other, *path = module.split(".")
            if other not in (folder, "cli"):
                assert ".".join(path) in listed(other), f"{file} uses {module}"


@pytest.mark.parametrize("folder", sorted(set(FOLDERS) - {"recipes", "cli"}))
def test_what_a_folder_lists_is_there_and_the_folder_says_what_it_is(folder: str) -> None:
    tree = ast.parse((PACKAGE / folder / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert listed(folder)
    for module in listed(folder):
        assert (PACKAGE / folder / f"{module}.py").is_file()


def test_no_module_lies_beside_the_folders() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}
    assert (PACKAGE / "py.typed").is_file()


def test_lines_are_left_to_the_formatter() -> None:
    kept = [path for path in PACKAGE.rglob("*.py") if "fmt: skip" in path.read_text("utf-8")]
    assert len(kept) <= 10


def test_the_page_names_every_folder_and_nothing_that_is_not_there() -> None:
    for folder in FOLDERS:
        assert f"`{folder}/`" in PAGE
    paths = re.findall(r"`([\w/.]+(?:\.py|\.toml|/))`", PAGE)
    assert len(paths) > 50
    for path in paths:
        assert (PACKAGE / path).exists() or (ROOT / path).exists(), path


def test_tests_lie_in_folders_as_the_package_does() -> None:
    tests = (ROOT / "tests").glob("*/**/test_*.py")
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in tests}
    assert folders <= {*FOLDERS, "journeys", "robustness", "benchmarks"}
