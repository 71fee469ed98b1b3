"""A training run, from a prepared corpus to a published model. Reads from top to bottom.

Every step: batches of waveforms to a step of Adam, which is the learner's part. Every epoch:
free-running recognition of dev and test, a row of the seed's table, a plot of the attention, a
checkpoint, and the model itself if dev never went better: by the CRR of the speller or of the CTC
head, whichever is higher, since the one may be far ahead of the other. At the end, the mean of the
best epochs where it is asked for. All processes of a run go through this side by side; the first
one writes.
"""

import copy
import logging
import math
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from sorigeul.base import plots, provenance
from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.progress import progress_bar
from sorigeul.base.stopping import StopRequests
from sorigeul.data import manifests
from sorigeul.data.batches import Batch, in_groups, longest_batch
from sorigeul.data.config import ORDER_INDEPENDENT, DataConfig, ProcessShare
from sorigeul.data.sampling import evaluation_batches, training_batches
from sorigeul.data.statistics import manifest_statistics
from sorigeul.evaluation.attention_metrics import AttentionMetrics
from sorigeul.evaluation.evaluate import Evaluation, RecognizedShare, recognize, score_recognitions
from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.loading import PretrainedModel
from sorigeul.pretrained.publishing import publish
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.training import checkpoints, devices
from sorigeul.training.learner import Learner, StepResult
from sorigeul.training.metrics import MetricsLog
from sorigeul.training.progress_state import EpochTotals, RunPosition, dev_crr
from sorigeul.training.random_state import random_state, restore_random_state
from sorigeul.training.run_warnings import alignment_warning, text_warnings
from sorigeul.training.settings import RUN_CONFIG, Settings
from sorigeul.training.starting_point import report_finetuning, resume_vocabulary, start_vocabulary
from sorigeul.training.weight_averaging import average_weights

log = logging.getLogger(__name__)

_CONFIG_HEAD = "# To repeat this run: sorigeul train DATA NEW_RUN --config THIS_FILE\n\n"
_STATE_FORMAT = 3  # of checkpoints
_BAD_STEPS = 10  # losses in a row that are not finite before the run gives up
_FAILURES_AMONG = 100  # utterances of an epoch before their failures are judged


def train(corpus: Path, folder: Path, settings: Settings, command: str | None = None) -> None:
    """Train on the manifests in `corpus` into the run `folder`, or go on where it stopped.

    The run's record will say that `command` did it. SIGINT and SIGTERM end it after the step at
    hand, with a checkpoint.
    """
    fabric = devices.launch(settings.training)
    with devices.explain_crash(fabric):
        run = Run(corpus, folder, settings, fabric)
        run.restore()
        if run.position.finished:
            log.info(
                "%s is finished; raise --max_epochs, --max_steps, --max_seconds or --patience",
                folder,
            )
        else:
            run.begin_record(command)
            if fabric.device.type == "cuda":
                run.check_memory()
        with StopRequests() as stop:
            while not run.position.finished and not run.stopped(stop):
                if run.train_epoch(stop):
                    run.close_epoch()
            if not run.position.finished:
                run.save()
                step = run.position.step
                log.info("stopped at step %d; the same command goes on from there", step)
        if fabric.is_global_zero:
            provenance.end_record(folder, run.position.seconds, run.position.finished)
        run.journal.close()
        fabric.barrier()


