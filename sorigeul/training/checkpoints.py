"""Checkpoints of a training run: what they hold, how they are written, and how a run resumes.

A resumed run ends with the same weights as one that never stopped, even from the middle of an
epoch. So a checkpoint (`RunState`) holds weights, optimizer and random generators, and also the
position of the data loader in its epoch and the running totals of that epoch. If a setting changed
that decides which utterances are in which batch (`epoch_order`), the saved position means nothing,
and the epoch begins again.

The loop in `run.py` decides when to save and resume. Published models are in `sorigeul.pretrained`.
"""

import errno
import json
import logging
import shutil
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing, write_text
from sorigeul.base.records import build, read_object
from sorigeul.base.weights import read_weights, write_weights
from sorigeul.data.config import ORDER_INDEPENDENT, DataConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.description import VOCABULARY
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.running_totals import EpochTotals, RunPosition
from sorigeul.training.settings import Settings

CHECKPOINTS = "checkpoints"
_ENCODER = "encoder.json"
_FORMAT = 3
_KEPT_CHECKPOINTS = 2  # the newest, and the one before in case it is damaged

log = logging.getLogger(__name__)


# What a checkpoint holds.


@dataclass(frozen=True)
class RunState:
    """Everything a run needs to continue as if it had never stopped."""

    position: RunPosition
    totals: EpochTotals
    learner: Mapping[str, Any]
    """`Learner.state_dict`; a state that was read has the other keys of the checkpoint as well"""
    loader: dict[str, Any] | None
    """position of the data loader in its epoch, prefetched batches included; None between two
    epochs, since the next one begins with its first batch"""
    epoch_order: Mapping[str, Any]
    random: Sequence[dict[str, Any]]
    """`random_state` of each process, by rank"""
    metrics_rows: int
    """rows of `metrics.jsonl` that were written before the checkpoint"""
    vocabulary_hash: str

    def to_dict(self) -> dict[str, Any]:
        """The content of a checkpoint. Its keys never change, so that old runs can be resumed."""
        return {
            "format": _FORMAT,
            "position": vars(self.position),
            "tally": vars(self.totals),
            **self.learner,
            "batches": self.loader,
            "drawn_by": self.epoch_order,
            "random": self.random,
            "rows": self.metrics_rows,
            "vocabulary_hash": self.vocabulary_hash,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any], run: Path, vocabulary: Vocabulary) -> "RunState":
        """The state in a checkpoint of `run`.

        Raises UserError if another version of the package wrote it, or if it belongs to another
        vocabulary.
        """
        if content.get("format") != _FORMAT:
            raise UserError(
                f"{run} was begun by another version of sorigeul: finish it with that one, or "
                "train into a new folder"
            )
        if content.get("vocabulary_hash") != vocabulary.hash:
            raise other_vocabulary(run)
        with explain_contents(run):
            position = build(RunPosition, content["position"])
            # An older checkpoint may name an epoch whose weights were removed later on.
            position.best = [best for best in position.best if has_epoch_weights(run, best[1])]
            values = {
                "position": position,
                "totals": build(EpochTotals, content["tally"]),
                "learner": content,
                "loader": content["batches"],
                # A checkpoint from before a setting was added was made with its default.
                "epoch_order": {**asdict(DataConfig()), **content["drawn_by"]},
                "random": content["random"],
                "metrics_rows": content["rows"],
                "vocabulary_hash": content["vocabulary_hash"],
            }
            return build(cls, values)

    def changes_of_order(self, order: Mapping[str, Any]) -> list[str]:
        """The names of everything in `order` that differs from when the checkpoint was saved.

        If there are any, the position in the epoch cannot be restored: the data loader would
        continue with the old batches, or with others than those that are left.
        """
        if self.loader is None:
            return []
        return [name for name, value in order.items() if self.epoch_order.get(name) != value]


def other_vocabulary(run: Path) -> UserError:
    """The error of a run whose training text has other characters than it was begun with."""
    return UserError(
        f"{run} was begun with another vocabulary: train into a new folder, or restore the "
        "transcripts it was begun with"
    )


