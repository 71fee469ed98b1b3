"""The run folder: publish and load a model, save and find the state of a run.

Knows files and tensors; nothing of audio, batches or how a model is trained. A published model is
three files that need nothing but this package, and are never read through pickle.
"""

import dataclasses
import json
import logging
import random
import shutil
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sorigeul.errors import UserError
from sorigeul.features import FeatureConfig
from sorigeul.files import replacing, write_text
from sorigeul.model.las import LASConfig, ListenAttendSpell
from sorigeul.model.letters import plain_state
from sorigeul.vocabulary import Vocabulary

WEIGHTS, CONFIG, VOCABULARY = "model.safetensors", "config.json", "vocabulary.json"
STATES = "checkpoints"
_KEPT_STATES = 2  # the newest, and one to fall back on

log = logging.getLogger(__name__)

_Config = TypeVar("_Config", FeatureConfig, LASConfig)


@dataclass(frozen=True)
class Pretrained:
    """A model and all it takes to use it."""

    model: ListenAttendSpell
    features: FeatureConfig
    vocabulary: Vocabulary
    normalizer: str
    """name and version of the text normaliser its transcripts went through"""
    results: dict[str, str]
    """what was measured when it was published"""


def publish(run: Path, pretrained: Pretrained) -> None:
    """Write the model into the run folder, the weights last, each file whole or not at all."""
    vocabulary = pretrained.vocabulary
    config = {
        "format": "sorigeul/1",
        "model": dataclasses.asdict(pretrained.model.config),
        "features": dataclasses.asdict(pretrained.features),
        "normalizer": pretrained.normalizer,
        "vocabulary_hash": vocabulary.hash,
    }
    write_text(run / VOCABULARY, vocabulary.to_json())
    write_text(run / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    metadata = {**pretrained.results, "vocabulary_hash": vocabulary.hash}
    _write_weights(run / WEIGHTS, plain_state(pretrained.model), metadata)


def _write_weights(path: Path, weights: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    weights = {name: part.contiguous().cpu() for name, part in weights.items()}
    with replacing(path) as temporary:
        try:
            save_file(weights, temporary, metadata)
        except SafetensorError as error:  # safetensors' name for an I/O error
            raise OSError(f"{path} could not be written: {error}") from error


@dataclass(frozen=True)
class Described:
    """What a published model is, without its weights."""

    folder: Path
    config: LASConfig
    features: FeatureConfig
    vocabulary: Vocabulary
    normalizer: str


def describe(source: str | Path) -> Described:
    """Read what the model in a run folder, or on the Hugging Face hub by its id, is."""
    folder = _locate(source)
    config = _read_config(folder / CONFIG)
    vocabulary = (
        Vocabulary.from_json(  # which compares its hash, so that nothing is replaced unseen
            (folder / VOCABULARY).read_text(encoding="utf-8", errors="replace"),
            str(folder / VOCABULARY),
        )
    )
    model_config = _build(LASConfig, config["model"], folder)
    if len(vocabulary) != model_config.vocabulary_size:
        raise UserError(
            f"{folder / VOCABULARY} has {len(vocabulary)} entries, but the model "
            f"{model_config.vocabulary_size}: restore the vocabulary it was trained with"
        )
    if vocabulary.hash != config["vocabulary_hash"]:
        raise _other_vocabulary(folder)
    features = _build(FeatureConfig, config["features"], folder)
    return Described(folder, model_config, features, vocabulary, config["normalizer"])


def load(source: str | Path, device: torch.device | str = "cpu") -> Pretrained:
    """Load a published model from a run folder, or from the Hugging Face hub by its id."""
    described = describe(source)
    folder, vocabulary = described.folder, described.vocabulary
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            results = dict(file.metadata() or {})
        weights = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{folder / WEIGHTS} is damaged ({error}): copy it again") from error
    if results.pop("vocabulary_hash", None) != vocabulary.hash:
        raise _other_vocabulary(folder)
    model = ListenAttendSpell(described.config)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"{folder / WEIGHTS} does not fit {CONFIG}: both must come from one run"
        ) from error
    model.to(device).eval()
    return Pretrained(model, described.features, vocabulary, described.normalizer, results)


def _other_vocabulary(folder: Path) -> UserError:
    return UserError(
        f"{folder / VOCABULARY} is not the vocabulary of {WEIGHTS}: "
        "restore the one it was trained with"
    )


def _locate(source: str | Path) -> Path:
    folder = Path(source)
    if folder.is_dir():
        missing = [name for name in (CONFIG, VOCABULARY, WEIGHTS) if not (folder / name).exists()]
        if missing:
            raise UserError(
                f"{folder} holds no finished model ({', '.join(missing)} missing): "
                "train one with 'sorigeul train', or wait for its first epoch"
            )
        return folder
    looks_like_hub_id = str(source).count("/") == 1 and not str(source).startswith((".", "/"))
    if not looks_like_hub_id:
        raise UserError(f"{source} is neither a run folder nor a Hugging Face id")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(source), allow_patterns=[WEIGHTS, CONFIG, VOCABULARY]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{source} is no folder here, and the Hugging Face hub gave no such model: {reason}"
        ) from error


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        known = isinstance(config, dict) and config["format"] == "sorigeul/1"
        known = known and {"model", "features", "normalizer", "vocabulary_hash"} <= config.keys()
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError):
        known = False
    if not known:
        raise UserError(f"{path} is damaged or of another program: restore it from the run")
    return dict(config)


