"""Export of a trained model: a folder that runs without PyTorch, checked against the model."""

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from torch import from_numpy

from sorigeul.base.checksums import file_checksum
from sorigeul.base.errors import UserError
from sorigeul.exporting.checks import Agreement, check_export, made_recordings
from sorigeul.exporting.listener_graph import listener_graph
from sorigeul.exporting.row_rounding import rounded_weights
from sorigeul.exporting.runtime import (
    CHECKED,
    FORMAT,
    LANGUAGE_MODEL,
    LISTENER,
    SPELLER,
    ExportRecord,
    OnnxModel,
    is_export,
)
from sorigeul.exporting.speller_graph import speller_graph
from sorigeul.exporting.web_page import FOLDER, INDEX, write_web_page
from sorigeul.lm.loading import load_language_model
from sorigeul.lm.ngram import NgramModel
from sorigeul.pretrained.description import (
    CONFIG,
    EXPORT,
    VOCABULARY,
    PretrainedModel,
    describe_pretrained,
)
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.pretrained.model_card import (
    CARD,
    CardOptions,
    ModelOrigin,
    is_automatic,
    mark_as_automatic,
    model_card,
)
from sorigeul.pretrained.search_settings import SEARCH
from sorigeul.sound import audio
from sorigeul.sound.audio import Samples
from sorigeul.sound.features import LogMel

_MOST_RECORDINGS = 8
_LONGEST_SECONDS = 30.0  # of a recording that is compared
_WRITTEN = {*CHECKED, SEARCH, EXPORT, CARD, LANGUAGE_MODEL, INDEX, FOLDER}
"""names of all that an export may have in its folder"""


@dataclass(frozen=True)
class ExportOptions:
    """What an export holds, and what it is checked with."""

    int8: bool = False
    """whether matrices are stored with eight bits and one scale a row"""
    lm: str = ""
    """n-gram language model to put beside the model; none if empty"""
    recordings: Sequence[Path] = ()
    """recordings on which the graphs are compared with the model; if there are none, on noise"""
    overwrite: bool = False
    """whether an export that is there is replaced"""
    web: bool = False
    """whether there is a page that recognises in a browser"""


@dataclass(frozen=True)
class ExportSummary:
    """What came of an export."""

    graph_bytes: int
    """size of the graphs"""
    weight_bytes: int
    """size of the model's weights in float32"""
    agreement: Agreement


def export(run: str, out: Path, options: ExportOptions | None = None) -> ExportSummary:
    """Write the model `run` as a folder `out` of ONNX graphs, and compare them with the model.

    The folder appears when all of it is there and was found right, or not at all. Raises UserError
    for a model, recordings or a language model that cannot be used, and if something else is at
    `out`; ExportError if a graph does not compute what the model does.
    """
    options = options or ExportOptions()
    _refuse(out, options.overwrite)
    if len(options.recordings) > _MOST_RECORDINGS:
        raise UserError(
            f"{len(options.recordings)} recordings to compare on: give {_MOST_RECORDINGS} at most"
        )
    recordings = [_load(path) for path in options.recordings]
    description = describe_pretrained(run)
    if description.config.is_pretrained:
        raise UserError(
            f"{run} has a pretrained listener, which cannot be exported: recognise with the run "
            "itself, or train a listener of sorigeul's own (pyramid, conformer)"
        )
    pretrained = load_pretrained(run)
    source = description.folder
    language_model = _language_model(options.lm, pretrained) if options.lm else None
    model = pretrained.model
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    weight_bytes = sum(array.size * 4 for array in weights.values())
    if options.int8:
        weights = rounded_weights(weights)
        model.load_state_dict({name: from_numpy(array) for name, array in weights.items()})
    with _new_folder(out, options.overwrite) as folder:
        for name, graph in ((LISTENER, listener_graph), (SPELLER, speller_graph)):
            (folder / name).write_bytes(graph(model.config, weights, options.int8).to_bytes())
        exported = OnnxModel.from_folder(folder, model.config)
        log_mel = LogMel(pretrained.features)
        agreement = check_export(model, exported, log_mel, recordings or made_recordings())
        for name in (CONFIG, VOCABULARY, SEARCH):
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
        if language_model is not None:
            language_model.save(folder / LANGUAGE_MODEL)
        if options.web:
            write_web_page(folder, pretrained, language_model)
        record = ExportRecord(
            format=FORMAT,
            precision="int8" if options.int8 else "float32",
            results=pretrained.results,
            version=version("sorigeul"),
            checksums={name: file_checksum(folder / name) for name in CHECKED},
            origin=ModelOrigin.of_run(source).to_json(),
        )
        graph_bytes = sum((folder / name).stat().st_size for name in (LISTENER, SPELLER))
        text = json.dumps(dataclasses.asdict(record), ensure_ascii=False, indent=2)
        (folder / EXPORT).write_text(text + "\n", encoding="utf-8")
        card = model_card(folder, CardOptions(name=out.resolve().name))
        text = _own_card(out) or mark_as_automatic(card)
        (folder / CARD).write_text(text, encoding="utf-8")
    return ExportSummary(graph_bytes, weight_bytes, agreement)


