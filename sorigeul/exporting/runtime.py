"""Models as graphs, run by ONNX Runtime. Loads no PyTorch.

`OnnxModel` stands in for `model.las.ListenAttendSpell` wherever something is recognised: the search
and the rest of recognition take arrays of NumPy as they take tensors.

B utterances, T feature frames, F mel bands, S listener frames, K hypotheses of each utterance,
N = B K hypotheses with an utterance's in successive rows, D width, A width of the keys, L layers of
the speller, V vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from sorigeul.base.checksums import file_checksum
from sorigeul.base.errors import UserError
from sorigeul.base.records import build, read_object
from sorigeul.base.thread_pool import threads_of_a_batch
from sorigeul.exporting.graph import Graph
from sorigeul.model.config import CONV_REDUCTION, LASConfig
from sorigeul.model.memory import Memory
from sorigeul.pretrained.description import (
    CONFIG,
    EXPORT,
    VOCABULARY,
    PretrainedModel,
    read_description,
)

LISTENER, SPELLER, LANGUAGE_MODEL = "listener.onnx", "speller.onnx", "lm"
CHECKED = (CONFIG, VOCABULARY, LISTENER, SPELLER)
"""files that belong together, and without which nothing is recognised"""
FORMAT = "sorigeul-export/1"

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ListenerOutput:
    """What the listener makes of a batch, for the speller and for CTC."""

    values: Floats
    """frames that the speller attends to (B, S, D)"""
    keys: Floats
    """the frames as projected for the score function (B, S, A)"""
    lengths: Integers
    """number of valid frames (B,)"""
    ctc_logits: Floats | None
    """scores of the CTC head (B, S', V), if there is one"""
    ctc_lengths: Integers
    """number of valid CTC frames (B,)"""


@dataclass(frozen=True)
class SpellerState:
    """What the speller keeps from one character to the next: arrays by their names in the graph."""

    arrays: Mapping[str, Floats]
    """hidden state and cells (L, N, D), merged (N, D), previous alignment (N, S)"""

    def select(self, rows: Integers) -> "SpellerState":
        """The state of the hypotheses `rows`."""
        return SpellerState(
            {
                name: array[:, rows] if _has_layers(name) else array[rows]
                for name, array in self.arrays.items()
            }
        )


def _has_layers(name: str) -> bool:
    return name in ("hidden", "cells")


class OnnxSpeller:
    """The speller: one more character of every hypothesis."""

    def __init__(self, graph: Path | Graph, config: LASConfig) -> None:
        self._session, self._config = _session(graph), config
        self._inputs = {value.name: value.shape for value in self._session.get_inputs()}
        self._outputs = [value.name for value in self._session.get_outputs()]

    @property
    def shares_memory(self) -> bool:
        """Whether the hypotheses of an utterance share its memory in a beam search."""
        return self._config.use_attention and "previous" not in self._inputs

    def start(self, memory: Memory) -> SpellerState:
        """The state before the first character, as of `model.speller.Speller.start`."""
        batch, _, width = memory.values.shape
        layers = self._inputs["hidden"][0]
        hidden = np.zeros((layers, batch, width), np.float32)
        if not self._config.use_attention:
            last = memory.values[np.arange(batch), memory.valid.sum(1) - 1].copy()
            if self._config.use_bidirectional:
                last[:, width // 2 :] = memory.values[:, 0, width // 2 :]
            hidden[:] = last
        uniform = memory.valid / memory.valid.sum(1, keepdims=True)
        every = {
            "hidden": hidden,
            "cells": np.zeros_like(hidden),
            "merged": np.zeros((batch, width), np.float32),
            "previous": uniform.astype(np.float32),
        }
        return SpellerState({name: every[name] for name in every if name in self._inputs})

    def __call__(
        self, tokens: Integers, memory: Memory, state: SpellerState | None = None
    ) -> tuple[Floats, Floats, SpellerState]:
        """Tokens (N, 1) -> logits (N, 1, V), alignments (N, 1, S), the state after.

        The `memory` is that of the B utterances, or of each hypothesis if it is not shared.
        """
        state = self.start(memory) if state is None else state
        hypotheses, batch = len(tokens), len(memory.values)
        width = hypotheses // batch
        given: dict[str, npt.NDArray[Any]] = {
            "tokens": tokens.reshape(batch, width),
            "values": memory.values,
            "keys": memory.keys,
            "valid": memory.valid,
        }
        for name, array in state.arrays.items():
            if _has_layers(name):
                array = array.reshape(len(array), batch, width, -1)
            elif name == "merged":
                array = array.reshape(batch, width, -1)
            given[name] = array
        feeds = {name: given[name] for name in self._inputs}
        results: dict[str, Any] = dict(
            zip(self._outputs, self._session.run(self._outputs, feeds), strict=True)
        )
        after = {}
        for name in state.arrays:
            array = results[f"next_{name}"]
            shape = (len(array), hypotheses, -1) if _has_layers(name) else (hypotheses, -1)
            after[name] = array.reshape(shape)
        frames = memory.values.shape[1]
        alignment = results.get("alignment", np.zeros((hypotheses, frames), np.float32))
        logits = results["logits"].reshape(hypotheses, 1, -1)
        return logits, alignment.reshape(hypotheses, 1, frames), SpellerState(after)


class OnnxModel:
    """A model of two graphs: the listener with the CTC head, and a step of the speller."""

    load_again: Callable[[], "OnnxModel"] | None = None
    """loads it from its files, for another process that it is sent to"""

    def __init__(
        self,
        config: LASConfig,
        listener: Path | Graph,
        speller: Path | Graph,
        fingerprint: Callable[[], str],
    ) -> None:
        """Take graphs from their files, or as these hold them.

        `fingerprint` computes a hash of all that they compute. Raises GraphError if one of them is
        damaged, or cannot be.
        """
        self.config, self._fingerprint = config, fingerprint
        self.speller = OnnxSpeller(speller, config)
        self._listener = _session(listener)
        self._outputs = [value.name for value in self._listener.get_outputs()]

    @classmethod
    def from_folder(cls, folder: Path, config: LASConfig) -> "OnnxModel":
        """The model of an export. Raises UserError if a graph is damaged."""

        def fingerprint() -> str:
            digest = sha256()
            for name in (LISTENER, SPELLER):
                digest.update((folder / name).read_bytes())
            return digest.hexdigest()

        try:
            model = cls(config, folder / LISTENER, folder / SPELLER, fingerprint)
        except GraphError as error:
            raise UserError(f"{folder} is damaged ({error}): export the model again") from error
        model.load_again = partial(cls.from_folder, folder, config)
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is pickled and copied: sessions of ONNX Runtime cannot be."""
        if self.load_again is None:
            raise TypeError("a model that was made in memory cannot be pickled or copied")
        return _load_same, (self.load_again, self.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that the graphs compute."""
        return self._fingerprint()

    def listen(self, features: Floats, lengths: Integers) -> ListenerOutput:
        """Features (B, T, F), lengths (B,) -> what the listener makes of them."""
        missing = CONV_REDUCTION - features.shape[1]
        if missing > 0:
            features = np.pad(features, ((0, 0), (0, missing), (0, 0)))
        feeds = {"features": features, "lengths": lengths}
        computed = self._listener.run(self._outputs, feeds)
        results: dict[str, Any] = dict(zip(self._outputs, computed, strict=True))
        values: Floats = results["values"]
        frames: Integers = results["frames"]
        return ListenerOutput(
            values,
            results.get("keys", values),
            frames,
            results.get("ctc_logits"),
            results.get("ctc_frames", frames),
        )

    def make_memory(self, heard: ListenerOutput) -> Memory:
        """The memory that the speller attends to in every step."""
        valid = np.arange(heard.values.shape[1]) < heard.lengths[:, None]
        return Memory(heard.values, heard.keys, valid)

    def ctc_logits(self, heard: ListenerOutput) -> Floats | None:
        """Scores of the CTC head (B, S', V); None if the model has no CTC head."""
        return heard.ctc_logits


def _load_same(load: Callable[[], OnnxModel], fingerprint: str) -> OnnxModel:
    """A model that was pickled. Raises UserError if its files hold another one by now."""
    model = load()
    if model.fingerprint != fingerprint:
        raise UserError("the model has been replaced since it was loaded: load it again")
    return model


@dataclass(frozen=True)
class ExportRecord:
    """What `export.json` says of an export."""

    format: str
    precision: Literal["float32", "int8"]
    results: Mapping[str, Any]
    """metrics of the model at the time of its publishing, by name"""
    version: str
    """of sorigeul that made it"""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """what `file_checksum` gives for the files of `CHECKED`; older exports have none"""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """what `pretrained.model_card.ModelOrigin` knew of the run; older exports have none"""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")


def is_export(source: str | Path) -> bool:
    """Whether `source` is the folder of an exported model."""
    return (Path(source) / EXPORT).is_file()


def read_record(folder: Path) -> ExportRecord:
    """What an export says of itself. Raises UserError if that cannot be read."""
    path = folder / EXPORT
    try:
        return build(ExportRecord, read_object(path))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged, or of another version ({error}): export the model again"
        ) from error


def load_export(folder: Path) -> PretrainedModel:
    """Load an exported model. Its `model` is an `OnnxModel`.

    Raises UserError if its files are damaged or do not belong together, and if ONNX Runtime is not
    installed.
    """
    require_onnx_runtime(folder)
    record = read_record(folder)
    _check_files(folder, record)
    description = read_description(folder)
    model = cast(Any, OnnxModel.from_folder(folder, description.config))
    return description.complete(model, {name: str(value) for name, value in record.results.items()})


def require_onnx_runtime(folder: Path) -> None:
    """Raise UserError if ONNX Runtime is not installed, which computes the model in `folder`."""
    if find_spec("onnxruntime") is None:
        raise UserError(f"{folder} needs ONNX Runtime: pip install onnxruntime")


def _check_files(folder: Path, record: ExportRecord) -> None:
    """Raise UserError if a file is missing, or is not the one that the export was made with."""
    for name in CHECKED:
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing: copy the whole folder of the export")
        try:
            found = file_checksum(path)
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
        if record.checksums.get(name, found) != found:
            raise UserError(
                f"{path} is damaged, or of another export (its checksum is another): copy the "
                "whole folder again, or export the model again"
            )


def onnx_model(pretrained: PretrainedModel) -> OnnxModel | None:
    """The graphs of a model that is computed without PyTorch; None for a model of PyTorch."""
    model: Any = pretrained.model
    return model if isinstance(model, OnnxModel) else None


class GraphError(RuntimeError):
    """A graph that cannot be run."""


def _session(graph: Path | Graph) -> Any:
    """A graph, ready to run. Raises GraphError if it is none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads_of_a_batch()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, and not printed as well
    # Eight bits are turned into float32 once, here, rather than at every step.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content: Path | bytes
    if isinstance(graph, Graph):
        content = graph.structure
        values = map(onnxruntime.OrtValue.ortvalue_from_numpy, graph.constants.values())
        options.add_external_initializers(list(graph.constants), list(values))
    else:
        content = graph
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if "bad_alloc" in str(error):
            raise MemoryError from error
        raise GraphError(" ".join(str(error).split())) from error
