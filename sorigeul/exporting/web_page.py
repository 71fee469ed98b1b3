"""A page beside an export that recognises wholly in a browser: its files, and its settings.

The page has no build step. It computes what `transcribe` does by default, with ONNX Runtime as
WebAssembly; its modules in `page/` are named after ours, and a test compares what both write.
"""

import dataclasses
import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

from sorigeul.lm.ngram import NgramModel
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.search.decoding import Search
from sorigeul.search.options import SearchRequest
from sorigeul.sound.segments import SegmentLimits

PAGE = Path(__file__).with_name("page")
INDEX, FOLDER, SETTINGS = "index.html", "page", "settings.json"
_SILERO = "silero_vad"


def write_web_page(
    folder: Path, pretrained: PretrainedModel, language_model: NgramModel | None
) -> None:
    """Write the page into the folder of an export, which holds everything else it needs."""
    shutil.copytree(PAGE, folder / FOLDER, ignore=shutil.ignore_patterns("SHA256SUMS", "README.md"))
    (folder / FOLDER / INDEX).rename(folder / INDEX)
    silero = str(resources.files("sorigeul.sound") / _SILERO)
    shutil.copytree(silero, folder / FOLDER / _SILERO)
    settings = json.dumps(page_settings(pretrained, language_model), indent=2)
    (folder / FOLDER / SETTINGS).write_text(settings + "\n", encoding="utf-8")


def page_settings(pretrained: PretrainedModel, language_model: NgramModel | None) -> dict[str, Any]:
    """How the page recognises: as this version does with this model, if nothing else is asked."""
    config, features = pretrained.model.config, pretrained.features
    language_models = [] if language_model is None else [language_model]
    fingerprints = [model.fingerprint for model in language_models]
    tuned = pretrained.search.find(fingerprints)
    options = pretrained.search_options(SearchRequest(lm=("lm",) * len(fingerprints)), fingerprints)
    width = Search([pretrained.model], options, language_models).width
    limits = SegmentLimits.for_longest_utterance(pretrained.longest_utterance)
    return {
        "features": {
            **dataclasses.asdict(features),
            "window_samples": features.window_samples,
        },
        "limits": dataclasses.asdict(limits),
        "model": {
            name: getattr(config, name)
            for name in (
                "use_attention",
                "use_bidirectional",
                "reduction",
                "sos_id",
                "eos_id",
                "pad_id",
            )
        },
        "search": {**dataclasses.asdict(options), "beam": width},
        "language_model": None if language_model is None else {"order": language_model.order},
        "calibration": tuned.calibration["segments"] if tuned and tuned.calibration else None,
    }
