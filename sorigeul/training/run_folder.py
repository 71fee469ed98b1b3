"""The folder of a run before the run begins: whose files are in it, and how a run starts anew.

A run writes over its own files and nobody else's, and over a run that existed only at the user's
word. Both kinds of training use it: of recognisers and of language models.
"""

import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.provenance import RECORD, read_record
from sorigeul.evaluation.result_files import is_result
from sorigeul.pretrained.description import CONFIG, VOCABULARY, WEIGHTS
from sorigeul.pretrained.search_settings import SEARCH
from sorigeul.training.checkpoints import CHECKPOINTS, has_checkpoint
from sorigeul.training.metrics import METRICS, read_metrics
from sorigeul.training.sectioned_settings import SectionedSettings
from sorigeul.training.settings import RUN_CONFIG

log = logging.getLogger(__name__)

TEXT = "text"
"""folder of the prepared text of a language model"""
_WRITTEN = (RECORD, METRICS, "results.md", "plots", WEIGHTS, CONFIG, VOCABULARY, SEARCH, TEXT)
"""what a run writes besides its settings and its checkpoints"""
_EARLIER = "earlier-"
_MANIFESTS = ("train.jsonl", "train.shar")
"""by which a corpus is told, where its folder is given for that of the run"""


def claim_folder(folder: Path, settings: type[SectionedSettings], restart: bool) -> None:
    """See to it that a run with settings of this type may begin, or go on, in a folder.

    With `restart` a run that is there moves into a folder of its own, `earlier-1` and so on.
    Raises UserError if there are files that are not of such a run, or if there is a run that would
    begin again from its first step without `restart`.
    """
    if (folder / RUN_CONFIG).is_file():
        if restart:
            _move_aside(folder)
            return
        settings.from_yaml(folder / RUN_CONFIG)  # UserError if they are somebody else's
    else:
        if any((folder / name).exists() for name in _MANIFESTS):
            raise UserError(
                f"{folder} holds a prepared corpus: name the folder for the run after it, or "
                "choose another"
            )
        for name in _WRITTEN:
            if (folder / name).exists():
                raise UserError(
                    f"{folder} holds {name}, but no training of this kind, and it would be "
                    "overwritten: choose another folder"
                )
    if has_checkpoint(folder):
        return
    lost = sorted(path for path in (folder / CHECKPOINTS).glob("step-*") if not path.is_dir())
    if (folder / WEIGHTS).exists() and not _ended_before_its_first_checkpoint(folder):
        lost.append(folder / WEIGHTS)
    if lost:
        raise UserError(
            f"{folder} holds a training ({lost[0].name}), but no checkpoint to go on from: give "
            f"--restart to begin again from step 0, which keeps all in {_EARLIER}1, or choose "
            "another folder"
        )


def _ended_before_its_first_checkpoint(folder: Path) -> bool:
    """Whether a run was killed just after it had published its first model."""
    record = read_record(folder)
    if record is None or record.get("training_seconds") or record.get("finished"):
        return False
    return len([row for row in read_metrics(folder) if row["kind"] != "step"]) <= 1


def _move_aside(folder: Path) -> None:
    earlier = next(
        path for number in count(1) if not (path := folder / f"{_EARLIER}{number}").exists()
    )
    earlier.mkdir()
    for path in _run_files(folder):
        path.rename(earlier / path.name)
    log.info("what %s held is now in %s", folder, earlier)


def _run_files(folder: Path) -> Iterator[Path]:
    """The settings last: while they are there, an interrupted move is repeated."""
    yield from folder.glob("events.out.tfevents.*")
    # The figures of the model that was: beside a new one they would look like its own.
    yield from [path for path in folder.iterdir() if path.is_file() and is_result(path)]
    for name in (*_WRITTEN, CHECKPOINTS, RUN_CONFIG):
        if (folder / name).exists():
            yield folder / name