def _build(kind: type[_Config], values: dict[str, Any], folder: Path) -> _Config:
    try:
        return kind(**values)
    except TypeError as error:
        raise UserError(
            f"{folder / CONFIG} has settings this version does not know ({error}): "
            "use the version of sorigeul that wrote it"
        ) from error


# The state of a run: all it takes to go on as if nothing had happened.


def save_state(run: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state after `step` steps and let the oldest ones go."""
    path = _state_path(run, step)
    with replacing(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # torch's name for an I/O error
            raise OSError(f"{path} could not be written, the disk may be full: {error}") from error
    for old in _states(run)[:-_KEPT_STATES]:
        old.unlink()
    for half in path.parent.glob(".step-*.pt"):  # of a process that was killed while it wrote
        half.unlink()
    return path


def latest_state(run: Path) -> dict[str, Any] | None:
    """The newest readable state of a run, or none where it has none yet."""
    states = _states(run)
    for path in reversed(states):
        try:
            return _read_state(path)
        except (zipfile.BadZipFile, UnpicklingError, RuntimeError, OSError, ValueError) as error:
            damaged = path.with_suffix(".damaged")
            reason = str(error).partition("\n")[0]
            shutil.move(path, damaged)
            log.warning("%s is damaged (%s); kept as %s", path, reason, damaged.name)
    if states:
        raise UserError(f"no checkpoint in {run / STATES} can be read: start in another folder")
    return None


def state_of_step(run: Path, step: int) -> dict[str, Any]:
    """The state after `step` steps, which another process has found readable."""
    path = _state_path(run, step)
    if not path.exists():
        raise UserError(f"{path} is not here: all processes of a run must see the same run folder")
    return _read_state(path)


def _read_state(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:  # torch itself compares no checksums
        if (part := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"{part} does not match its checksum")
    # Tensors and plain values only: a checkpoint from a stranger can run nothing.
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _state_path(run: Path, step: int) -> Path:
    return run / STATES / f"step-{step:09d}.pt"


def _states(run: Path) -> list[Path]:
    return sorted((run / STATES).glob("step-*.pt"))


def begun(run: Path) -> bool:
    """Whether a run has a state to go on from."""
    return bool(_states(run))


def keep_vocabulary(run: Path, vocabulary: Vocabulary) -> None:
    """Keep what a run that began from another model writes with, so as not to need that again."""
    write_text(run / STATES / VOCABULARY, vocabulary.to_json())


def kept_vocabulary(run: Path) -> Vocabulary | None:
    """What `keep_vocabulary` kept; None for a run that began from nothing."""
    path = run / STATES / VOCABULARY
    if not path.exists():
        return None
    return Vocabulary.from_json(path.read_text(encoding="utf-8", errors="replace"), str(path))


# The weights of the best epochs, light enough to keep several, and to average.


def save_best(run: Path, epoch: int, model: ListenAttendSpell) -> None:
    """Keep the weights of an epoch."""
    _write_weights(_best_path(run, epoch), model.state_dict(), {})


def has_best(run: Path, epoch: int) -> bool:
    """Whether the weights of an epoch are kept."""
    return _best_path(run, epoch).exists()


def load_best(run: Path, epoch: int) -> dict[str, Tensor]:
    """The weights of an epoch, as `save_best` wrote them."""
    path = _best_path(run, epoch)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): set average_best 1 to do without it"
        ) from error


def keep_best(run: Path, epochs: Collection[int]) -> None:
    """Let the weights of all other epochs go, and what a killed process left half written."""
    kept = {_best_path(run, epoch) for epoch in epochs}
    for path in (run / STATES).glob("*best-*.safetensors"):
        if path not in kept:
            path.unlink()


def _best_path(run: Path, epoch: int) -> Path:
    return run / STATES / f"best-{epoch:04d}.safetensors"


# Chance.


def random_state() -> dict[str, Any]:
    """The state of every random generator in use, as plain values and tensors."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (str(name), np.asarray(keys).tolist(), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        # Of this process's own GPU: the next run may see others.
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Undo whatever was drawn since `random_state`."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"])
