"""A training run, from a prepared corpus to a published model. Reads from top to bottom.

Every step: a batch of waveforms, features on the device, a teacher-forced pass, the joint loss, a
step of Adam. Every epoch: free-running recognition of dev and test, a row of the seed's table, a
plot of the attention, a checkpoint, and the model itself if dev never went better.
"""

import logging
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, get_args

import torch
from lhotse import CutSet
from lightning_fabric import Fabric

from sorigeul import checkpoint, data, plots, score
from sorigeul.audio import SAMPLE_RATE
from sorigeul.data import Batch
from sorigeul.errors import UserError
from sorigeul.evaluate import Recognition, evaluate
from sorigeul.features import FeatureConfig, LogMel, spec_augment
from sorigeul.files import write_text
from sorigeul.journal import Journal
from sorigeul.model.las import LASConfig, ListenAttendSpell, Spelled
from sorigeul.progress import progress_bar
from sorigeul.settings import Settings, TrainingConfig
from sorigeul.vocabulary import Kind, Vocabulary

log = logging.getLogger(__name__)

CONFIG = "config.yaml"
_CONFIG_HEAD = "# To repeat this run: sorigeul train DATA NEW_RUN --config THIS_FILE\n\n"
_LOG_EVERY = 20  # steps between two lines of metrics
_FIGURES = ("loss", "speller_loss", "ctc_loss", "guide_loss", "gradient_norm")  # of a step
_BAD_STEPS = 10  # losses in a row that are not finite before the run gives up


@dataclass
class Tally:
    """What an epoch adds up."""

    utterances: int = 0
    steps: int = 0
    seconds_of_audio: float = 0.0
    seconds: float = 0.0
    loss: float = 0.0
    speller_loss: float = 0.0
    ctc_loss: float = 0.0
    guide_loss: float = 0.0
    gradient_norm: float = 0.0
    characters: int = 0
    """characters of the teacher-forced batches, without spaces"""
    errors: int = 0
    """edits between them and the teacher-forced output"""
    skipped_steps: int = 0
    failures: dict[str, str] = field(default_factory=dict)


