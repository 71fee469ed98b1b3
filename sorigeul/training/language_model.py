"""Training of a language model, from text to a published model. Reads top to bottom.

A step is one update of the weights on a batch of lines. From time to time the run measures the
model on held-out text, writes a row of the table and publishes the model if it is the best so far.
"""

import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sorigeul.base import provenance
from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.locks import locked_folder
from sorigeul.base.outline import refuse_too_large
from sorigeul.base.progress import progress_bar
from sorigeul.base.records import build
from sorigeul.base.stopping import StopRequests
from sorigeul.base.streams import print_line
from sorigeul.base.weights import not_finite
from sorigeul.lm.language_model import unit_lengths
from sorigeul.lm.model_files import CONFIG, VOCABULARY, read_description
from sorigeul.lm.network import NetworkModel
from sorigeul.lm.networks import NETWORKS
from sorigeul.lm.ngram import train_ngram
from sorigeul.lm.recurrent import RecurrentNetwork
from sorigeul.lm.text_data import TextData, TextOptions, changes_of_text, load_text, prepare_text
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import checkpoints
from sorigeul.training.language_model_results import (
    TABLE_HEAD,
    heldout_metrics,
    plot_learning_curve,
    table_row,
    text_counts,
    write_results,
)
from sorigeul.training.language_model_settings import (
    LanguageModelKind,
    LanguageModelPrecision,
    LanguageModelSettings,
    LanguageModelTraining,
)
from sorigeul.training.metrics import METRICS, MetricsLog, read_metrics
from sorigeul.training.random_state import random_state, restore_random_state
from sorigeul.training.run_folder import TEXT, claim_folder
from sorigeul.training.settings import RUN_CONFIG
from sorigeul.training.text_batches import TextBatch, TextBatches
from sorigeul.training.vocabulary_source import find_vocabulary

log = logging.getLogger(__name__)

_CONFIG_HEAD = "# To repeat this: sorigeul lm train TEXT… LM --vocabulary … --config THIS_FILE\n\n"
_FORMAT = "sorigeul-lm-checkpoint/1"
_MAX_BAD_STEPS = 10  # losses in a row that are not finite before the run gives up
_ORDER = ("seed", "batch_characters", "max_length")
"""settings that decide which lines are in which batch"""


def train_language_model(
    sources: Sequence[Path],
    folder: Path,
    vocabulary_source: str,
    exclude: Sequence[Path],
    settings: LanguageModelSettings,
    command: str | None = None,
    restart: bool = False,
) -> None:
    """Train a language model on text, into `folder`; go on if it holds an unfinished training.

    `sources` and `exclude` are those of `prepare_text`. `vocabulary_source` is that of
    `find_vocabulary`; it may be empty if the folder holds a training already. `command` is named in
    the record of the training as what started it. With `restart` a training that the folder holds
    is put aside, and another begins.
    """
    with locked_folder(folder):
        if not restart:
            _refuse_other_model(folder, settings.training.kind)
        vocabulary = _vocabulary(folder, vocabulary_source)
        claim_folder(folder, LanguageModelSettings, restart)
        text = _text(sources, folder, vocabulary, exclude, settings.training)
        if settings.training.kind == "ngram":
            train_ngram_model(text, folder, settings, command)
        else:
            train_network(text, folder, settings, command)


def _refuse_other_model(folder: Path, kind: LanguageModelKind) -> None:
    """Raise UserError if the folder holds a recogniser, or a language model of another kind."""
    if (folder / CONFIG).exists():
        found = read_description(folder).kind
        if found != kind:
            raise UserError(f"{folder} holds a model of kind {found}: train into a new folder")
    elif checkpoints.has_checkpoint(folder) and not (folder / TEXT).exists():
        raise UserError(f"{folder} holds the training of a recogniser: train into a new folder")


def _vocabulary(folder: Path, source: str) -> Vocabulary:
    if source:
        return find_vocabulary(source)
    if checkpoints.has_checkpoint(folder):
        return find_vocabulary(str(folder))
    raise UserError(
        "whose characters shall the language model write? Give the recogniser it is meant for: "
        "--vocabulary RUN (or a prepared corpus, or a file vocabulary.json)"
    )


