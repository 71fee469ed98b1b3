"""The scripts of `benchmarks/`, which are no package, as modules."""

import importlib.util
import sys
from types import ModuleType

from helpers.paths import ROOT


def load_benchmark(name: str) -> ModuleType:
    """Load `benchmarks/NAME.py`."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for their types there
    spec.loader.exec_module(module)
    return module
