"""`search.json`: what `sorigeul tune` found out about the search with a published model.

The best weights depend on the language models, so there is an entry for each set of them that was
tried; a language model is known by its fingerprint. A damaged file is an error rather than
overlooked, since the model would write something else without it.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.records import build, read_object
from sorigeul.search.options import BEAM_WIDTH, SearchOptions

SEARCH = "search.json"
_FORMAT = "sorigeul-search/1"


@dataclass(frozen=True)
class TunedSearch:
    """The search that was best on a dev split."""

    options: SearchOptions
    language_models: tuple[str, ...] = ()
    """fingerprints of the language models, in the order of their weights"""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """how confidences become probabilities of being right; empty: not at all"""
    results: Mapping[str, Any] = field(default_factory=dict)
    """rates on the dev split, and what it was"""


@dataclass(frozen=True)
class SearchSettings:
    """All entries of a `search.json`."""

    entries: tuple[TunedSearch, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "SearchSettings":
        """Read `search.json` in the folder of a model; nothing if there is none.

        Raises UserError if it is damaged.
        """
        path = folder / SEARCH
        if not path.is_file():
            return cls()
        try:
            content = read_object(path)
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is not {_FORMAT}")
            return cls(tuple(_read_entry(entry) for entry in content["entries"]))
        except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
            raise UserError(
                f"{path} is damaged ({error}): remove it and run 'sorigeul tune' again"
            ) from error

    def write(self, folder: Path) -> None:
        """Write `search.json`, whole or not at all."""
        entries = [dataclasses.asdict(entry) for entry in self.entries]
        for entry in entries:
            del entry["options"]["nbest"]  # a wish of the moment
        text = json.dumps({"format": _FORMAT, "entries": entries}, ensure_ascii=False, indent=2)
        write_text(folder / SEARCH, text + "\n")

    def find(self, language_models: Sequence[str]) -> TunedSearch | None:
        """The entry for language models with these fingerprints, if there is one."""
        wanted = tuple(language_models)
        return next((entry for entry in self.entries if entry.language_models == wanted), None)

    def with_entry(self, entry: TunedSearch) -> "SearchSettings":
        """The same with an entry added or replaced."""
        others = [old for old in self.entries if old.language_models != entry.language_models]
        return SearchSettings((*others, entry))


def _read_entry(entry: Mapping[str, Any]) -> TunedSearch:
    models = entry["language_models"]
    search = build(SearchOptions, entry["options"])
    if not all(isinstance(model, str) for model in models) or len(models) != len(search.lm_weights):
        raise ValueError("its weights do not fit its language models")
    if models and not search.beam:  # by an earlier version, whose beam was that wide
        search = replace(search, beam=BEAM_WIDTH)
    return TunedSearch(search, tuple(models), dict(entry["calibration"]), dict(entry["results"]))
