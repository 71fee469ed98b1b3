"""The run folder: publish and load a model, save and find the state of a run.

Knows files and tensors; nothing of audio, batches or how a model is trained. A published model is
three files that need nothing but this package, and are never read through pickle.
"""

import logging
import shutil
import zipfile
from collections.abc import Collection
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing, write_text
from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.loading import VOCABULARY
from sorigeul.pretrained.publishing import write_weights
from sorigeul.text.vocabulary import Vocabulary

CHECKPOINTS = "checkpoints"
_KEPT_CHECKPOINTS = 2  # the newest, and one to fall back on

log = logging.getLogger(__name__)


# The state of a run: all it takes to go on as if nothing had happened.


def save_checkpoint(run: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state after `step` steps and let the oldest ones go."""
    path = _checkpoint_path(run, step)
    with replacing(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # torch's name for an I/O error
            raise OSError(f"{path} could not be written, the disk may be full: {error}") from error
    for old in _checkpoint_paths(run)[:-_KEPT_CHECKPOINTS]:
        old.unlink()
    for half in path.parent.glob(".step-*.pt"):  # of a process that was killed while it wrote
        half.unlink()
    return path


def latest_checkpoint(run: Path) -> dict[str, Any] | None:
    """The newest readable state of a run, or none where it has none yet."""
    states = _checkpoint_paths(run)
    for path in reversed(states):
        try:
            return _read_checkpoint(path)
        except (zipfile.BadZipFile, UnpicklingError, RuntimeError, OSError, ValueError) as error:
            damaged = path.with_suffix(".damaged")
            reason = str(error).partition("\n")[0]
            shutil.move(path, damaged)
            log.warning("%s is damaged (%s); kept as %s", path, reason, damaged.name)
    if states:
        raise UserError(
            f"no checkpoint in {run / CHECKPOINTS} can be read: start in another folder"
        )
    return None


def checkpoint_of_step(run: Path, step: int) -> dict[str, Any]:
    """The state after `step` steps, which another process has found readable."""
    path = _checkpoint_path(run, step)
    if not path.exists():
        raise UserError(f"{path} is not here: all processes of a run must see the same run folder")
    return _read_checkpoint(path)


def _read_checkpoint(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:  # torch itself compares no checksums
        if (part := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"{part} does not match its checksum")
    # Tensors and plain values only: a checkpoint from a stranger can run nothing.
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _checkpoint_path(run: Path, step: int) -> Path:
    return run / CHECKPOINTS / f"step-{step:09d}.pt"


def _checkpoint_paths(run: Path) -> list[Path]:
    return sorted((run / CHECKPOINTS).glob("step-*.pt"))


def has_checkpoint(run: Path) -> bool:
    """Whether a run has a state to go on from."""
    return bool(_checkpoint_paths(run))


def save_vocabulary(run: Path, vocabulary: Vocabulary) -> None:
    """Keep what a run that began from another model writes with, so as not to need that again."""
    write_text(run / CHECKPOINTS / VOCABULARY, vocabulary.to_json())


def load_vocabulary(run: Path) -> Vocabulary | None:
    """What `keep_vocabulary` kept; None for a run that began from nothing."""
    path = run / CHECKPOINTS / VOCABULARY
    if not path.exists():
        return None
    return Vocabulary.from_json(path.read_text(encoding="utf-8", errors="replace"), str(path))


# The weights of the best epochs, light enough to keep several, and to average.


def save_epoch_weights(run: Path, epoch: int, model: ListenAttendSpell) -> None:
    """Keep the weights of an epoch."""
    write_weights(_epoch_weights_path(run, epoch), model.state_dict(), {})


def has_epoch_weights(run: Path, epoch: int) -> bool:
    """Whether the weights of an epoch are kept."""
    return _epoch_weights_path(run, epoch).exists()


def load_epoch_weights(run: Path, epoch: int) -> dict[str, Tensor]:
    """The weights of an epoch, as `save_best` wrote them."""
    path = _epoch_weights_path(run, epoch)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): set average_best 1 to do without it"
        ) from error


def prune_epoch_weights(run: Path, epochs: Collection[int]) -> None:
    """Let the weights of all other epochs go, and what a killed process left half written."""
    kept = {_epoch_weights_path(run, epoch) for epoch in epochs}
    for path in (run / CHECKPOINTS).glob("*best-*.safetensors"):
        if path not in kept:
            path.unlink()


def _epoch_weights_path(run: Path, epoch: int) -> Path:
    return run / CHECKPOINTS / f"best-{epoch:04d}.safetensors"
