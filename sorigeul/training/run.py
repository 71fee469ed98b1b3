"""A training run, from prepared corpora to a published model. Reads from top to bottom.

A step is one update of the weights (`learner.py`). After each epoch the run recognises dev and test
free-running, writes a row of the seed's table and a plot of the attention, publishes the model if
it is the best on dev so far, and saves a checkpoint. The best is the one with the highest CRR of
the speller or of the CTC head, since either may be far ahead of the other, or of both together if
the settings ask for a beam. At the end the mean of the best epochs is published if the settings ask
for it and it is better. All processes of a run execute this side by side; only the first one
writes.
"""

import copy
import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from lhotse import CutSet
from lightning_fabric import Fabric
from torch import Tensor

from sorigeul.base import plots, provenance
from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.locks import locked_folder
from sorigeul.base.memory import FreedMemory
from sorigeul.base.progress import progress_bar
from sorigeul.base.stopping import StopRequests
from sorigeul.base.weights import not_finite
from sorigeul.corpora.report import read_contents
from sorigeul.data import manifests
from sorigeul.data.batches import Batch, in_groups, longest_batch
from sorigeul.data.mixing import by_name, mix
from sorigeul.data.sampling import ProcessShare, evaluation_batches, training_batches
from sorigeul.data.statistics import manifest_statistics
from sorigeul.evaluation.attention_metrics import AttentionMetrics
from sorigeul.evaluation.evaluate import (
    GREEDY,
    Evaluation,
    RecognizedShare,
    recognize,
    score_recognitions,
)
from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.pretrained.publishing import publish
from sorigeul.search.options import SearchOptions, untuned_ctc_weight
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.training import checkpoints, devices, processes_or_threads
from sorigeul.training.checkpoints import RunState
from sorigeul.training.learner import Learner, StepResult
from sorigeul.training.learning_rate import learning_rate
from sorigeul.training.metrics import MetricsLog
from sorigeul.training.random_state import random_state, restore_random_state
from sorigeul.training.run_folder import claim_folder
from sorigeul.training.run_warnings import alignment_warning, text_warnings
from sorigeul.training.running_totals import DEV_BEAM_CRR, EpochTotals, RunPosition, dev_crr
from sorigeul.training.settings import RUN_CONFIG, Settings
from sorigeul.training.starting_point import (
    corpus_units,
    report_finetuning,
    resume_vocabulary,
    start_encoder_weights,
    start_vocabulary,
    with_encoder,
)
from sorigeul.training.vocabulary_text import describe_coverage
from sorigeul.training.weight_averaging import average_weights

log = logging.getLogger(__name__)

_CONFIG_HEAD = "# To repeat this run: sorigeul train DATA… NEW_RUN --config THIS_FILE\n\n"
_MAX_BAD_STEPS = 10  # losses in a row that are not finite before the run gives up
_MIN_UTTERANCES = 100  # utterances of an epoch after which their failures are compared with a limit


def train(
    corpora: Path | Sequence[Path],
    folder: Path,
    settings: Settings,
    command: str | None = None,
    restart: bool = False,
) -> None:
    """Train on one prepared corpus or several, into a run folder; resume if it holds a run.

    `command` is named in the run's record as what started it. With `restart` a run that the folder
    holds is put aside, and another begins. SIGINT, SIGTERM and SIGHUP end the run after the next
    step, with a checkpoint. Raises UserError if another process trains in the folder, or if it
    holds something else.
    """
    settings = processes_or_threads.decide(settings, corpora, folder, restart)
    fabric = devices.launch(settings.training, settings.some_frozen)
    with devices.explain_crash(fabric), ExitStack() as held:
        with devices.raise_together(fabric):
            if fabric.is_global_zero:
                held.enter_context(locked_folder(folder))
                claim_folder(folder, Settings, restart)
        run = Run(corpora, folder, settings, fabric)
        run.begin_or_resume()
        if run.ended:
            log.info(
                "%s is finished; raise --max_epochs, --max_steps, --max_seconds or --patience",
                folder,
            )
        else:
            run.begin_record(command)
            if fabric.device.type == "cuda":
                run.check_memory()
        with StopRequests() as stop:
            while not run.ended and not run.stop_requested(stop):
                if run.train_epoch(stop):
                    run.close_epoch()
            if not run.ended:
                run.save_checkpoint()
                step = run.position.step
                log.info("stopped at step %d; the same command goes on from there", step)
                run.judge_failures()
        if fabric.is_global_zero:
            provenance.end_record(folder, run.position.seconds, run.position.finished)
        run.metrics.close()
        fabric.barrier()


