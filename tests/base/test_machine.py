"""The description of the machine: names, sizes and versions, in one line."""

import os
import platform
from datetime import datetime, timezone

import torch

from sorigeul.base.machine import describe_machine, memory_gib, processor

CPU = torch.device("cpu")


def test_processor_and_memory_of_this_machine() -> None:
    name = processor(CPU)
    assert name
    assert name == name.strip()
    assert "\n" not in name
    memory = memory_gib(CPU)
    assert memory is None or 0.1 < memory < 100_000


def test_the_description_is_one_line_with_date_processor_and_versions() -> None:
    day_before = datetime.now(timezone.utc).date()
    description = describe_machine()
    day_after = datetime.now(timezone.utc).date()
    date, _ = description.split(", ", 1)
    assert date in (str(day_before), str(day_after))  # midnight may pass in between
    if not torch.cuda.is_available():
        assert processor(CPU) in description
    assert f"{os.cpu_count()} cores" in description
    assert f"{torch.get_num_threads()} threads" in description
    assert f"PyTorch {torch.__version__}, Python {platform.python_version()}" in description
    assert "\n" not in description
