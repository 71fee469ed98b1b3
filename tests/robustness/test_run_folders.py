"""Damaged folders of runs, models and language models, through every command that reads them.

The property: a result and exit status 0, or one printable `error:` line that names the folder and
status 2; nothing in the folder changes but what the command is there to write, and no unfinished
file is left. A training goes on from a checkpoint or ends; it never begins again by itself.
"""

import hashlib
import re
import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from helpers import tones
from helpers.commands import Command, Done
from helpers.damaged_files import damage

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.cli.entry import main
from sorigeul.training.run import train

_MODEL = ("config.json", "vocabulary.json", "model.safetensors", "search.json")
_KINDS = ("run", "model", "run", "ngram", "run", "recurrent")  # a run has the most files
_OF_A_MODEL = ("info", "transcribe", "Recognizer", "evaluate", "tune", "train")
_OF_A_LANGUAGE_MODEL = ("lm score", "lm sample", "transcribe --lm", "lm train")
_TINY_LM = ("--hidden_size", "16", "--batch_characters", "256", "--heldout_share", "0.2")


@pytest.fixture(scope="module")
def wholes(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An unfinished run, the model of one alone, and language models of two kinds."""
    folder = tmp_path_factory.mktemp("whole")
    run, text = folder / "run", folder / "text.txt"
    changes = {"augment_ratio": 0.0, "max_epochs": 50, "max_steps": 8, "checkpoint_every": 3}
    train(corpus, run, tones.TINY.changed(changes, "test"))
    main(["tune", str(run), str(corpus), "--beam", "2"])
    (folder / "model").mkdir()
    for name in _MODEL:
        shutil.copyfile(run / name, folder / "model" / name)
    text.write_text("\n".join(tones.texts(150)), encoding="utf-8")
    for kind, options in (("ngram", ()), ("recurrent", (*_TINY_LM, "--max_steps", "3"))):
        place = ("--kind", kind, "--vocabulary", str(run), *options)
        main(["lm", "train", str(text), str(folder / kind), *place])
    return {name: folder / name for name in _KINDS}


class Trial:
    """A damaged folder, and the commands that are tried on it."""

    def __init__(
        self, sorigeul: Command, wholes: dict[str, Path], corpus: Path, place: Path, number: int
    ) -> None:
        self._sorigeul, self._wholes, self._corpus = sorigeul, wholes, corpus
        self.kind = _KINDS[number % len(_KINDS)]
        self.steps = _OF_A_MODEL if self.kind in ("run", "model") else _OF_A_LANGUAGE_MODEL
        self.folder = Path(shutil.copytree(wholes[self.kind], place / f"folder{number}"))
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        self.damaged = files[number // len(_KINDS) % len(files)]
        self.way = damage(self.damaged, Random(number))
        self._recording = corpus.parent / "audio" / "u00.wav"

    def run(self, step: str) -> None:
        """Try a command, or the class in Python, and check the property."""
        label = f"{self.folder.name}: {self.kind}, {self.damaged.name} {self.way}, {step}"
        before = _contents(self.folder)
        if step == "Recognizer":
            error = self._error_in_python()
            assert error.isprintable(), label
            assert not error or self.folder.name in error, (label, error)
            done = Done(0, "", "")
        else:
            done = self._sorigeul(*self._arguments(step))
            self._check_end(done, step, label)
        after = _contents(self.folder)
        assert not [name for name in after if Path(name).name.startswith(".")], label
        changed = {name for name in before | after if before.get(name) != after.get(name)}
        if "train" not in step:
            assert changed <= ({"search.json"} if step == "tune" else set()), (label, changed)
        elif done.status and "going on from step" not in done.err:
            weights = {before[name] for name in before if name.endswith((".pt", ".safetensors"))}
            assert weights <= {*after.values()}, (label, changed)

    def _error_in_python(self) -> str:
        try:
            Recognizer.from_pretrained(self.folder).transcribe(self._recording)
        except UserError as error:
            return str(error)
        return ""

    def _check_end(self, done: Done, step: str, label: str) -> None:
        said = (label, done)
        lines = done.err.splitlines()
        assert all(line.isprintable() for line in [*lines, *done.out.splitlines()]), said
        errors = [line for line in lines if line.startswith("error: ")]
        assert (done.status, len(errors)) in ((0, 0), (2, 1)), said
        assert all(self.folder.name in error for error in errors), said
        assert all(len(line) < 1_000 for line in lines), said
        if step == "transcribe" and self.damaged.name not in _MODEL:
            assert done.status == 0, said
        if step == "train" and done.status == 0:
            assert re.search(r"going on from step [1-9]", done.err), said

    def _arguments(self, step: str) -> list[str | Path]:
        folder, corpus, run = self.folder, self._corpus, self._wholes["run"]
        text = run.parent / "text.txt"
        of_kind = ("--kind", self.kind, *(() if self.kind == "ngram" else _TINY_LM))
        arguments: dict[str, list[str | Path]] = {
            "info": ["info", folder],
            "transcribe": ["transcribe", folder, self._recording],
            "evaluate": ["evaluate", folder, corpus],
            "tune": ["tune", folder, corpus, "--beam", "2"],
            "train": ["train", corpus, folder, "--max_steps", "10"],
            "lm score": ["lm", "score", folder, text],
            "lm sample": ["lm", "sample", folder, "--lines", "2"],
            "transcribe --lm": ["transcribe", run, self._recording, "--lm", folder],
            "lm train": ["lm", "train", text, folder, "--vocabulary", run, *of_kind],
        }
        return arguments[step]


def _contents(folder: Path) -> dict[str, str]:
    """A digest of each file by its path in the folder; links and folders by what they are."""
    found = {}
    for path in sorted(folder.rglob("*")):
        is_file = path.is_file() and not path.is_symlink()
        kind = "folder" if path.is_dir() else "link"
        content = hashlib.sha256(path.read_bytes()).hexdigest() if is_file else kind
        found[str(path.relative_to(folder))] = content
    return found


def test_damaged_folders(
    sorigeul: Command, wholes: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    for number in range(0, 220, 11):
        trial = Trial(sorigeul, wholes, corpus, tmp_path, number)
        trial.run(trial.steps[number % len(trial.steps)])


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_hundreds_of_damaged_folders(
    sorigeul: Command, wholes: dict[str, Path], corpus: Path, tmp_path: Path
) -> None:
    ways: Counter[str] = Counter()
    for number in range(200):
        trial = Trial(sorigeul, wholes, corpus, tmp_path, number)
        ways[trial.way] += 1
        for step in trial.steps:
            trial.run(step)
        shutil.rmtree(trial.folder)
    assert len(ways) > 8
