"""One training step: waveforms to features, a teacher-forced pass, losses, a step of Adam.

A step takes one batch or accumulates several. Every process takes its share of each. The loss is
the mean over the characters of all batches and processes, however they are split up. Does not know
about files and epochs.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from sorigeul.base.memory import return_freed_memory, return_large_blocks
from sorigeul.base.outline import refuse_too_large
from sorigeul.data.batches import Batch
from sorigeul.evaluation import scores
from sorigeul.model.front_end import FrontEnd
from sorigeul.model.las import LASOutput, ListenAttendSpell
from sorigeul.model.losses import Losses, joint_losses
from sorigeul.model.pretrained_listener import PretrainedListener
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.features import make_features
from sorigeul.sound.spec_augment import spec_augment
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import devices
from sorigeul.training.finetuning import (
    freeze,
    frozen_batch_norms,
    rate_groups,
    transfer_weights,
)
from sorigeul.training.settings import Settings
from sorigeul.training.weight_averaging import moving_average

_LARGE_BATCH = 120 * SAMPLE_RATE


@dataclass(frozen=True)
class StepResult:
    """Result of a step, over all its batches and all processes."""

    updated: bool
    """false if loss or gradient was not finite, so that the weights were left unchanged"""
    gradient_overflow: bool
    """whether the update was skipped because float16 gradients overflowed; the loss scale has been
    lowered since"""
    suspect_ids: list[str]
    """utterances that may have caused a loss or gradient that was not finite"""
    losses: list[float]
    """total, speller, CTC, guide, jamo"""
    gradient_norm: float
    characters: int
    """characters of the teacher-forced batches, without spaces"""
    errors: int
    """edit distance between these characters and the teacher-forced output"""


class Learner:
    """A model, its optimizer, and one training step.

    The model starts from random weights, or from a published model of the same shape; its
    pretrained listener from `encoder_weights`. The last `unseen_units` of the vocabulary before
    the specials are in no transcript.
    """

    def __init__(
        self,
        settings: Settings,
        vocabulary: Vocabulary,
        fabric: Fabric,
        pretrained: PretrainedModel | None = None,
        unseen_units: int = 0,
        encoder_weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.settings, self.vocabulary, self.fabric = settings, vocabulary, fabric
        training = settings.training
        config = replace(settings.model, vocabulary_size=len(vocabulary))
        with devices.raise_together(fabric):
            sizes = "hidden_size, conv_channels or the numbers of layers"
            refuse_too_large(lambda: ListenAttendSpell(config), fabric.device, sizes)
        fabric.seed_everything(training.seed, verbose=False)
        jamo_ids = torch.tensor(vocabulary.jamo_ids())
        self.las = ListenAttendSpell(config, jamo_ids, unseen_units)
        self.las.listener.checkpoint_activations = training.checkpoint_activations
        if pretrained is not None:
            transfer_weights(self.las, vocabulary, pretrained)
        if isinstance(self.las.listener, PretrainedListener):
            if encoder_weights is not None:
                self.las.listener.encoder.load_state_dict(encoder_weights)
            if training.listener_frozen_steps < 0:
                self.las.listener.encoder.requires_grad_(False)
        with devices.raise_together(fabric):
            freeze(self.las, training.freeze)
        self.average: AveragedModel | None = None
        if training.ema_decay:
            self.average = moving_average(self.las, training.ema_decay).to(fabric.device)
        self.scaler = getattr(fabric.strategy.precision, "scaler", None)
        optimizer = torch.optim.Adam(
            rate_groups(self.las, training), lr=training.lr, fused=self.scaler is None
        )
        self.model, self.optimizer = fabric.setup(self.las, optimizer)
        self._decaying = {
            id(weight)
            for name, weight in self.las.named_parameters()
            if weight.dim() > 1 and "embedding" not in name
        }
        self.log_mel = make_features(settings.features).to(fabric.device)
        # Decides which batches are teacher-forced: the same ones in all processes, whatever else
        # draws random numbers. Masks and dropout are drawn by each process on its own.
        self.teacher_forcing_generator = torch.Generator().manual_seed(training.seed)
        if fabric.global_rank:
            torch.manual_seed(training.seed + fabric.global_rank)

    @property
    def evaluated_model(self) -> ListenAttendSpell:
        """The model to evaluate and publish: the moving average of the weights, if there is one."""
        return self.las if self.average is None else cast(ListenAttendSpell, self.average.module)

    @torch.no_grad()
    def _decay_weights(self) -> None:
        """Weight decay beside Adam's step (Loshchilov and Hutter 2019, algorithm 2, line 12).

        Here and not in the optimizer, whose groups and state in a checkpoint so stay the same
        whether there is decay or not. Matrices decay; of an embedding only the rows of the
        characters of a batch have a gradient, so embeddings do not.
        """
        decay = self.settings.training.weight_decay
        if not decay:
            return
        for group in self.optimizer.param_groups:
            learning = [weight for weight in group["params"] if weight.grad is not None]
            decaying = [weight for weight in learning if id(weight) in self._decaying]
            if decaying:
                torch._foreach_mul_(decaying, 1 - group["lr"] * decay)

    def train(self) -> None:
        """Switch to training mode; frozen batch normalisations keep using their own statistics."""
        self.model.train()
        for layer in frozen_batch_norms(self.las):
            layer.eval()

    def step(
        self,
        batches: Sequence[Batch],
        characters: Sequence[int],
        learning_rate: float,
        scheduled_sampling: float = 0.0,
        encoder_frozen: bool = False,
    ) -> StepResult:
        """Take one step of Adam on `batches`.

        `characters` are the characters of each batch in all processes together, plus an end mark
        for each utterance. A batch without any is skipped. `scheduled_sampling` is the share of its
        input characters that the speller reads from its own guesses. With `encoder_frozen` a
        pretrained listener's encoder stays as it is.
        """
        fabric = self.fabric
        if isinstance(self.las.listener, PretrainedListener):
            self.las.listener.freeze(
                encoder_frozen or self.settings.training.listener_frozen_steps < 0
            )
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group["factor"]
        nonempty = [batch for batch, count in zip(batches, characters, strict=True) if count]
        statistics = [buffer.clone() for buffer in self.las.buffers()]
        loss_sums, forced_outputs = self._accumulate_gradients(
            nonempty, sum(characters), scheduled_sampling
        )
        norm = fabric.clip_gradients(
            self.model,
            self.optimizer,
            max_norm=self.settings.training.max_grad_norm,
            error_if_nonfinite=False,
        )
        assert norm is not None
        *own_losses, gradient_norm = torch.cat((loss_sums, norm.view(1))).tolist()
        losses = devices.sum_over_processes(fabric, own_losses)
        finite_losses = all(map(math.isfinite, losses))
        updated = finite_losses and math.isfinite(gradient_norm)
        if updated or self.scaler is not None:  # the scaler skips a bad step and lowers its scale
            if updated:
                self._decay_weights()
            self.optimizer.step()
        if updated and self.average is not None:
            self.average.update_parameters(self.las)
        self.optimizer.zero_grad()
        gradient_overflow = finite_losses and not updated and self.scaler is not None
        suspect_ids = []
        if not (updated or gradient_overflow):
            # Batch normalisation has averaged the step into its running statistics.
            for buffer, before in zip(self.las.buffers(), statistics, strict=True):
                buffer.copy_(before)
            suspect_ids = self._suspect_ids(nonempty, own_losses)
        character_count, errors = self._count_errors(forced_outputs)
        return StepResult(
            updated=updated,
            gradient_overflow=gradient_overflow,
            suspect_ids=suspect_ids,
            losses=losses,
            gradient_norm=gradient_norm,
            characters=character_count,
            errors=errors,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue training from here, under the keys of a checkpoint."""
        return {
            "model": self.las.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "forcing": self.teacher_forcing_generator.get_state(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; learning rates and frozen layers stay as set now."""
        self.las.load_state_dict(state["model"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
        if state["precision"]:
            self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.teacher_forcing_generator.set_state(state["forcing"])
        if self.average is not None:
            if state["average"] is None:  # averaging starts here, in a run that did not average
                self.average.module.load_state_dict(state["model"])
            else:
                self.average.load_state_dict(state["average"])

    def check_memory(self, batch: Batch) -> None:
        """Run forward and backward on a batch without learning, so that too little memory shows."""
        on_gpu = self.fabric.device.type == "cuda"
        # Adam allocates two tensors for each parameter, but only at its first step.
        parameters = [] if self.optimizer.state else list(self.las.parameters())
        adam_state = [torch.empty_like(tensor) for tensor in parameters for _ in range(2)]
        keep_generators = torch.random.fork_rng([self.fabric.device] if on_gpu else [])
        keep_statistics = self.las.listener.keep_running_statistics()
        with keep_generators, keep_statistics, self._bounded_memory(batch):
            _, losses = self._forward(batch.to(self.fabric.device), True, len(batch))
            self.fabric.backward(losses.total)
        del adam_state
        self.optimizer.zero_grad()

    def _accumulate_gradients(
        self, batches: Sequence[Batch], characters: int, scheduled_sampling: float
    ) -> tuple[Tensor, list[tuple[Batch, Tensor]]]:
        """Forward and backward of the batches, which hold `characters` in all processes together.

        Returns the sums of the losses (5,) of this process, and its teacher-forced batches with the
        ids (B, U + 1) that the speller found best.
        """
        fabric = self.fabric
        loss_sums = torch.zeros(len(fields(Losses)), device=fabric.device)
        forced_outputs: list[tuple[Batch, Tensor]] = []
        for number, batch in enumerate(batches, 1):
            draw = float(torch.rand((), generator=self.teacher_forcing_generator))
            forced = draw < self.settings.training.teacher_forcing
            keep_gradients = fabric.no_backward_sync(self.model, enabled=number < len(batches))
            with keep_gradients, self._bounded_memory(batch):
                output, losses = self._forward(
                    batch.to(fabric.device), forced, characters, scheduled_sampling
                )
                # The processes average their gradients, but the sum is needed.
                fabric.backward(losses.total * fabric.world_size)
            loss_sums += torch.stack([loss.detach() for loss in vars(losses).values()])
            if forced and len(batch):
                forced_outputs.append((batch, output.logits.argmax(-1)))
        return loss_sums, forced_outputs

    @contextmanager
    def _bounded_memory(self, batch: Batch) -> Iterator[None]:
        """Context for forward and backward of a batch, in which a large one takes less memory.

        On a CPU the longest batch has four times the sound of most, and would decide alone how
        much memory a training holds. Its convolutions are computed again in the backward pass.
        """
        listener, fabric = self.las.listener, self.fabric
        large = batch.waveforms.numel() > _LARGE_BATCH and fabric.device.type == "cpu"
        # Several processes sum their statistics of batch normalisation: all or none compute again,
        # and their shares of a batch differ.
        if not large or not isinstance(listener, FrontEnd) or fabric.world_size > 1:
            yield
            return
        before, listener.checkpoint_activations = listener.checkpoint_activations, True
        listener.before_recomputing = return_freed_memory
        try:
            with return_large_blocks():
                yield
        finally:
            listener.checkpoint_activations, listener.before_recomputing = before, None

    def _forward(
        self, batch: Batch, forced: bool, characters: int, scheduled_sampling: float = 0.0
    ) -> tuple[LASOutput, Losses]:
        """Output and losses of a batch; the losses are divided by `characters`."""
        training = self.settings.training
        tokens, token_lengths = batch.tokens, batch.token_lengths
        if len(batch):
            features, lengths = self.log_mel(batch.waveforms, batch.lengths)
        else:  # a process without utterances must still go through the model with the others
            features = torch.zeros(1, 1, self.settings.features.width, device=tokens.device)
            lengths = token_lengths = torch.zeros(1, dtype=torch.long, device=tokens.device)
            tokens = torch.full((1, 1), self.vocabulary.pad_id, device=tokens.device)
        if batch.augmented.any():
            features = spec_augment(
                features,
                lengths,
                batch.augmented,
                self.settings.spec_augment,
                self.settings.features.steps_per_second,
            )
        output = self.model(features, lengths, tokens, forced, scheduled_sampling)
        smoothing = training.label_smoothing if training.use_label_smoothing else 0.0
        losses = joint_losses(self.las.config, output, tokens, token_lengths, smoothing, characters)
        if not len(batch):
            losses = Losses(*(0.0 * loss for loss in vars(losses).values()))
        return output, losses

    def _suspect_ids(self, batches: Sequence[Batch], own_losses: Sequence[float]) -> list[str]:
        """The utterances whose features are not finite.

        If there are none, those of the processes whose loss is not finite, or else of all.
        """
        ids = [utterance_id for batch in batches for utterance_id in batch.ids]
        impossible = [name for batch in batches for name in self._impossible_ids(batch)]
        if any(all_impossible := devices.gather(self.fabric, impossible)):
            return [utterance_id for share_ids in all_impossible for utterance_id in share_ids]
        shares = devices.gather(self.fabric, (ids, all(map(math.isfinite, own_losses))))
        all_finite = all(finite for _, finite in shares)
        return [
            utterance_id
            for share_ids, finite in shares
            if all_finite or not finite
            for utterance_id in share_ids
        ]

    def _impossible_ids(self, batch: Batch) -> list[str]:
        """The utterances of a batch whose features are not finite, as those of huge samples."""
        if not len(batch):
            return []
        on_device = batch.to(self.fabric.device)
        features, _ = self.log_mel(on_device.waveforms, on_device.lengths)
        finite = features.isfinite().all(-1).all(-1).tolist()
        return [name for name, is_finite in zip(batch.ids, finite, strict=True) if not is_finite]

    def _count_errors(self, forced_outputs: Sequence[tuple[Batch, Tensor]]) -> tuple[int, int]:
        """Characters of the texts and errors in the outputs, over all processes."""
        characters = errors = 0
        for batch, rows in forced_outputs:
            lengths = batch.token_lengths.tolist()
            hypotheses = [
                self.vocabulary.decode(row[:length])
                for row, length in zip(rows.tolist(), lengths, strict=True)
            ]
            batch_errors, batch_characters = scores.character_errors(batch.texts, hypotheses)
            characters, errors = characters + batch_characters, errors + batch_errors
        characters, errors = map(int, devices.sum_over_processes(self.fabric, (characters, errors)))
        return characters, errors