def _text(
    sources: Sequence[Path],
    folder: Path,
    vocabulary: Vocabulary,
    exclude: Sequence[Path],
    training: LanguageModelTraining,
) -> TextData:
    """The prepared text: that of the training that goes on, if there is one, else a new one.

    Raises UserError if a training is to go on with text that it was not begun with.
    """
    options = TextOptions(tuple(exclude), training.heldout_share, training.seed)
    if checkpoints.has_checkpoint(folder):
        text = load_text(folder / TEXT, vocabulary)
        if text is not None:
            if changes := list(changes_of_text(text, sources, options)):
                raise UserError(
                    f"{folder} was begun with other text ({', '.join(changes)}): give --restart to "
                    f"begin again, or leave it as it was, which {folder / TEXT / 'report.json'} "
                    "says"
                )
            return text
    text = prepare_text(sources, folder / TEXT, vocabulary, options)
    log.info("%s", ", ".join(f"{name}: {count}" for name, count in text_counts(text).items()))
    return text


def train_ngram_model(
    text: TextData, folder: Path, settings: LanguageModelSettings, command: str | None = None
) -> None:
    """Count n-grams and write the model to `folder`."""
    cpu = torch.device("cpu")
    write_text(folder / RUN_CONFIG, _CONFIG_HEAD + settings.to_yaml())
    started, begin = f"{datetime.now(timezone.utc):%Y-%m-%d}", time.monotonic()
    provenance.begin_record(folder, provenance.run_facts(command, cpu), started, 1)
    model = train_ngram(text, settings.ngram)
    seconds = time.monotonic() - begin
    model.save(folder)
    row: dict[str, Any] = {"kind": "evaluation", "step": 0, "training_seconds": round(seconds, 1)}
    bits = model.facts["heldout_bits_per_character"]
    if bits is not None:
        row |= heldout_metrics(bits * math.log(2))
    write_text(folder / METRICS, json.dumps(row) + "\n")
    write_results(folder, [row], text_counts(text), cpu)
    print_line(f"{TABLE_HEAD}\n{table_row(row)}")
    provenance.end_record(folder, seconds, finished=True)


def train_network(
    text: TextData, folder: Path, settings: LanguageModelSettings, command: str | None = None
) -> None:
    """Train a network into `folder`; go on if it holds an unfinished training.

    SIGINT and SIGTERM end the training after the next step, with a checkpoint. Raises UserError if
    the folder holds the training of another model.
    """
    run = LanguageModelRun(text, folder, settings)
    run.begin_or_resume()
    if run.position.finished:
        log.info("%s is finished; raise --max_epochs, --max_steps or --max_seconds", folder)
        run.metrics.close()
        return
    started = run.position.started
    provenance.begin_record(folder, provenance.run_facts(command, run.device), started, 1)
    with StopRequests() as stop:
        while not run.position.finished and not stop.requested:
            if run.train_epoch(stop):
                run.close_epoch()
    if not run.position.finished:
        run.save_checkpoint()
        step = run.position.step
        log.info("stopped at step %d; the same command goes on from there", step)
    provenance.end_record(folder, run.position.seconds, run.position.finished)
    run.metrics.close()


@dataclass
class Position:
    """How far a training is. The names are keys of the checkpoints."""

    epoch: int = 0
    step: int = 0
    batch: int = 0
    """batches of the current epoch that were read"""
    characters: int = 0
    """characters of the current epoch that were read"""
    seconds: float = 0.0
    """seconds of training, without evaluation"""
    evaluated_step: int = 0
    best_loss: float = math.inf
    """held-out loss of the published model, in nats a character"""
    skipped_steps: int = 0
    """steps whose loss or gradient was not finite"""
    bad_steps: int = 0
    """such steps in a row, up to now"""
    finished: bool = False
    started: str = ""


