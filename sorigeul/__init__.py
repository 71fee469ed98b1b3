"""sorigeul (소리글): Korean speech recognition with Listen, Attend and Spell."""

from typing import TYPE_CHECKING, Any

from sorigeul.base.threads import prepare_threads

if TYPE_CHECKING:
    from sorigeul.model.config import LASConfig
    from sorigeul.model.las import ListenAttendSpell
    from sorigeul.recognition.recognizer import Recognizer

__all__ = ["LASConfig", "ListenAttendSpell", "Recognizer"]

prepare_threads()  # before anything loads torch

_HOMES = {
    "LASConfig": "sorigeul.model.config",
    "ListenAttendSpell": "sorigeul.model.las",
    "Recognizer": "sorigeul.recognition.recognizer",
}


def __getattr__(name: str) -> Any:
    """Load the public names on first use: `--help` need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sorigeul' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