def epoch_order(
    settings: Settings, utterances: int | tuple[int, ...], processes: int
) -> dict[str, Any]:
    """Everything that decides which utterances are in which batch of an epoch.

    `utterances` is the size of the training split, or of that of each corpus. The names are keys of
    checkpoints and are shown in a warning if the values change.
    """
    sampling = asdict(settings.data)
    return {
        **{name: value for name, value in sampling.items() if name not in ORDER_INDEPENDENT},
        "seed": settings.training.seed,
        "the number of processes": processes,
        "the number of utterances": utterances,
    }


@contextmanager
def explain_contents(run: Path) -> Iterator[None]:
    """Turn what goes wrong with the contents of a checkpoint into a UserError.

    For a checkpoint that is whole, but that no run has written.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if "memory" in str(error):  # PyTorch has no class of its own for it on a CPU
            raise
        raise UserError(
            f"the newest checkpoint in {run / CHECKPOINTS} does not hold what a checkpoint of this "
            f"run holds ({_first_line(error)}): move it away to go on from the one before it"
        ) from error


# Writing and reading checkpoints.


def save_checkpoint(run: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state after `step` steps and remove all but the newest checkpoints."""
    path = _checkpoint_path(run, step)
    if path.is_dir():
        kept = path.rename(path.with_suffix(".folder"))
        log.warning("%s is a folder; kept as %s", path, kept.name)
    with replacing(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # torch's name for an I/O error
            raise OSError(f"{path} could not be written, the disk may be full: {error}") from error
    for old in _checkpoint_paths(run)[:-_KEPT_CHECKPOINTS]:
        old.unlink()
    for unfinished in path.parent.glob(".step-*.pt"):  # left by a process that was killed
        unfinished.unlink()
    return path


def latest_checkpoint(run: Path) -> dict[str, Any] | None:
    """The content of the newest checkpoint that is whole, or None if there is no checkpoint.

    One that is proved to be damaged is renamed, with a warning; a folder is passed over. Raises
    UserError if all are damaged, or if one cannot be read for a reason that is no damage: then
    nothing is renamed.
    """
    for folder in _named_as_checkpoints(run):
        if folder.is_dir():
            log.warning("%s is a folder, and no checkpoint: it is passed over", folder)
    paths = _checkpoint_paths(run)
    for path in reversed(paths):
        try:
            return _read_checkpoint(path)
        except _DamagedCheckpoint as error:
            damaged = path.with_suffix(".damaged")
            shutil.move(path, damaged)
            log.warning("%s is damaged (%s); kept as %s", path, error, damaged.name)
    if paths:
        raise UserError(
            f"no checkpoint in {run / CHECKPOINTS} can be read: give --restart to begin again from "
            "step 0, or choose another folder"
        )
    return None


def checkpoint_of_step(run: Path, step: int) -> dict[str, Any]:
    """The content of the checkpoint after `step` steps, which another process could read."""
    path = _checkpoint_path(run, step)
    if not path.exists():
        raise UserError(f"{path} is not here: all processes of a run must see the same run folder")
    try:
        return _read_checkpoint(path)
    except _DamagedCheckpoint as error:
        raise UserError(f"{path} is damaged ({error})") from error


class _DamagedCheckpoint(Exception):
    """A checksum or a check of the format proves that a checkpoint is not what was written."""


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises _DamagedCheckpoint only if it is proved to be damaged. If it cannot be read for any other
    reason (memory is short, a file system does not answer, a permission is missing), it may well be
    whole, and UserError gives the reason.
    """
    try:
        if (damaged_file := _damaged_file(path)) is not None:
            raise _DamagedCheckpoint(f"{damaged_file} does not match its checksum")
        # Tensors and plain values only: a checkpoint from a stranger cannot run code.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError, RuntimeError) as error:
        if getattr(error, "errno", None) == errno.EINVAL:  # a header points to where nothing can be
            raise _DamagedCheckpoint(_first_line(error)) from error
        raise UserError(
            f"{path} cannot be read ({_first_line(error) or 'memory is short'}): it may be whole, "
            "so nothing was changed; give the same command again when that is mended, or move the "
            "file away to go on from the checkpoint before it"
        ) from error
    except (UnpicklingError, zipfile.BadZipFile, ValueError, EOFError, LookupError) as error:
        raise _DamagedCheckpoint(_first_line(error)) from error
    if not isinstance(content, dict):
        raise _DamagedCheckpoint(f"it holds a {type(content).__name__}")
    return content


def _damaged_file(path: Path) -> str | None:
    """The first file in the archive that does not match its checksum; torch compares none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip()
    except RuntimeError as error:  # encrypted, or of a newer format, says a header
        raise zipfile.BadZipFile(str(error)) from error
    except zipfile.BadZipFile as error:
        if isinstance(error.__context__, OSError):  # zipfile's own words for a read that failed
            raise error.__context__ from None
        raise


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _checkpoint_path(run: Path, step: int) -> Path:
    return run / CHECKPOINTS / f"step-{step:09d}.pt"


def _checkpoint_paths(run: Path) -> list[Path]:
    return [path for path in _named_as_checkpoints(run) if not path.is_dir()]


def _named_as_checkpoints(run: Path) -> list[Path]:
    return sorted((run / CHECKPOINTS).glob("step-*.pt"))


def has_checkpoint(run: Path) -> bool:
    """Whether a run has a checkpoint to resume from."""
    return bool(_checkpoint_paths(run))


# The vocabulary of a run that does not follow from its corpora alone.


def save_vocabulary(run: Path, vocabulary: Vocabulary) -> None:
    """Save the vocabulary of a run; it resumes without the model or the text it comes from."""
    write_text(run / CHECKPOINTS / VOCABULARY, vocabulary.to_json())


def load_vocabulary(run: Path) -> Vocabulary | None:
    """What `save_vocabulary` wrote; None for a run whose vocabulary follows from its corpora."""
    path = run / CHECKPOINTS / VOCABULARY
    if not path.exists():
        return None
    return Vocabulary.read(path)


# The shape of a pretrained listener, so that its run resumes without the source of its weights.


def save_encoder(run: Path, encoder: Mapping[str, Any]) -> None:
    """Save the shape of a pretrained listener's encoder."""
    write_text(run / CHECKPOINTS / _ENCODER, json.dumps(encoder, indent=2) + "\n")


def load_encoder(run: Path) -> dict[str, Any]:
    """What `save_encoder` wrote; UserError if it is gone or damaged."""
    path = run / CHECKPOINTS / _ENCODER
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} describes the listener of the run and cannot be read ({error}): restore it, "
            "or give --restart to begin again from step 0"
        ) from error


