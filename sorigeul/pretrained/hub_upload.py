"""A model to the Hugging Face hub: what whoever loads it needs, and nothing else of its folder."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sorigeul.base.checksums import file_checksum
from sorigeul.base.errors import UserError
from sorigeul.base.hub import upload
from sorigeul.base.records import read_object
from sorigeul.pretrained.description import CONFIG, EXPORT, VOCABULARY, WEIGHTS
from sorigeul.pretrained.model_card import CARD, CardOptions, is_automatic, model_card
from sorigeul.pretrained.search_settings import SEARCH

log = logging.getLogger(__name__)

_OF_RUN = (CONFIG, VOCABULARY, WEIGHTS)
_OF_EXPORT = (CONFIG, VOCABULARY, EXPORT)
_MAY_BE_THERE = (SEARCH, CARD, "index.html")
_GRAPHS = "*.onnx"
_FOLDERS = ("lm", "page")
"""of an export: its language model, and its page for a browser"""
_REPLACED = (
    *(*_OF_RUN, EXPORT, *_MAY_BE_THERE, _GRAPHS),
    *(f"{folder}/*" for folder in _FOLDERS),
)
"""patterns of all files that a model may have on the hub; those that this one lacks are removed"""


@dataclass(frozen=True)
class Upload:
    """What was done."""

    url: str
    """of the model on the hub"""
    files: dict[str, int]
    """sizes in bytes, by name"""


def push_to_hub(folder: Path, repository: str, private: bool = False) -> Upload:
    """Upload the model in a run folder, or in that of an export, to OWNER/NAME on the hub.

    The repository is made if it is not there; with `private` only its owner sees it then. What it
    held of another model goes. The card is that of the folder, or is made now if there is none but
    what an export made by itself, which has another name. Raises UserError if there is no whole
    model in the folder, and if the hub cannot be reached or refuses.
    """
    _check_whole(folder)
    contents: dict[str, Path | bytes] = {name: folder / name for name in _names(folder)}
    path = folder / CARD
    if not path.is_file() or is_automatic(path.read_text(encoding="utf-8", errors="replace")):
        contents[CARD] = model_card(folder, CardOptions(name=repository)).encode()
    else:
        _warn_if_older(path, folder / (EXPORT if (folder / EXPORT).is_file() else WEIGHTS))
    url = upload(contents, repository, private, _REPLACED)
    sizes = {
        name: len(content) if isinstance(content, bytes) else content.stat().st_size
        for name, content in contents.items()
    }
    return Upload(url, sizes)


def _warn_if_older(card: Path, model: Path) -> None:
    """Somebody's own card goes as it is, but may have the figures of an earlier model."""
    if card.stat().st_mtime < model.stat().st_mtime:
        log.warning(
            "%s is older than %s, and goes as it is. See whether it still holds, or make it anew: "
            "sorigeul card %s --out %s --overwrite",
            *(card, model.name, card.parent, card),
        )


def _check_whole(folder: Path) -> None:
    """Raise UserError if whoever downloads the model could not load it."""
    if not (folder / EXPORT).is_file():
        from sorigeul.pretrained.loading import load_pretrained

        load_pretrained(folder)
        return
    try:
        checksums = read_object(folder / EXPORT).get("checksums", {})
        damaged = [name for name in checksums if file_checksum(folder / name) != checksums[name]]
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} is no whole export ({error}): export the model again") from error
    if damaged:
        raise UserError(f"{folder} is damaged ({', '.join(damaged)}): export the model again")


def _names(folder: Path) -> Iterator[str]:
    """The files of a model: of what it may have, those that are there."""
    if not (folder / EXPORT).is_file():
        yield from _OF_RUN
    else:
        yield from _OF_EXPORT
        yield from sorted(path.name for path in folder.glob(_GRAPHS))
        for name in _FOLDERS:
            files = sorted(path for path in (folder / name).rglob("*") if path.is_file())
            yield from (path.relative_to(folder).as_posix() for path in files)
    yield from (name for name in _MAY_BE_THERE if (folder / name).is_file())