class Run:
    """The parts of a run and what happens to them."""

    def __init__(self, corpus: Path, folder: Path, settings: Settings, fabric: Fabric) -> None:
        self.corpus, self.folder, self.settings, self.fabric = corpus, folder, settings, fabric
        training = settings.training
        share = ProcessShare(fabric.global_rank, fabric.world_size)
        with devices.raise_together(fabric):
            moved_to = settings.data.audio_root
            cuts = manifests.required_manifest(corpus, "train", moved_to)
            self.survey = manifest_statistics(cuts)
            self.normalizer = manifests.normalizer(cuts)
            characters = self.survey.characters
            pretrained = None
            if checkpoints.has_checkpoint(folder):
                self.vocabulary = resume_vocabulary(folder, settings, characters)
            else:
                self.vocabulary, pretrained = start_vocabulary(settings, characters)
            self.batches = training_batches(
                cuts, self.vocabulary, settings.data, training.seed, share
            )
            self.evaluations = {
                split: evaluation_batches(found, self.vocabulary, settings.data.num_workers, share)
                for split in ("dev", "test")
                if (found := manifests.manifest(corpus, split, moved_to)) is not None
            }
            if "dev" not in self.evaluations and (training.average_best > 1 or training.patience):
                raise UserError(
                    f"average_best and patience go by dev, of which {corpus} has none: prepare "
                    "one, or leave them out"
                )
        self.learner = Learner(settings, self.vocabulary, fabric, pretrained)
        self.journal = MetricsLog(folder, fabric.device)
        self.position = RunPosition(started=datetime.now(timezone.utc).strftime("%Y/%m/%d"))
        self.tally = EpochTotals()
        self.place_in_epoch: dict[str, Any] | None = None
        if fabric.is_global_zero:
            for caution in text_warnings(cuts, characters, self.vocabulary, settings):
                log.warning("%s", caution)
            if pretrained is not None:
                report_finetuning(pretrained, self.vocabulary, self.normalizer)

    def begin_record(self, command: str | None) -> None:
        """Write down what it would take to repeat the run, beside its settings."""
        if self.fabric.is_global_zero:
            facts = provenance.run_facts(command, self.fabric.device)
            started = self.position.started.replace("/", "-")
            provenance.begin_record(self.folder, facts, started, self.fabric.world_size)

    # An epoch.

    def stopped(self, stop: StopRequests) -> bool:
        """Whether any of the processes was asked to stop."""
        return bool(devices.sum_over_processes(self.fabric, [stop.requested])[0])

    def train_epoch(self, stop: StopRequests) -> bool:
        """Go to the end of the epoch at hand; false if the run was asked to stop before."""
        self.learner.train()
        self.batches.sampler.set_epoch(self.position.epoch)
        if self.place_in_epoch is not None:
            self.batches.load_state_dict(self.place_in_epoch)
            self.place_in_epoch = None
        training = self.settings.training
        total = math.ceil(self.survey.utterances * self.settings.data.copies)
        with progress_bar(f"epoch {self.position.epoch}", total) as advance:
            advance(self.tally.utterances, "")
            clock = time.monotonic()
            for batches in in_groups(self.batches, training.accumulate):
                before = self.tally.utterances
                waited = time.monotonic() - clock
                self.tally.seconds_waited += waited
                ending, stopping = self.train_step(batches, waited, stop)
                self._spend(time.monotonic() - clock)
                clock = time.monotonic()
                loss = self.tally.loss / max(self.tally.steps, 1)
                advance(self.tally.utterances - before, f"loss {loss:.3f}")
                if ending:
                    self.position.finished = True
                    return True
                if stopping:
                    return False
                if self.position.step % training.checkpoint_every == 0:
                    self.save()
                    clock = time.monotonic()
        self._judge_failures(self.tally.failures)
        if self.tally.steps == 0:
            raise self._refusal("no batch of the epoch could be trained on, for the reasons above")
        return True

    def train_step(
        self, batches: list[Batch], seconds: float, stop: StopRequests
    ) -> tuple[bool, bool]:
        """A step of the learner, `seconds` after the last; whether it shall be the last one.

        Says so twice: since a limit is reached, and since a process was asked to stop.
        """
        for failure in (one for batch in batches for one in batch.failures):
            log.warning("%s left out: %s", failure.id, failure.reason)
        failures = sum(len(batch.failures) for batch in batches)
        self.position.step += 1
        mine = self.fabric.is_global_zero  # one clock decides
        *characters, utterances, failed, samples, ending, stopping = devices.sum_over_processes(
            self.fabric,
            [
                *(int(batch.token_lengths.sum()) + len(batch) for batch in batches),
                sum(map(len, batches)) + failures,
                failures,
                sum(int(batch.lengths.sum()) for batch in batches),
                mine and self._limit_reached(seconds),
                stop.requested,
            ],
        )
        tally = self.tally
        tally.utterances += int(utterances)
        tally.failures += int(failed)
        if tally.utterances >= _FAILURES_AMONG:
            self._judge_failures(int(failed))
        if any(characters):
            step = self.learner.step(
                batches, list(map(int, characters)), self.learning_rate(), self.sampling()
            )
            if step.updated:
                tally.add(step, samples / SAMPLE_RATE)
            self._watch_over(step)
        every = self.settings.training.log_every
        if self.position.step % every == 0 and tally.steps and self.fabric.is_global_zero:
            self.journal.write({"kind": "step", **self._figures()})
        return bool(ending), bool(stopping)

    def _watch_over(self, step: StepResult) -> None:
        """Name what a loss that is not finite came from; give up when they follow each other."""
        self.tally.skipped_steps += not step.updated
        if step.updated or step.overflowed:
            self.position.bad_steps = 0
            return
        self.position.bad_steps += 1
        if self.fabric.is_global_zero:
            log.warning(
                "step %d skipped: loss %s, gradient norm %s, utterances %s",
                self.position.step,
                step.losses[0],
                step.gradient_norm,
                ", ".join(step.suspects),
            )
        if self.position.bad_steps == _BAD_STEPS:
            raise self._refusal(
                f"the loss was not finite {_BAD_STEPS} steps in a row: lower lr or max_grad_norm, "
                "and listen to the utterances named above"
            )

    def _judge_failures(self, new: int) -> None:
        """Give up where more audio than `max_failures` cannot be read."""
        tally, share = self.tally, self.settings.training.max_failures
        if new and tally.failures > share * tally.utterances:
            raise self._refusal(
                f"{tally.failures} of {tally.utterances} utterances could not be read, more than "
                f"max_failures {share:g}: see to the recordings named above, or raise max_failures"
            )

    def _refusal(self, message: str) -> BaseException:
        return devices.error_on_one_process(self.fabric, message)

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

    def sampling(self) -> float:
        """How much of what the speller reads is to be its own guesses."""
        plain = self.position.epoch < self.settings.data.plain_epochs
        return 0.0 if plain else self.settings.training.scheduled_sampling

    def _limit_reached(self, seconds: float = 0.0) -> bool:
        training, position = self.settings.training, self.position
        return bool(
            (training.max_steps and position.step >= training.max_steps)
            or (training.max_seconds and position.seconds + seconds >= training.max_seconds)
        )

    def _spend(self, seconds: float) -> None:
        self.tally.seconds += seconds
        self.position.seconds += seconds

    # Between epochs.

    def close_epoch(self) -> None:
        """Recognise dev and test, keep the figures and the best model, begin the next epoch."""
        row: dict[str, Any] = {
            "kind": "epoch",
            **self._figures(),
            **self.tally.summary(),
            "training_seconds": round(self.position.seconds, 1),
        }
        self.learner.model.eval()
        row.update(self._judge(self.learner.evaluated_model, epoch=True))
        if self.fabric.is_global_zero:
            self.journal.close_epoch(row, self.position.started)
        position, training = self.position, self.settings.training
        judged = dev_crr(row, float(position.epoch))  # without dev the newest is best
        position.stale_epochs += 1
        if judged > position.best_crr:
            position.best_crr, position.stale_epochs = judged, 0
            self._publish(self.learner.evaluated_model, row, str(position.epoch))
        if training.average_best > 1:
            self._keep_among_best(judged)
        position.epoch += 1
        position.finished = position.finished or self._epochs_spent()
        if position.finished and training.average_best > 1 and len(position.best) > 1:
            self.average_best()
        self.tally = EpochTotals()
        self.save()
        if self.fabric.is_global_zero:  # not before, so that every checkpoint finds what it names
            checkpoints.prune_epoch_weights(self.folder, [epoch for _, epoch in position.best])

    def _epochs_spent(self) -> bool:
        training, position = self.settings.training, self.position
        out_of_patience = training.patience and position.stale_epochs >= training.patience
        return bool(out_of_patience or position.epoch >= training.max_epochs)

    def _keep_among_best(self, judged: float) -> None:
        """Keep the weights of the epoch at hand if it is one of the best."""
        position = self.position
        best = sorted([*position.best, (judged, position.epoch)], reverse=True)
        position.best = best[: self.settings.training.average_best]
        if (judged, position.epoch) in position.best and self.fabric.is_global_zero:
            checkpoints.save_epoch_weights(
                self.folder, position.epoch, self.learner.evaluated_model
            )

    def average_best(self) -> None:
        """Publish the mean of the best epochs if it is better on dev than what is published."""
        position, fabric = self.position, self.fabric
        epochs = sorted(epoch for _, epoch in position.best)
        fabric.barrier()  # the first process may still be writing the last of them
        with devices.raise_together(fabric):
            kept = [checkpoints.load_epoch_weights(self.folder, epoch) for epoch in epochs]
        model = copy.deepcopy(self.learner.evaluated_model).eval()
        model.load_state_dict(average_weights(kept))
        row = {
            "kind": "average",
            "step": position.step,
            "epochs": epochs,
            **self._judge(model),
        }
        before, judged = position.best_crr, dev_crr(row)
        row["published"] = judged > before
        said = " ".join(map(str, epochs))
        if row["published"]:
            position.best_crr = judged
            self._publish(model, row, f"mean of {said}")
        if fabric.is_global_zero:
            self.journal.write(row)
            log.info(
                "the mean of epochs %s has a dev CRR of %.2f %%, the best one %.2f %%: %s",
                said,
                judged,
                before,
                "published" if row["published"] else "the best one stays published",
            )

    def _judge(self, model: ListenAttendSpell, epoch: bool = False) -> dict[str, Any]:
        """Recognise dev and test: the figures, as `metrics.jsonl` names them.

        At the end of an `epoch` the attention is looked at as well.
        """
        row: dict[str, Any] = {}
        for split, batches in self.evaluations.items():
            name = "valid" if split == "dev" else split
            heard, evaluation = self._evaluate(model, batches)
            row |= {
                f"{name}_{figure}": value for figure, value in evaluation.epoch_metrics().items()
            }
            if epoch and split == "dev" and evaluation.recognitions:
                self._plot_attention(heard, evaluation)
                self._watch_alignment(evaluation.attention_metrics)
        return row

    def _evaluate(
        self, model: ListenAttendSpell, batches: Iterable[Batch]
    ) -> tuple[RecognizedShare, Evaluation]:
        """What this process heard of a corpus, and what all of them together made of it."""
        with progress_bar("recognising", None) as advance:
            heard = recognize(model, batches, self.vocabulary, self.learner.log_mel, advance)
        shares = devices.gather(self.fabric, heard.without_alignments())
        with devices.raise_together(self.fabric):
            evaluation = score_recognitions(shares, self.vocabulary, self.normalizer)
        return heard, evaluation

    def _plot_attention(self, heard: RecognizedShare, evaluation: Evaluation) -> None:
        """Draw one utterance, the same in every epoch: dev's middle one by length."""
        ordered = sorted((one.seconds, one.id) for one in evaluation.recognitions)
        _, chosen = ordered[len(ordered) // 2]
        own = next((one for one in heard.recognitions if one.id == chosen), None)
        shown = next(one for one in devices.gather(self.fabric, own) if one is not None)
        if self.fabric.is_global_zero:
            plots.attention(
                self.folder / "plots" / f"attention_epoch_{self.position.epoch:03d}.png",
                shown.alignment.numpy(),
                [self.vocabulary.units[token] for token in shown.tokens],
                shown.seconds,
                f"epoch {self.position.epoch}, {shown.id}: {shown.hypothesis}",
            )

    def _watch_alignment(self, aligned: AttentionMetrics | None) -> None:
        """Say once if the attention should align by now and does not."""
        position = self.position
        if aligned is None or position.warned_of_alignment:
            return
        caution = alignment_warning(aligned, position.step, self.settings, self.corpus)
        position.warned_of_alignment = caution is not None
        if caution is not None and self.fabric.is_global_zero:
            log.warning("%s", caution)

    def _publish(self, model: ListenAttendSpell, row: dict[str, Any], epoch: str) -> None:
        if not self.fabric.is_global_zero:
            return
        rates = {name: rate for name, rate in row.items() if name.endswith("crr")}
        results = {name: f"{rate:.2f}" for name, rate in rates.items() if rate is not None}
        results.update(epoch=epoch, step=str(self.position.step))
        published = PretrainedModel(
            model, self.settings.features, self.vocabulary, self.normalizer, results
        )
        publish(self.folder, published)

    def _figures(self) -> dict[str, Any]:
        position, rate = self.position, self.learning_rate()
        where = {"epoch": position.epoch, "step": position.step, "learning_rate": rate}
        return {**where, **self.tally.means()}

    # Checkpoints.

    def check_memory(self) -> None:
        """Go through the longest batch there can be, so that memory runs out now if it will."""
        survey = self.survey
        self.learner.check_memory(
            longest_batch(
                survey.longest,
                survey.most_characters,
                self.vocabulary,
                self.settings.data,
                self.fabric.world_size,
            )
        )

    def save(self) -> None:
        """Write all it takes to go on from here."""
        random = devices.gather(self.fabric, random_state())
        if not self.fabric.is_global_zero:
            return
        state = {
            "format": _STATE_FORMAT,
            "position": vars(self.position),
            "tally": vars(self.tally),
            **self.learner.state_dict(),
            # Between two epochs there is no place to return to: the next one begins anew.
            "batches": self.batches.state_dict() if self.tally.utterances else None,
            "drawn_by": self._drawn_by(),
            "random": random,
            "rows": self.journal.keep(),
            "vocabulary_hash": self.vocabulary.hash,
        }
        checkpoints.save_checkpoint(self.folder, self.position.step, state)

    def restore(self) -> None:
        """Go back to the newest checkpoint of the folder, or begin."""
        fabric, state = self.fabric, None
        with devices.raise_together(fabric):
            if fabric.is_global_zero:
                state = checkpoints.latest_checkpoint(self.folder)
        step = devices.gather(fabric, None if state is None else state["position"]["step"])[0]
        with devices.raise_together(fabric):
            if step is not None and state is None:
                state = checkpoints.checkpoint_of_step(self.folder, step)
            if state is not None:
                if state.get("format") != _STATE_FORMAT:
                    raise UserError(
                        f"{self.folder} was begun by another version of sorigeul: finish it with "
                        "that one, or train into a new folder"
                    )
                if state["vocabulary_hash"] != self.vocabulary.hash:
                    raise UserError(
                        f"{self.folder} was begun with another vocabulary: train into a new "
                        "folder, or restore the transcripts it was begun with"
                    )
        if state is not None:
            self._go_back_to(state)
        elif fabric.is_global_zero and self.settings.training.init_from:
            checkpoints.save_vocabulary(self.folder, self.vocabulary)
        if fabric.is_global_zero:
            write_text(self.folder / RUN_CONFIG, _CONFIG_HEAD + self.settings.to_yaml())
            self.journal.begin(self.position.step, 0 if state is None else state["rows"])

    def _go_back_to(self, state: dict[str, Any]) -> None:
        rank = self.fabric.global_rank
        self.learner.load_state_dict(state)
        self.position = position = RunPosition(**state["position"])
        # An older checkpoint may name an epoch whose weights the newest had let go.
        position.best = [
            one for one in position.best if checkpoints.has_epoch_weights(self.folder, one[1])
        ]
        if rank < len(state["random"]):
            restore_random_state(state["random"][rank])
        then = {**asdict(DataConfig()), **state["drawn_by"]}  # which may know fewer settings
        differing = [name for name, now in self._drawn_by().items() if then.get(name) != now]
        if state["batches"] is None or not differing:
            self.tally = EpochTotals(**state["tally"])
            self.place_in_epoch = state["batches"]
        elif self.fabric.is_global_zero:
            log.warning(
                "%s changed: epoch %d begins again from its first batch",
                ", ".join(differing),
                self.position.epoch,
            )
        position.finished = self._limit_reached() or self._epochs_spent()
        log.info("going on from step %d of %s", self.position.step, self.folder)

    def _drawn_by(self) -> dict[str, Any]:
        """All that the order of an epoch follows from."""
        sampling = asdict(self.settings.data)
        return {
            **{name: value for name, value in sampling.items() if name not in ORDER_INDEPENDENT},
            "seed": self.settings.training.seed,
            "the number of processes": self.fabric.world_size,
            "the number of utterances": self.survey.utterances,
        }