# The weights of the best epochs, small enough to keep several of them, to be averaged at the end.


def save_epoch_weights(run: Path, epoch: int, model: ListenAttendSpell) -> None:
    """Save the weights after an epoch."""
    write_weights(_epoch_weights_path(run, epoch), model.state_dict())


def has_epoch_weights(run: Path, epoch: int) -> bool:
    """Whether the weights of an epoch are saved."""
    return _epoch_weights_path(run, epoch).exists()


def load_epoch_weights(run: Path, epoch: int) -> dict[str, Tensor]:
    """The weights of an epoch, as `save_epoch_weights` wrote them.

    Raises UserError if they cannot be read.
    """
    try:
        return read_weights(_epoch_weights_path(run, epoch))[0]
    except UserError as error:
        raise UserError(f"{error}; or set average_best 1 to do without it") from error


def prune_epoch_weights(run: Path, epochs: Collection[int]) -> None:
    """Remove the weights of all other epochs, and files that a killed process left unfinished."""
    kept_paths = {_epoch_weights_path(run, epoch) for epoch in epochs}
    for path in (run / CHECKPOINTS).glob("*best-*.safetensors"):
        if path not in kept_paths:
            path.unlink()


def _epoch_weights_path(run: Path, epoch: int) -> Path:
    return run / CHECKPOINTS / f"best-{epoch:04d}.safetensors"
