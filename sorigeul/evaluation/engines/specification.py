"""What a user calls an engine, as in `sorigeul compare --engine`, to the engine itself."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.printable import printable
from sorigeul.evaluation.engines.engine import Engine
from sorigeul.evaluation.engines.openai_server import KEY_VARIABLE, OpenAIServer
from sorigeul.evaluation.engines.run import Run
from sorigeul.evaluation.engines.text_file import TextFile
from sorigeul.evaluation.engines.vosk_model import VoskModel

_NAMED = re.compile(r"([^=:/#]+)=(.+)")


@dataclass(frozen=True)
class NamedEngine:
    """An engine, and how it is called in tables."""

    name: str
    specification: str
    """as the user wrote it, without the name"""
    engine: Engine


def open_engines(texts: Sequence[str], split: str) -> list[NamedEngine]:
    """The engines that a user names, each as ENGINE or NAME=ENGINE.

    ENGINE is vosk, vosk:MODEL_FOLDER, openai:URL#MODEL, file:TEXTS, or else a run folder or a
    Hugging Face id; `split` is that of TEXTS if they are a folder of manifests. Raises UserError
    if one cannot be opened, or if two have the same name.
    """
    split_texts = [_split_name(text) for text in texts]
    names = [name for name, _ in split_texts]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two engines are called {name}: give each a name, as in a={name}")
    return [NamedEngine(name, text, _open(text, split)) for name, text in split_texts]


def _split_name(text: str) -> tuple[str, str]:
    match = _NAMED.fullmatch(text)
    name, specification = (match[1].strip(), match[2]) if match else (text, text)
    return printable(name), specification


def _open(specification: str, split: str) -> Engine:
    kind, colon, rest = specification.partition(":")
    if specification == "vosk":
        return VoskModel()
    if not colon or kind not in ("vosk", "openai", "file"):
        return Run(specification)
    if not rest:
        raise UserError(f"nothing follows {specification}: give {_FORMS[kind]}")
    if kind == "vosk":
        return VoskModel(Path(rest))
    if kind == "file":
        return TextFile(Path(rest), split)
    url, _, model = rest.partition("#")
    if not model:
        raise UserError(f"{specification} names no model: give {_FORMS[kind]}")
    return OpenAIServer(url, model, os.environ.get(KEY_VARIABLE, ""))


_FORMS = {"vosk": "vosk:MODEL_FOLDER", "openai": "openai:URL#MODEL", "file": "file:TEXTS"}
