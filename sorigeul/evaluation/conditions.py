"""What figures were measured with: the model, the data, the search.

`evaluate --json` writes it beside them, so that a model card shows no figures of another model.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from sorigeul.corpora.report import read_contents
from sorigeul.exporting.runtime import is_export, read_record
from sorigeul.pretrained.description import model_checksum
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.search.options import SearchRequest


def conditions(
    recognizer: Recognizer, request: SearchRequest, data: Path, split: str
) -> dict[str, Any]:
    """The entries `model`, `data` and `search` of the results of an evaluation.

    `request` is what the recogniser was loaded with; `data` is a folder of manifests or a manifest.
    """
    model_folder = recognizer.folder
    assert model_folder is not None  # it was loaded from there
    exported = is_export(model_folder)
    precision = read_record(model_folder).precision if exported else recognizer.precision
    data_folder = data if data.is_dir() else data.parent
    options = asdict(recognizer.setup.options)
    del options["nbest"]  # changes no text
    return {
        "model": {"checksum": model_checksum(model_folder), "precision": precision},
        "data": {
            "name": data_folder.absolute().name,
            "corpora": list(read_contents(data_folder).corpora),
            "split": split if data.is_dir() else data.stem,
        },
        "search": {
            **options,
            "beam": recognizer.search.width,
            "lm": _language_models(recognizer, request),
            "ensemble": _names(request.ensemble),
            "rescore": Path(request.rescore).name,
            "rescore_weight": recognizer.setup.rescore_weight,
            "terms": request.terms is not None,
        },
    }


def _language_models(recognizer: Recognizer, request: SearchRequest) -> list[str]:
    """The names of those in use. An export may have one of its own, which nobody asks for."""
    in_use = len(recognizer.setup.language_models)
    return _names(request.lm) if len(request.lm) == in_use else ["its own"] * in_use


def _names(sources: tuple[str, ...]) -> list[str]:
    """The names of folders, without where they are."""
    return [Path(source).name for source in sources]