@dataclass
class Totals:
    """Sums over the steps since the last evaluation."""

    loss: float = 0.0
    """nats"""
    targets: int = 0
    """characters that were to be foretold"""
    characters: int = 0
    seconds: float = 0.0
    gradient_norm: float = 0.0
    steps: int = 0

    def means(self) -> dict[str, float]:
        """Means under their names in `metrics.jsonl`."""
        return {
            "train_loss": self.loss / max(self.targets, 1),
            "gradient_norm": self.gradient_norm / max(self.steps, 1),
            "characters_per_second": self.characters / max(self.seconds, 1e-9),
        }


class LanguageModelRun:
    """The text, network and progress of a training, and its stages."""

    def __init__(self, text: TextData, folder: Path, settings: LanguageModelSettings) -> None:
        self.text, self.folder, self.settings = text, folder, settings
        self.vocabulary, training = text.vocabulary, settings.training
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bfloat16 = _choose_precision(training.precision, self.device)
        size = training.batch_characters, training.max_length
        self.train_batches = TextBatches(text.train, self.vocabulary, *size)
        self.heldout_batches = TextBatches(text.heldout, self.vocabulary, *size)
        self.unit_lengths = torch.from_numpy(unit_lengths(self.vocabulary))
        build = partial(NETWORKS[training.kind], settings.network, self.vocabulary)
        refuse_too_large(build, self.device, "the width or the number of layers")
        torch.manual_seed(training.seed)
        self.network = build().to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), weight_decay=training.weight_decay, fused=True
        )
        self.metrics = MetricsLog(folder, self.device)
        self.position = Position(started=f"{datetime.now(timezone.utc):%Y-%m-%d}")
        self.totals = Totals()

    # Begin or resume, and save.

    def begin_or_resume(self) -> None:
        """Restore the newest checkpoint of the folder, if it has one; write settings and units."""
        state, rows = checkpoints.latest_checkpoint(self.folder), 0
        if state is not None:
            self._restore(state)
            with checkpoints.explain_contents(self.folder):
                rows = int(state["metrics_rows"])
        write_text(self.folder / RUN_CONFIG, _CONFIG_HEAD + self.settings.to_yaml())
        write_text(self.folder / VOCABULARY, self.vocabulary.to_json())
        self.metrics.begin(self.position.step, rows)

    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint, if possible from the same batch of its epoch."""
        folder = self.folder
        if state.get("format") != _FORMAT:
            raise UserError(f"{folder} holds no language model: train into a new folder")
        if state.get("vocabulary_hash") != self.vocabulary.hash:
            raise UserError(
                f"{folder} was begun with another vocabulary: leave --vocabulary as it was, or "
                "train into a new folder"
            )
        kind = state.get("kind", RecurrentNetwork.kind)  # older checkpoints do not say
        if kind != self.network.kind:
            raise UserError(f"{folder} was begun with kind {kind}: train into a new folder")
        with checkpoints.explain_contents(folder):
            for name, value in asdict(self.settings.network).items():
                old = state["model"][name]
                if not name.endswith("dropout") and old != value:
                    raise UserError(
                        f"{folder} was begun with {name} {old}, not {value}: train into a new "
                        f"folder, or leave {name} as it was"
                    )
            self.network.load_state_dict(state["network"])
            if (diverged := not_finite(self.network.state_dict())) is not None:
                raise ValueError(f"{diverged} is not finite")
            self.optimizer.load_state_dict(state["optimizer"])
            self.position = build(Position, state["position"])
            restore_random_state(state["random"])
            order = self._order()
            changes = [name for name, value in order.items() if state["order"][name] != value]
            totals = build(Totals, state["totals"])
        if changes and self.position.batch:
            log.warning("%s changed: the epoch begins again", ", ".join(changes))
            self.position.batch = self.position.characters = 0
        else:
            self.totals = totals
        self.position.finished = self._limit_reached() or self._epochs_finished()
        log.info("going on from step %d of %s", self.position.step, folder)

    def save_checkpoint(self) -> None:
        """Save everything that is needed to go on from here.

        Raises UserError if the weights are not finite: the checkpoint before is worth more.
        """
        if (name := not_finite(self.network.state_dict())) is not None:
            raise UserError(
                f"the training has diverged: {name} is not finite after step {self.position.step}, "
                "so no checkpoint was saved; lower lr, and the same command goes on from the one "
                "before"
            )
        state = {
            "format": _FORMAT,
            "vocabulary_hash": self.vocabulary.hash,
            "kind": self.network.kind,
            "model": asdict(self.settings.network),
            "order": self._order(),
            "position": vars(self.position),
            "totals": vars(self.totals),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": random_state(),
            "metrics_rows": self.metrics.flush(),
        }
        checkpoints.save_checkpoint(self.folder, self.position.step, state)

    def _order(self) -> dict[str, int]:
        training = vars(self.settings.training)
        order: dict[str, int] = {name: training[name] for name in _ORDER}
        return {**order, "the length of the text": len(self.text.train)}

    # Train an epoch.

    def train_epoch(self, stop: StopRequests) -> bool:
        """Train to the end of the current epoch; false if the run was asked to stop before it."""
        training, position = self.settings.training, self.position
        batches = self.train_batches.shuffled(training.seed, position.epoch, position.batch)
        self.network.train()
        total, done = self.train_batches.characters, position.characters
        with progress_bar(f"epoch {position.epoch}", total, done, counted=False) as advance:
            last = time.monotonic()
            for batch in batches:
                position.step += 1
                self.train_step(batch)
                position.batch += 1
                position.characters += batch.characters
                self._add_seconds(time.monotonic() - last)
                last = time.monotonic()
                advance(batch.characters, self._note())
                if position.step % training.log_every == 0 and self.totals.steps:
                    self.metrics.write({"kind": "step", **self._step_metrics()})
                if self._limit_reached():
                    position.finished = True
                    return True
                if stop.requested:
                    return False
                if position.step % training.evaluate_every == 0:
                    self.evaluate_and_publish()
                    self.save_checkpoint()
                elif position.step % training.checkpoint_every == 0:
                    self.save_checkpoint()
                last = time.monotonic()
        return True

    def train_step(self, batch: TextBatch) -> None:
        """Update the weights on a batch; leave them as they are if its loss is not finite."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        loss, targets = self._loss(batch)
        self.optimizer.zero_grad()
        (loss / targets).backward()  # type: ignore[no-untyped-call]
        limit = self.settings.training.max_grad_norm
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), limit))
        if not math.isfinite(norm) or not math.isfinite(loss.item()):
            self._skip_step(loss.item(), norm)
            return
        self.optimizer.step()
        self.position.bad_steps = 0
        totals = self.totals
        totals.loss += loss.item()
        totals.targets += self._target_characters(batch)
        totals.characters += batch.characters
        totals.gradient_norm += norm
        totals.steps += 1

    def _loss(self, batch: TextBatch) -> tuple[Tensor, int]:
        """Sum of the loss of a batch, in nats, and its number of targets."""
        pad = self.vocabulary.pad_id
        targets = batch.targets.to(self.device, non_blocking=True).flatten()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits = self.network(batch.inputs.to(self.device, non_blocking=True)).flatten(0, 1)
        loss = nn.functional.cross_entropy(
            logits.float(), targets, ignore_index=pad, reduction="sum"
        )
        return loss, max(int((batch.targets != pad).sum()), 1)

    def _target_characters(self, batch: TextBatch) -> int:
        """The characters that the targets of a batch stand for."""
        return int(self.unit_lengths[batch.targets].sum())

    def _skip_step(self, loss: float, norm: float) -> None:
        """Count a step that was not finite; give up after `_MAX_BAD_STEPS` of them in a row."""
        position = self.position
        position.skipped_steps += 1
        position.bad_steps += 1
        log.warning("step %d skipped: loss %s, gradient norm %s", position.step, loss, norm)
        if position.bad_steps == _MAX_BAD_STEPS:
            raise UserError(
                f"the loss was not finite {_MAX_BAD_STEPS} steps in a row: lower lr or "
                "max_grad_norm"
            )

    def learning_rate(self) -> float:
        """The learning rate of the current step: a linear warm-up, then half a cosine."""
        training, step = self.settings.training, self.position.step
        warmup = min(1.0, step / training.warmup_steps) if training.warmup_steps else 1.0
        done = [self._epochs() / training.max_epochs]
        if training.max_steps:
            done.append(step / training.max_steps)
        if training.max_seconds:
            done.append(self.position.seconds / training.max_seconds)
        return training.lr * warmup * 0.5 * (1 + math.cos(math.pi * min(max(done), 1.0)))

    def _epochs(self) -> float:
        return self.position.epoch + self.position.characters / self.train_batches.characters

    def _limit_reached(self) -> bool:
        """Whether `max_steps` or `max_seconds` is reached."""
        training, position = self.settings.training, self.position
        return bool(
            (training.max_steps and position.step >= training.max_steps)
            or (training.max_seconds and position.seconds >= training.max_seconds)
        )

    def _epochs_finished(self) -> bool:
        return self.position.epoch >= self.settings.training.max_epochs

    def _add_seconds(self, seconds: float) -> None:
        self.totals.seconds += seconds
        self.position.seconds += seconds

    def _note(self) -> str:
        bits = self.totals.loss / max(self.totals.targets, 1) / math.log(2)
        return f"{bits:.3f} bits a character"

    def _step_metrics(self) -> dict[str, Any]:
        return {
            "step": self.position.step,
            "epochs": self._epochs(),
            "learning_rate": self.learning_rate(),
            **self.totals.means(),
        }

    # Evaluate.

    def close_epoch(self) -> None:
        """Evaluate at the end of an epoch, or of the training, and save a checkpoint."""
        position = self.position
        if not position.finished:
            position.epoch += 1
            position.batch = position.characters = 0
            position.finished = self._epochs_finished()
        if position.evaluated_step < position.step:
            self.evaluate_and_publish()
        self.save_checkpoint()

    def evaluate_and_publish(self) -> None:
        """Measure the loss on held-out text; write a row of the table; publish the best model."""
        position = self.position
        row = {
            "kind": "evaluation",
            **self._step_metrics(),
            **heldout_metrics(self.heldout_loss()),
            "skipped_steps": position.skipped_steps,
            "training_seconds": round(position.seconds, 1),
        }
        self.metrics.write(row)
        rows = read_metrics(self.folder, "evaluation")
        if len(rows) == 1:
            print_line(TABLE_HEAD)
        print_line(table_row(row))
        write_results(self.folder, rows, text_counts(self.text), self.device)
        plot_learning_curve(self.folder / "plots" / "learning_curve.png", rows)
        if row["heldout_loss"] < position.best_loss:
            position.best_loss = row["heldout_loss"]
            facts = {
                "normalizer": self.text.report.get("normalizer"),
                "heldout_bits_per_character": round(row["heldout_bits_per_character"], 4),
                "step": position.step,
            }
            NetworkModel(self.network, self.vocabulary).save(self.folder, facts)
        position.evaluated_step = position.step
        self.totals = Totals()
        self.network.train()

    @torch.no_grad()
    def heldout_loss(self) -> float:
        """The loss on the held-out text, in nats a character."""
        self.network.eval()
        total, count = 0.0, 0
        characters = self.heldout_batches.characters
        with progress_bar("evaluating", characters, counted=False) as advance:
            for batch in self.heldout_batches.in_order():
                total += self._loss(batch)[0].item()
                count += self._target_characters(batch)
                advance(batch.characters, "")
        return total / max(count, 1)


def _choose_precision(setting: LanguageModelPrecision, device: torch.device) -> bool:
    """Set the number format of matrix products on a GPU; return whether autocast is to be used."""
    if setting == "bfloat16" and device.type != "cuda":
        raise UserError("precision bfloat16 needs a GPU: choose auto or float32 on a CPU")
    fast = device.type == "cuda" and setting != "float32" and torch.cuda.is_bf16_supported()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = fast
    return fast