class Run:
    """The data, model and progress of a run, and its stages."""

    def __init__(
        self,
        corpora: Path | Sequence[Path],
        folder: Path,
        settings: Settings,
        fabric: Fabric,
    ) -> None:
        with devices.raise_together(fabric):
            settings = with_encoder(settings, folder)
            self.folder, self.settings, self.fabric = folder, settings, fabric
            self.corpora = by_name([corpora] if isinstance(corpora, Path) else corpora)
            cuts = self._mix_corpora()
            pretrained, encoder_weights = self._choose_vocabulary(cuts)
            self._open_loaders(cuts)
        self.learner = Learner(
            settings, self.vocabulary, fabric, pretrained, self.unseen_units, encoder_weights
        )
        self.metrics = MetricsLog(folder, fabric.device)
        self.position = RunPosition(started=datetime.now(timezone.utc).strftime("%Y/%m/%d"))
        self.totals = EpochTotals()
        self.clock = 0.0
        """seconds of training before the current step, by the first process"""
        self.saved_loader_position: dict[str, Any] | None = None
        """where the next epoch continues, if the run resumes in the middle of it"""
        if fabric.is_global_zero:
            self._say_what_is_trained(cuts, pretrained)

    def _mix_corpora(self) -> CutSet:
        """The utterances of all corpora, mixed by their weights."""
        data, seed = self.settings.data, self.settings.training.seed
        train_cuts = {
            name: manifests.required_manifest(corpus, "train", data.audio_root)
            for name, corpus in self.corpora.items()
        }
        self.mixture = mix(train_cuts, data.weights, seed)
        self.statistics = self.mixture.statistics
        self.normalizers = {name: manifests.normalizer(own) for name, own in train_cuts.items()}
        return self.mixture.cuts

    def _choose_vocabulary(
        self, cuts: CutSet
    ) -> tuple[PretrainedModel | None, dict[str, Tensor] | None]:
        """The vocabulary of a new run, or of the one in the folder.

        Returns what a new one begins with, if anything: a published model, and the weights of a
        pretrained encoder.
        """
        settings, characters = self.settings, self.statistics.characters
        pretrained = encoder_weights = None
        if checkpoints.has_checkpoint(self.folder):
            self.vocabulary = resume_vocabulary(self.folder, settings, characters, cuts)
        else:
            self.vocabulary, pretrained = start_vocabulary(settings, characters, cuts)
            encoder_weights = start_encoder_weights(settings)
        self.seen_vocabulary = self.vocabulary
        """the vocabulary without the syllables that only `vocabulary_text` has"""
        if settings.training.vocabulary_text:
            self.seen_vocabulary = corpus_units(settings, characters, cuts)
        self.unseen_units = len(self.vocabulary) - len(self.seen_vocabulary)
        return pretrained, encoder_weights

    def _open_loaders(self, cuts: CutSet) -> None:
        """The batches of this process, to train on and to evaluate."""
        data, training = self.settings.data, self.settings.training
        share = ProcessShare(self.fabric.global_rank, self.fabric.world_size)
        self.train_loader = training_batches(cuts, self.vocabulary, data, training.seed, share)
        self.evaluation_loaders = {
            (split, name): evaluation_batches(split_cuts, self.vocabulary, data.num_workers, share)
            for split in ("dev", "test")
            for name, corpus in self.corpora.items()
            if (split_cuts := manifests.manifest(corpus, split, data.audio_root)) is not None
        }
        self.dev_corpora = [name for split, name in self.evaluation_loaders if split == "dev"]
        if not self.dev_corpora and (training.average_best > 1 or training.patience):
            places = " and ".join(map(str, self.corpora.values()))
            raise UserError(
                f"average_best and patience need a dev split, and {places} has none: prepare one, "
                "or leave them out"
            )

    def _say_what_is_trained(self, cuts: CutSet, pretrained: PretrainedModel | None) -> None:
        """What users should know of the corpora and of the vocabulary before the first step."""
        for warning in text_warnings(
            cuts, self.statistics.characters, self.vocabulary, self.settings
        ):
            log.warning("%s", warning)
        if self.settings.training.vocabulary_text or self.vocabulary.kind == "bpe":
            log.info("vocabulary: %s", self.vocabulary_coverage)
        if len(self.corpora) > 1:
            for line in self.mixture.lines():
                log.info("%s", line)
            if len(set(self.normalizers.values())) > 1:
                log.warning("the corpora are not prepared alike: %s text", self.normalizer)
        if pretrained is not None:
            report_finetuning(pretrained, self.vocabulary, self.normalizer)

    @property
    def normalizer(self) -> str:
        """Name of the normaliser of the training text, or names if the corpora differ in it."""
        return " and ".join(dict.fromkeys(self.normalizers.values()))

    @cached_property
    def vocabulary_coverage(self) -> str:
        """The size of the vocabulary, and how much of dev and test it can write."""
        moved_to = self.settings.data.audio_root
        several = len(self.corpora) > 1
        splits = {
            f"{split} of {name}" if several else split: manifest_statistics(cuts).characters
            for split, name in self.evaluation_loaders
            if (cuts := manifests.manifest(self.corpora[name], split, moved_to)) is not None
        }
        return describe_coverage(self.vocabulary, self.seen_vocabulary, splits)

    # Begin or resume, and save.

    def begin_or_resume(self) -> None:
        """Restore the newest checkpoint of the run folder, if it has one; write `config.yaml`."""
        state = self._read_newest_state()
        if state is not None:
            self._restore(state)
        training = self.settings.training
        needs_more = bool(training.init_from or training.vocabulary_text)
        if state is None and needs_more and self.fabric.is_global_zero:
            checkpoints.save_vocabulary(self.folder, self.vocabulary)
        if state is None and self.settings.model.encoder and self.fabric.is_global_zero:
            checkpoints.save_encoder(self.folder, self.settings.model.encoder)
        if self.fabric.is_global_zero:
            write_text(self.folder / RUN_CONFIG, _CONFIG_HEAD + self.settings.to_yaml())
            self.metrics.begin(self.position.step, 0 if state is None else state.metrics_rows)

    def _read_newest_state(self) -> RunState | None:
        """The state in the newest readable checkpoint, the same one in all processes."""
        fabric, content, state, own_step = self.fabric, None, None, None
        with devices.raise_together(fabric):
            if fabric.is_global_zero:
                content = checkpoints.latest_checkpoint(self.folder)
                with checkpoints.explain_contents(self.folder):
                    own_step = None if content is None else int(content["position"]["step"])
        step = devices.gather(fabric, own_step)[0]
        with devices.raise_together(fabric):
            if step is not None and content is None:
                content = checkpoints.checkpoint_of_step(self.folder, step)
            if content is not None:
                state = RunState.from_dict(content, self.folder, self.vocabulary)
        return state

    def _restore(self, state: RunState) -> None:
        """Continue from `state`, if possible from the same batch of its epoch."""
        fabric = self.fabric
        with devices.raise_together(fabric), checkpoints.explain_contents(self.folder):
            self.learner.load_state_dict(state.learner)
            if (name := not_finite(self.learner.las.state_dict())) is not None:
                raise ValueError(f"{name} is not finite")
            if fabric.global_rank < len(state.random):
                restore_random_state(state.random[fabric.global_rank])
        self.position = state.position
        changes = state.changes_of_order(self._epoch_order())
        if not changes:
            self.totals = state.totals
            self.saved_loader_position = state.loader
        elif fabric.is_global_zero:
            log.warning(
                "%s changed: epoch %d begins again from its first batch",
                ", ".join(changes),
                self.position.epoch,
            )
        self.position.finished = self._limit_reached() or self._epochs_finished()
        log.info("going on from step %d of %s", self.position.step, self.folder)

    def save_checkpoint(self) -> None:
        """Save everything that is needed to continue from here."""
        self._refuse_diverged_weights()
        random = devices.gather(self.fabric, random_state())
        if not self.fabric.is_global_zero:
            return
        state = RunState(
            position=self.position,
            totals=self.totals,
            learner=self.learner.state_dict(),
            loader=self.train_loader.state_dict() if self.totals.utterances else None,
            epoch_order=self._epoch_order(),
            random=random,
            metrics_rows=self.metrics.flush(),
            vocabulary_hash=self.vocabulary.hash,
        )
        checkpoints.save_checkpoint(self.folder, self.position.step, state.to_dict())

    @property
    def ended(self) -> bool:
        """Whether a limit is reached and no epoch is left open.

        One is open where a run resumes under a lower limit than the one it was stopped under.
        """
        return self.position.finished and not self.totals.utterances

    def _epoch_order(self) -> dict[str, Any]:
        sizes = tuple(share.utterances for share in self.mixture.shares)
        utterances = sizes if len(sizes) > 1 else self.statistics.utterances
        return checkpoints.epoch_order(self.settings, utterances, self.fabric.world_size)

    # Before the first step.

    def begin_record(self, command: str | None) -> None:
        """Write `run.json`: command, code and machine, for whoever wants to repeat the run."""
        if self.fabric.is_global_zero:
            facts = provenance.run_facts(command, self.fabric.device)
            facts["seed"] = self.settings.training.seed
            facts["vocabulary"] = self.vocabulary_coverage
            facts["corpora"] = [corpus.to_json() for corpus in self.trained_on()]
            started = self.position.started.replace("/", "-")
            provenance.begin_record(self.folder, facts, started, self.fabric.world_size)

    def trained_on(self) -> Iterator[provenance.TrainingCorpus]:
        """What is known of each corpus, for the record."""
        for share in self.mixture.shares:
            contents = read_contents(self.corpora[share.name])
            yield provenance.TrainingCorpus(
                name=share.name,
                corpora=contents.corpora,
                utterances=share.utterances,
                hours=round(share.seconds / 3600, 3),
                speakers=int(contents.splits.get("train", {}).get("speakers", 0)) or None,
            )

    def check_memory(self) -> None:
        """Try the longest batch there can be, so that a lack of memory shows now and not later."""
        self.learner.check_memory(
            longest_batch(
                self.statistics.longest,
                self.statistics.most_characters,
                self.vocabulary,
                self.settings.data,
                self.fabric.world_size,
            )
        )

    # Train an epoch.

    def stop_requested(self, stop: StopRequests) -> bool:
        """Whether any of the processes was asked to stop."""
        return bool(devices.sum_over_processes(self.fabric, [stop.requested])[0])

    def train_epoch(self, stop: StopRequests) -> bool:
        """Train to the end of the current epoch, or to a limit.

        Returns whether the epoch can be closed: not if the run was asked to stop before its end, or
        if nothing was learnt in it before a limit. Raises an error if too many recordings could not
        be read, or if nothing was learnt at all.
        """
        self.learner.train()
        self.train_loader.sampler.set_epoch(self.position.epoch)
        if self.saved_loader_position is not None:
            self.train_loader.load_state_dict(self.saved_loader_position)
            self.saved_loader_position = None
        training = self.settings.training
        total = math.ceil(self.mixture.utterances * self.settings.data.items_per_utterance)
        with progress_bar(f"epoch {self.position.epoch}", total) as advance:
            advance(self.totals.utterances, "")
            last, freed_memory = time.monotonic(), FreedMemory(seconds=15)
            groups = in_groups(self.train_loader, training.accumulate)
            for batches in groups if not self.position.finished else ():
                utterances_before = self.totals.utterances
                waited = time.monotonic() - last
                self.totals.seconds_waited += waited
                limit_reached, stop_requested = self.train_step(batches, waited, stop)
                self._add_seconds(time.monotonic() - last)
                self._log_step()
                last = time.monotonic()
                mean_loss = self.totals.loss / max(self.totals.steps, 1)
                advance(self.totals.utterances - utterances_before, f"loss {mean_loss:.3f}")
                if limit_reached:
                    self.position.finished = True
                    break
                if stop_requested:
                    return False
                freed_memory.give_back_in_time()
                if self.position.step % training.checkpoint_every == 0:
                    self.save_checkpoint()
                    last = time.monotonic()
        if self.position.finished:
            self.judge_failures()
        else:
            self._check_failures(self.totals.failures)
        if self.totals.steps:
            return True
        if not self.position.finished or self.position.epoch == 0:
            raise self._error("no batch of the epoch could be trained on, for the reasons above")
        self.totals = EpochTotals()  # what the epochs before have learnt is published
        return False

    def train_step(
        self, batches: list[Batch], waited: float, stop: StopRequests
    ) -> tuple[bool, bool]:
        """One step, after `waited` seconds for its batches.

        Returns whether it reached a limit of the settings, and whether any process was asked to
        stop.
        """
        for failure in (failure for batch in batches for failure in batch.failures):
            log.warning("%s left out: %s", failure.id, failure.reason)
        failures = sum(len(batch.failures) for batch in batches)
        self.position.step += 1
        *characters, utterances, failed, samples, limit_reached, self.clock, stop_requested = (
            devices.sum_over_processes(
                self.fabric,
                [
                    *(int(batch.token_lengths.sum()) + len(batch) for batch in batches),
                    sum(map(len, batches)) + failures,
                    failures,
                    sum(int(batch.lengths.sum()) for batch in batches),
                    # Decided by one process, since the clocks of others differ a little.
                    self.fabric.is_global_zero and self._limit_reached(waited),
                    self.position.seconds if self.fabric.is_global_zero else 0.0,
                    stop.requested,
                ],
            )
        )
        totals = self.totals
        totals.utterances += int(utterances)
        totals.failures += int(failed)
        if totals.utterances >= _MIN_UTTERANCES:
            self._check_failures(int(failed))
        if any(characters):
            step = self.learner.step(
                batches,
                list(map(int, characters)),
                self.learning_rate(),
                self.scheduled_sampling(),
                self.position.step <= self.settings.training.listener_frozen_steps,
            )
            if step.updated:
                totals.add(step, samples / SAMPLE_RATE)
            self._check_loss(step)
        return bool(limit_reached), bool(stop_requested)

    def _log_step(self) -> None:
        """Write down every `log_every`th step, its seconds included."""
        due = self.position.step % self.settings.training.log_every == 0
        if due and self.totals.steps and self.fabric.is_global_zero:
            self.metrics.write({"kind": "step", **self._step_metrics()})

    def learning_rate(self) -> float:
        """The learning rate of the current step."""
        epoch_size = self.mixture.utterances * self.settings.data.items_per_utterance
        epochs = self.position.epoch + self.totals.utterances / epoch_size
        return learning_rate(self.settings.training, self.position.step, epochs, self.clock)

    def scheduled_sampling(self) -> float:
        """The share of its input that the speller now reads from its own guesses."""
        plain = self.position.epoch < self.settings.data.plain_epochs
        return 0.0 if plain else self.settings.training.scheduled_sampling

    def _check_loss(self, step: StepResult) -> None:
        """Warn of a step that was not finite; give up after `_MAX_BAD_STEPS` of them in a row."""
        self.totals.skipped_steps += not step.updated
        if step.updated or step.gradient_overflow:
            self.position.bad_steps = 0
            return
        self.position.bad_steps += 1
        if self.fabric.is_global_zero:
            log.warning(
                "step %d skipped: loss %s, gradient norm %s, utterances %s",
                self.position.step,
                step.losses[0],
                step.gradient_norm,
                ", ".join(step.suspect_ids),
            )
        if self.position.bad_steps == _MAX_BAD_STEPS:
            raise self._error(
                f"the loss was not finite {_MAX_BAD_STEPS} steps in a row: lower lr or "
                "max_grad_norm, and listen to the utterances named above"
            )

    def _refuse_diverged_weights(self) -> None:
        """Neither publish nor save weights that are not finite: what there is is worth more."""
        if (name := not_finite(self.learner.las.state_dict())) is not None:
            raise self._error(
                f"the training has diverged: {name} is not finite after step {self.position.step}, "
                "so nothing was saved; lower lr, and the same command goes on from the last "
                "checkpoint"
            )

    def judge_failures(self) -> None:
        """Give up as `_check_failures` does, in the middle of an epoch."""
        few = self.totals.utterances < _MIN_UTTERANCES
        if not (few and self.totals.failures == 1):  # one in a few is a large share by chance
            self._check_failures(self.totals.failures)

    def _check_failures(self, new: int) -> None:
        """Give up if a larger share of the recordings than `max_failures` cannot be read.

        `new` is how many failures there are since the last check; without any, nothing is checked.
        """
        totals, limit = self.totals, self.settings.training.max_failures
        if new and totals.failures > limit * totals.utterances:
            raise self._error(
                f"{totals.failures} of {totals.utterances} utterances could not be read, more than "
                f"max_failures {limit:g}: see to the recordings named above, or raise max_failures"
            )

    def _error(self, message: str) -> BaseException:
        return devices.error_on_one_process(self.fabric, message)

    def _limit_reached(self, seconds: float = 0.0) -> bool:
        """Whether `max_steps` or `max_seconds` is reached, with `seconds` not yet added."""
        training, position = self.settings.training, self.position
        return bool(
            (training.max_steps and position.step >= training.max_steps)
            or (training.max_seconds and position.seconds + seconds >= training.max_seconds)
        )

    def _add_seconds(self, seconds: float) -> None:
        self.totals.seconds += seconds
        self.position.seconds += seconds

    def _step_metrics(self) -> dict[str, Any]:
        position, rate = self.position, self.learning_rate()
        return {
            "epoch": position.epoch,
            "step": position.step,
            "learning_rate": rate,
            **self.totals.means(),
        }

    # Close an epoch.

    def close_epoch(self) -> None:
        """Evaluate on dev and test, publish the best model, and save a checkpoint."""
        row: dict[str, Any] = {
            "kind": "epoch",
            **self._step_metrics(),
            **self.totals.summary(),
            "training_seconds": round(self.position.seconds, 1),
        }
        self._refuse_diverged_weights()
        self.learner.model.eval()
        row.update(self.evaluate(self.learner.evaluated_model, inspect_attention=True))
        if self.fabric.is_global_zero:
            self.metrics.close_epoch(row, self.position.started)
        position, training = self.position, self.settings.training
        if position.dev_beam != training.dev_beam:
            self._compare_by_another_search()
        crr = dev_crr(row, float(position.epoch))  # without a dev split, the newest is the best
        position.stale_epochs += 1
        if crr > position.best_crr:
            position.best_crr, position.stale_epochs = crr, 0
            self._publish(self.learner.evaluated_model, row, str(position.epoch))
        if training.average_best > 1:
            self._save_weights_if_among_best(crr)
        position.epoch += 1
        position.finished = position.finished or self._epochs_finished()
        if position.finished and training.average_best > 1 and len(position.best) > 1:
            self.average_best()
        self.totals = EpochTotals()
        self.save_checkpoint()
        # Only now, so that every checkpoint finds the weights that it names.
        if self.fabric.is_global_zero:
            checkpoints.prune_epoch_weights(self.folder, [epoch for _, epoch in position.best])

    def _compare_by_another_search(self) -> None:
        """Recognise dev with the published model as later epochs will be: their rates are others.

        The weights of earlier epochs that were kept for their mean are not compared any more.
        """
        position, beam = self.position, self.settings.training.dev_beam
        position.dev_beam, position.best = beam, []
        if position.best_crr == -math.inf or not self.dev_corpora:
            return
        with devices.raise_together(self.fabric):
            published = load_pretrained(self.folder, self.fabric.device)
        position.best_crr = dev_crr(self.evaluate(published.model))
        if self.fabric.is_global_zero:
            log.info(
                "dev_beam is %d now: by this search the published model has a dev CRR of %.2f %%",
                beam,
                position.best_crr,
            )

    def _epochs_finished(self) -> bool:
        """Whether `max_epochs` is reached or `patience` exhausted."""
        training, position = self.settings.training, self.position
        out_of_patience = training.patience and position.stale_epochs >= training.patience
        return bool(out_of_patience or position.epoch >= training.max_epochs)

    def evaluate(self, model: ListenAttendSpell, inspect_attention: bool = False) -> dict[str, Any]:
        """Recognise dev and test; returns the metrics under their names in `metrics.jsonl`.

        Of several corpora each has metrics of its own, and the mean of them is what models are
        compared by, so that none is drowned by a larger one. With `inspect_attention`, also plots
        the attention of an utterance of the first dev and warns if the attention aligns nothing.
        """
        row: dict[str, Any] = {}
        values: dict[str, list[float]] = defaultdict(list)
        for (split, corpus), batches in self.evaluation_loaders.items():
            prefix = "valid" if split == "dev" else split
            share, evaluation = self._evaluate_split(model, batches, corpus)
            metrics = {f"{prefix}_{name}": one for name, one in evaluation.epoch_metrics().items()}
            beam = self.settings.training.dev_beam
            if split == "dev" and beam > 1:
                options = SearchOptions(beam, ctc_weight=untuned_ctc_weight(metrics))
                searched = self._evaluate_split(model, batches, corpus, options)[1]
                metrics[DEV_BEAM_CRR] = searched.score.crr
            for name, value in metrics.items():
                values[name].append(value)
                if len(self.corpora) > 1:
                    row[f"{corpus}/{name}"] = value
            first_dev = split == "dev" and corpus == self.dev_corpora[0]
            if inspect_attention and first_dev and evaluation.recognitions:
                self._plot_attention(share)
                self._warn_of_missing_alignment(evaluation.attention_metrics, corpus)
        return {**{name: sum(all_) / len(all_) for name, all_ in values.items()}, **row}

    def _evaluate_split(
        self,
        model: ListenAttendSpell,
        batches: Iterable[Batch],
        corpus: str,
        options: SearchOptions = GREEDY,
    ) -> tuple[RecognizedShare, Evaluation]:
        """Recognise a split: the share of this process, and the evaluation of all shares."""
        with progress_bar("recognising", None) as advance:
            log_mel = self.learner.log_mel
            share = recognize(model, batches, self.vocabulary, log_mel, advance, options)
        shares = devices.gather(self.fabric, share.without_alignments())
        with devices.raise_together(self.fabric):
            evaluation = score_recognitions(shares, self.vocabulary, self.normalizers[corpus])
        return share, evaluation

    def _plot_attention(self, share: RecognizedShare) -> None:
        """Plot the attention of dev's utterance of median length, the same one in every epoch."""
        lengths = [(item.seconds, item.id) for item in share.recognitions]
        all_lengths = sorted(chain.from_iterable(devices.gather(self.fabric, lengths)))
        median = all_lengths[len(all_lengths) // 2]
        of_median = (item for item in share.recognitions if (item.seconds, item.id) == median)
        own = next(of_median, None)
        recognition = next(item for item in devices.gather(self.fabric, own) if item is not None)
        if self.fabric.is_global_zero:
            plots.attention(
                self.folder / "plots" / f"attention_epoch_{self.position.epoch:03d}.png",
                recognition.alignment.numpy(),
                recognition.characters,
                recognition.seconds,
                f"epoch {self.position.epoch}, {recognition.id}: {recognition.hypothesis}",
            )

    def _warn_of_missing_alignment(self, attention: AttentionMetrics | None, corpus: str) -> None:
        """Warn, once in a run, if the attention should align by now and does not."""
        position = self.position
        if attention is None or position.warned_of_alignment:
            return
        warning = alignment_warning(attention, position.step, self.settings, self.corpora[corpus])
        position.warned_of_alignment = warning is not None
        if warning is not None and self.fabric.is_global_zero:
            log.warning("%s", warning)

    def _publish(self, model: ListenAttendSpell, row: dict[str, Any], epoch: str) -> None:
        """Publish a model; `row` has its metrics, and `epoch` names what it was made from."""
        if not self.fabric.is_global_zero:
            return
        rates = {name: rate for name, rate in row.items() if name.endswith("crr")}
        results = {name: f"{rate:.2f}" for name, rate in rates.items() if rate is not None}
        results.update(epoch=epoch, step=str(self.position.step))
        published = PretrainedModel(
            model=model,
            features=self.settings.features,
            vocabulary=self.vocabulary,
            normalizer=self.normalizer,
            results=results,
            longest_utterance=round(self.statistics.long_utterance, 2),
            unseen_units=self.unseen_units,
        )
        publish(self.folder, published)

    # Average the best epochs.

    def _save_weights_if_among_best(self, crr: float) -> None:
        """Save the weights of the current epoch if its CRR is one of the `average_best` best."""
        position = self.position
        best = sorted([*position.best, (crr, position.epoch)], reverse=True)
        position.best = best[: self.settings.training.average_best]
        if (crr, position.epoch) in position.best and self.fabric.is_global_zero:
            checkpoints.save_epoch_weights(
                self.folder, position.epoch, self.learner.evaluated_model
            )

    def average_best(self) -> None:
        """Publish the mean of the best epochs if it is better on dev than the published model."""
        position, fabric = self.position, self.fabric
        epochs = sorted(epoch for _, epoch in position.best)
        fabric.barrier()  # the first process may still be writing the last of them
        with devices.raise_together(fabric):
            weights = [checkpoints.load_epoch_weights(self.folder, epoch) for epoch in epochs]
        model = copy.deepcopy(self.learner.evaluated_model).eval()
        model.load_state_dict(average_weights(weights))
        row = {
            "kind": "average",
            "step": position.step,
            "epochs": epochs,
            **self.evaluate(model),
        }
        best_crr, crr = position.best_crr, dev_crr(row)
        row["published"] = crr > best_crr
        epoch_names = " ".join(map(str, epochs))
        if row["published"]:
            position.best_crr = crr
            self._publish(model, row, f"mean of {epoch_names}")
        if fabric.is_global_zero:
            self.metrics.write(row)
            log.info(
                "the mean of epochs %s has a dev CRR of %.2f %%, the best one %.2f %%: %s",
                epoch_names,
                crr,
                best_crr,
                "published" if row["published"] else "the best one stays published",
            )