def _language_model(source: str, pretrained: PretrainedModel) -> NgramModel:
    model = load_language_model(source, None)
    assert isinstance(model, NgramModel)  # the only kind that needs no PyTorch
    if model.vocabulary.hash != pretrained.vocabulary.hash:
        raise UserError(
            f"{source} has other characters than the model: train it with the model's own "
            "(--vocabulary RUN)"
        )
    return model


def _load(path: Path) -> Samples:
    samples = audio.load(path).samples
    return samples[: round(_LONGEST_SECONDS * audio.SAMPLE_RATE)]


def _refuse(out: Path, overwrite: bool) -> None:
    """Raise UserError if something is at `out` that may not, or cannot, be replaced."""
    if not out.exists():
        return
    if out.is_dir() and (out.is_mount() or out.samefile(Path.cwd())):
        raise UserError(
            f"{out} cannot be replaced by a folder that is written beside it: give a new folder in "
            "it, or another place"
        )
    if out.is_dir() and not any(out.iterdir()):
        return
    if not is_export(out):
        raise UserError(f"{out} exists, and is no export: choose another place")
    if not overwrite:
        raise UserError(f"{out} exists: give --overwrite if you mean it, or choose another place")
    foreign = sorted(path.name for path in out.iterdir() if path.name not in _WRITTEN)
    if foreign:
        raise UserError(
            f"{out} also has {', '.join(foreign[:3])}, which no export wrote, and which would be "
            "lost: move it away, or choose another place"
        )


def _own_card(out: Path) -> str:
    """The card of the export that is replaced, if somebody wrote or edited it; empty otherwise."""
    path = out / CARD
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return "" if is_automatic(text) else text


@contextmanager
def _new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder that is put at `out` when the block ends, and removed if it raises.

    What was at `out` stays until then. Raises UserError if another process has put something there
    in the meantime; an OSError of a write carries `out` as its file name.
    """
    place = Path(os.path.realpath(out))  # a link stays, and leads to the new folder
    hidden = f".{place.name[:32]}."
    work = ""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        work = tempfile.mkdtemp(dir=place.parent, prefix=hidden)
        folder = Path(work, "new")
        folder.mkdir()
        yield folder
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
        _refuse(out, overwrite)
        _put(folder, place, Path(work, "old"))
    except OSError as error:
        # The error of a failed write names no file, or one in a folder that the user never saw.
        file = error.filename
        if error.errno and (file is None or str(file).startswith(str(place.parent / hidden))):
            error.filename = str(out)
        raise
    finally:
        if work:
            shutil.rmtree(work, ignore_errors=True)


def _put(folder: Path, place: Path, old: Path) -> None:
    """Move a folder to a place; what is there is moved to `old`, or stays where this fails."""
    try:
        if place.exists():
            place.rename(old)
        folder.rename(place)
    except BaseException:
        if old.exists() and not place.exists():
            old.rename(place)
        raise
