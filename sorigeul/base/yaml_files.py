"""YAML files that users write: read whole, or refused in one line."""

from pathlib import Path
from typing import Any

import yaml

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular

_LARGEST = 1 << 20  # bytes; none of ours has more than a few thousand


def parse_yaml(text: str, name: str) -> dict[Any, Any]:
    """The keys and values of a YAML text. Raises UserError, which begins with its `name`."""
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{name} cannot be read as YAML: {reason}") from error
    if not isinstance(values, dict):
        raise UserError(f"{name} must hold lines of the form 'setting: value'")
    return values


def read_yaml(path: Path, what: str) -> tuple[dict[Any, Any], str]:
    """The keys and values of a YAML file, and its text. `what` is what the file should be.

    Raises UserError if it cannot be read or is no such file.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such {what}") from None
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read as YAML: {reason}") from error
    return parse_yaml(text, str(path)), text