@dataclass
class Position:
    """Where the run is."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    """of training, evaluation left out"""
    best_crr: float = -math.inf
    bad_steps: int = 0
    """in a row, up to now, whose loss was not finite"""
    finished: bool = False
    started: str = ""
    """date, for the head of the table"""


def train(corpus: Path, folder: Path, settings: Settings) -> None:
    """Train on the manifests in `corpus` into the run `folder`, or go on where it stopped.

    SIGINT and SIGTERM end it after the step at hand, with a checkpoint.
    """
    fabric = _launch(settings.training)
    run = Run(corpus, folder, settings, fabric)
    run.restore()
    if run.position.finished:
        log.info("%s is finished; raise --max_epochs, --max_steps or --max_seconds", folder)
    with _stop_requests(run):
        while not run.position.finished and not run.stop_requested:
            if run.train_epoch():
                run.close_epoch()
    run.journal.close()
    if run.stop_requested and not run.position.finished:
        run.save()
        log.info("stopped at step %d; the same command goes on from there", run.position.step)


class Run:
    """The parts of a run and what happens to them."""

    def __init__(self, corpus: Path, folder: Path, settings: Settings, fabric: Fabric) -> None:
        self.folder, self.settings, self.fabric = folder, settings, fabric
        training = settings.training
        cuts = data.required_manifest(corpus, "train")
        self.survey = data.survey(cuts)
        self.vocabulary = _vocabulary(data.texts(cuts), training)
        self.normalizer = data.normalizer(cuts)
        fabric.seed_everything(training.seed, verbose=False)
        self.las = ListenAttendSpell(replace(settings.model, vocabulary_size=len(self.vocabulary)))
        optimizer = torch.optim.Adam(self.las.parameters(), lr=training.lr, fused=True)
        self.model, self.optimizer = fabric.setup(self.las, optimizer)
        self.log_mel = LogMel(settings.features).to(fabric.device)
        self.batches = data.training_batches(
            cuts, self.vocabulary, settings.data, training.seed,
            fabric.global_rank, fabric.world_size,
        )  # fmt: skip
        self.evaluations = {
            split: data.evaluation_batches(found, self.vocabulary, settings.data.num_workers)
            for split in ("dev", "test")
            if (found := data.manifest(corpus, split)) is not None
        }
        self.journal = Journal(folder, fabric.device)
        self.position = Position(started=datetime.now(timezone.utc).strftime("%Y/%m/%d"))
        self.tally = Tally()
        self.place_in_epoch: dict[str, Any] | None = None
        self.stop_requested = False
        self._warn_of_text(cuts)

    def _warn_of_text(self, cuts: CutSet) -> None:
        """Say which training text the vocabulary or the frame rate leaves out."""
        unknown = {
            unit: count
            for character, count in self.survey.characters.items()
            for unit in self.vocabulary.unknown(character)
        }
        if unknown:
            log.warning(
                "%d characters of the training text (%d kinds) are not in the vocabulary and are "
                "left out: %s", sum(unknown.values()), len(unknown), " ".join(sorted(unknown)[:20]),
            )  # fmt: skip
        if self.settings.model.ctc_weight == 0:
            return
        rate = self.settings.features.frames_per_second / self.settings.model.ctc_reduction
        fast = list(data.infeasible(cuts, self.vocabulary, rate))
        if fast:
            log.warning(
                "%d training utterances are spoken too fast for CTC at %.1f frames a second; only "
                "the speller learns from them: %s", len(fast), rate,
                "; ".join(f"{name} ({reason})" for name, reason in fast[:5]),
            )  # fmt: skip

    # An epoch.

    def train_epoch(self) -> bool:
        """Go to the end of the epoch at hand; false if the run was asked to stop before."""
        self.model.train()
        self.batches.sampler.set_epoch(self.position.epoch)
        if self.place_in_epoch is not None:
            self.batches.load_state_dict(self.place_in_epoch)
            self.place_in_epoch = None
        total = math.ceil(self.survey.utterances * self.settings.data.copies)
        with progress_bar(f"epoch {self.position.epoch}", total) as advance:
            advance(self.tally.utterances, "")
            clock = time.monotonic()
            for batch in self.batches:
                finite = self.train_step(batch.to(self.fabric.device))
                self.position.bad_steps = 0 if finite else self.position.bad_steps + 1
                if self.position.bad_steps == _BAD_STEPS:
                    raise UserError(
                        f"the loss was not finite {_BAD_STEPS} steps in a row: lower lr or "
                        "max_grad_norm, and listen to the utterances named above"
                    )
                self._spend(time.monotonic() - clock)
                clock = time.monotonic()
                advance(len(batch), f"loss {self.tally.loss / max(self.tally.steps, 1):.3f}")
                if self._limit_reached():
                    self.position.finished = True
                    return True
                if self.stop_requested:
                    return False
                if self.position.step % self.settings.training.checkpoint_every == 0:
                    self.save()
                    clock = time.monotonic()
        if self.tally.steps == 0:
            raise UserError("no batch of the epoch could be trained on, for the reasons above")
        return True

    def train_step(self, batch: Batch) -> bool:
        """One step of Adam; false if loss or gradient were not finite and nothing was learnt."""
        for failure in batch.failures:
            self.tally.failures[failure.id] = failure.reason
            log.warning("%s left out: %s", failure.id, failure.reason)
        self.tally.utterances += len(batch) + len(batch.failures)
        self.position.step += 1
        if not len(batch):
            return True
        training = self.settings.training
        features, lengths = self.log_mel(batch.waveforms, batch.lengths)
        if batch.augmented.any():
            features = spec_augment(
                features, lengths, batch.augmented, self.settings.spec_augment,
                self.settings.features.frames_per_second,
            )  # fmt: skip
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        # Of torch's generator, like masks and dropout: libraries draw from Python's as they please.
        teacher_forced = float(torch.rand(())) < training.teacher_forcing
        spelled = self.model(features, lengths, batch.tokens, teacher_forced)
        smoothing = training.label_smoothing if training.use_label_smoothing else 0.0
        losses = self.las.losses(spelled, batch.tokens, batch.token_lengths, smoothing)
        self.fabric.backward(losses.total)
        norm = self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=training.max_grad_norm, error_if_nonfinite=False
        )
        assert norm is not None
        figures = torch.stack((*vars(losses).values(), norm)).tolist()
        finite = all(map(math.isfinite, figures))
        if finite:
            self.optimizer.step()
            self._count(batch, spelled if teacher_forced else None, figures)
            if self.position.step % _LOG_EVERY == 0 and self.fabric.is_global_zero:
                self.journal.write({"kind": "step", **self._figures()})
        else:
            self.tally.skipped_steps += 1
            log.warning(
                "step %d skipped: loss %s, gradient norm %s, utterances %s",
                self.position.step, figures[0], figures[-1], ", ".join(batch.ids),
            )  # fmt: skip
        self.optimizer.zero_grad()
        return finite

    def learning_rate(self) -> float:
        """The rate of the step at hand: a linear rise, then constant or half a cosine."""
        training = self.settings.training
        rise = min(1.0, self.position.step / training.warmup_steps) if training.warmup_steps else 1
        if training.lr_schedule == "constant":
            return training.lr * rise
        epoch_size = self.survey.utterances * self.settings.data.copies
        done = (self.position.epoch + self.tally.utterances / epoch_size) / training.max_epochs
        if training.max_steps:
            done = max(done, self.position.step / training.max_steps)
        return training.lr * rise * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def _limit_reached(self) -> bool:
        training = self.settings.training
        return bool(
            (training.max_steps and self.position.step >= training.max_steps)
            or (training.max_seconds and self.position.seconds >= training.max_seconds)
        )

    def _spend(self, seconds: float) -> None:
        self.tally.seconds += seconds
        self.position.seconds += seconds

    def _count(self, batch: Batch, teacher_forced: Spelled | None, figures: list[float]) -> None:
        """Add a step to the epoch's tally; only teacher-forced output makes the training CRR."""
        tally = self.tally
        tally.steps += 1
        tally.seconds_of_audio += float(batch.lengths.sum()) / SAMPLE_RATE
        for name, figure in zip(_FIGURES, figures, strict=True):
            setattr(tally, name, getattr(tally, name) + figure)
        if teacher_forced is None:
            return
        rows = teacher_forced.logits.argmax(-1).tolist()
        lengths = batch.token_lengths.tolist()
        written = [
            self.vocabulary.decode(row[:length]) for row, length in zip(rows, lengths, strict=True)
        ]
        errors, characters = score.character_errors(batch.texts, written)
        tally.errors += errors
        tally.characters += characters

    # Between epochs.

    def close_epoch(self) -> None:
        """Recognise dev and test, keep the figures and the best model, begin the next epoch."""
        if self.fabric.is_global_zero:
            self.model.eval()
            self._record_epoch()
        self.fabric.barrier()
        self.position.epoch += 1
        if self.position.epoch >= self.settings.training.max_epochs:
            self.position.finished = True
        self.tally = Tally()
        self.save()

    def _record_epoch(self) -> None:
        tally, epoch = self.tally, self.position.epoch
        row: dict[str, Any] = {
            "kind": "epoch",
            **self._figures(),
            "train_crr": _percent(tally.characters - tally.errors, tally.characters),
            "training_seconds": round(self.position.seconds, 1),
            "skipped_steps": tally.skipped_steps,
            "failures": len(tally.failures),
        }
        for split, batches in self.evaluations.items():
            name = "valid" if split == "dev" else split
            evaluation = evaluate(self.las, batches, self.vocabulary, self.log_mel, self.normalizer)
            row[f"{name}_loss"] = evaluation.loss
            row[f"{name}_crr"] = evaluation.score.crr
            if evaluation.ctc_score is not None:
                row[f"{name}_ctc_crr"] = evaluation.ctc_score.crr
            if split == "dev" and evaluation.recognitions:
                self._plot_attention(evaluation.recognitions)
        self.journal.close_epoch(row, self.position.started)
        judged = row.get("valid_crr", float(epoch))  # without dev the newest is the best
        if judged > self.position.best_crr:
            self.position.best_crr = judged
            rates = {name: rate for name, rate in row.items() if name.endswith("crr")}
            results = {name: f"{rate:.2f}" for name, rate in rates.items() if rate is not None}
            results.update(epoch=str(epoch), step=str(self.position.step))
            published = checkpoint.Pretrained(
                self.las, self.settings.features, self.vocabulary, self.normalizer, results
            )
            checkpoint.publish(self.folder, published)

    def _plot_attention(self, recognitions: list[Recognition]) -> None:
        """Draw one utterance, the same in every epoch: dev's middle one by length."""
        ordered = sorted(recognitions, key=lambda one: (one.seconds, one.id))
        shown = ordered[len(ordered) // 2]
        plots.attention(
            self.folder / "plots" / f"attention_epoch_{self.position.epoch:03d}.png",
            shown.alignment.numpy(),
            [self.vocabulary.units[token] for token in shown.tokens],
            shown.seconds,
            f"epoch {self.position.epoch}, {shown.id}: {shown.hypothesis}",
        )

    def _figures(self) -> dict[str, Any]:
        """Where the run is, and the means of the epoch so far."""
        tally, steps = self.tally, max(self.tally.steps, 1)
        return {
            "epoch": self.position.epoch,
            "step": self.position.step,
            "train_loss": tally.loss / steps,
            "train_speller_loss": tally.speller_loss / steps,
            "train_ctc_loss": tally.ctc_loss / steps,
            "train_guide_loss": tally.guide_loss / steps,
            "learning_rate": self.learning_rate(),
            "gradient_norm": tally.gradient_norm / steps,
            "audio_seconds_per_second": tally.seconds_of_audio / max(tally.seconds, 1e-9),
        }

    # Checkpoints.

    def save(self) -> None:
        """Write all it takes to go on from here."""
        if not self.fabric.is_global_zero:
            return
        state = {
            "position": vars(self.position),
            "tally": vars(self.tally),
            "model": self.las.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            # Between two epochs there is no place to return to: the next one begins anew.
            "batches": self.batches.state_dict() if self.tally.utterances else None,
            "random": checkpoint.random_state(),
            "vocabulary_hash": self.vocabulary.hash,
        }
        checkpoint.save_state(self.folder, self.position.step, state)

    def restore(self) -> None:
        """Go back to the newest checkpoint of the folder, or begin."""
        state = checkpoint.latest_state(self.folder)
        if state is not None:
            self._refuse_other_model(state["vocabulary_hash"])
            self.position = Position(**state["position"])
            self.tally = Tally(**state["tally"])
            self.las.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.place_in_epoch = state["batches"]
            checkpoint.restore_random_state(state["random"])
            self.position.finished = (
                self._limit_reached() or self.position.epoch >= self.settings.training.max_epochs
            )
            log.info("going on from step %d of %s", self.position.step, self.folder)
        if self.fabric.is_global_zero:
            write_text(self.folder / CONFIG, _CONFIG_HEAD + self.settings.to_yaml())
            self.journal.begin(self.position.step)

    def _refuse_other_model(self, vocabulary_hash: str) -> None:
        """A run goes on with the model, the features and the characters it was begun with."""
        if vocabulary_hash != self.vocabulary.hash:
            raise UserError(
                f"{self.folder} was begun with another vocabulary: train into a new folder, or "
                "restore the transcripts it was begun with"
            )
        begun, now = Settings.from_yaml(self.folder / CONFIG).flat(), self.settings.flat()
        fixed = {field.name for kind in (FeatureConfig, LASConfig) for field in fields(kind)}
        for name in fixed & now.keys():
            if begun[name] != now[name]:
                raise UserError(
                    f"{self.folder} was begun with {name} {begun[name]}, not {now[name]}: train "
                    f"into a new folder, or leave {name} as it was"
                )


def _launch(training: TrainingConfig) -> Fabric:
    """The devices, the precision and the processes to train with."""
    on_gpu = torch.cuda.is_available()
    precision = training.precision
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if on_gpu else _cpu_has_bfloat16()
        precision = "bfloat16" if fast else "float32"
    # It announces the precision, which config.yaml says.
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator="gpu" if on_gpu else "cpu",
        devices=training.devices,
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
    )
    fabric.launch()
    return fabric


def _cpu_has_bfloat16() -> bool:
    return any(
        torch.cpu.get_capabilities().get(name, False)
        for name in ("avx512_bf16", "amx_bf16", "bf16")
    )


@contextmanager
def _stop_requests(run: Run) -> Iterator[None]:
    """SIGINT and SIGTERM end the run after the step at hand; a second one ends it at once."""

    def request(number: int, _: Any) -> None:
        run.stop_requested = True
        signal.signal(number, previous[number])

    numbers: tuple[int, int] = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, request) for number in numbers}
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, previous[number])


def _vocabulary(texts: Iterator[str], training: TrainingConfig) -> Vocabulary:
    """Built from the training transcripts, or read from a published table."""
    for kind in get_args(Kind):
        if training.vocabulary == kind:
            return Vocabulary.from_texts(texts, kind, training.min_count)
    return Vocabulary.from_csv(training.vocabulary)


def _percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None
