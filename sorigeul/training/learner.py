"""One step of learning: batches of waveforms, features, a teacher-forced pass, a step of Adam.

A step takes one batch or several in turn, and of each every process its share. Its loss is the mean
over the characters of all of them, however they were dealt out. Knows no files and no epochs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from sorigeul.data.batches import Batch
from sorigeul.evaluation import scores
from sorigeul.model.las import LASOutput, ListenAttendSpell
from sorigeul.model.losses import Losses, joint_losses
from sorigeul.pretrained.loading import PretrainedModel
from sorigeul.sound.features import LogMel
from sorigeul.sound.spec_augment import spec_augment
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import devices
from sorigeul.training.finetuning import freeze, frozen_batch_norms, transfer_weights
from sorigeul.training.settings import Settings
from sorigeul.training.weight_averaging import moving_average


@dataclass(frozen=True)
class StepResult:
    """What came of a step, over all its batches and all processes."""

    updated: bool
    """false where loss or gradient were not finite, and the weights stayed as they were"""
    overflowed: bool
    """nothing was learnt, but only since float16 was scaled too high, which it no longer is"""
    suspects: list[str]
    """where nothing was learnt, the utterances that may be at fault"""
    losses: list[float]
    """total, speller, CTC, guide"""
    gradient_norm: float
    characters: int
    """of the teacher-forced batches, without spaces"""
    errors: int
    """edits between them and the teacher-forced output"""


class Learner:
    """A model, its optimizer, and what they do with a batch.

    The model begins from nothing, or from a published one of the same shape.
    """

    def __init__(
        self,
        settings: Settings,
        vocabulary: Vocabulary,
        fabric: Fabric,
        pretrained: PretrainedModel | None = None,
    ) -> None:
        self.settings, self.vocabulary, self.fabric = settings, vocabulary, fabric
        training = settings.training
        fabric.seed_everything(training.seed, verbose=False)
        model = replace(settings.model, vocabulary_size=len(vocabulary))
        self.las = ListenAttendSpell(model, torch.tensor(vocabulary.jamo_ids()))
        self.las.listener.checkpoint_activations = training.checkpoint_activations
        if pretrained is not None:
            transfer_weights(self.las, vocabulary, pretrained)
        with devices.raise_together(fabric):
            freeze(self.las, training.freeze)
        self.average: AveragedModel | None = None
        if training.ema_decay:
            self.average = moving_average(self.las, training.ema_decay).to(fabric.device)
        self.scaler = getattr(fabric.strategy.precision, "scaler", None)
        listener = list(self.las.listener.parameters())  # which come first of all
        others = list(self.las.parameters())[len(listener) :]
        optimizer = torch.optim.Adam(
            [
                {"params": listener, "factor": training.listener_lr},
                {"params": others, "factor": 1.0},
            ],
            lr=training.lr,
            fused=self.scaler is None,
        )
        self.model, self.optimizer = fabric.setup(self.las, optimizer)
        self.log_mel = LogMel(settings.features).to(fabric.device)
        # Whether a batch is teacher-forced is the same for all processes, and no library draws
        # from this. Masks and dropout are each process's own.
        self.forcing = torch.Generator().manual_seed(training.seed)
        if fabric.global_rank:
            torch.manual_seed(training.seed + fabric.global_rank)

    @property
    def evaluated_model(self) -> ListenAttendSpell:
        """What is evaluated and published: the average of the weights, if there is one."""
        return self.las if self.average is None else cast(ListenAttendSpell, self.average.module)

    def train(self) -> None:
        """Go over to training; what is frozen keeps its statistics, and goes by them."""
        self.model.train()
        for layer in frozen_batch_norms(self.las):
            layer.eval()

    def step(
        self,
        batches: Sequence[Batch],
        characters: Sequence[int],
        rate: float,
        sampling: float = 0.0,
    ) -> StepResult:
        """One step of Adam on `batches`, which hold so many `characters` in all processes together.

        Characters are counted with an end mark to each utterance. Batches of none are passed over.
        A share `sampling` of what the speller reads is its own guesses.
        """
        training, fabric = self.settings.training, self.fabric
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        filled = [batch for batch, count in zip(batches, characters, strict=True) if count]
        sums = torch.zeros(4, device=fabric.device)
        written: list[tuple[Batch, Tensor]] = []
        for number, batch in enumerate(filled, 1):
            forced = float(torch.rand((), generator=self.forcing)) < training.teacher_forcing
            with fabric.no_backward_sync(self.model, enabled=number < len(filled)):
                spelled, losses = self._pass(
                    batch.to(fabric.device), forced, sum(characters), sampling
                )
                # Processes take the mean of their gradients, where it is the sum that is wanted.
                fabric.backward(losses.total * fabric.world_size)
            sums += torch.stack([part.detach() for part in vars(losses).values()])
            if forced and len(batch):
                written.append((batch, spelled.logits.argmax(-1)))
        norm = fabric.clip_gradients(
            self.model, self.optimizer, max_norm=training.max_grad_norm, error_if_nonfinite=False
        )
        assert norm is not None
        *own, gradient_norm = torch.cat((sums, norm.view(1))).tolist()
        all_losses = devices.sum_over_processes(fabric, own)
        sound = all(map(math.isfinite, all_losses))
        learnt = sound and math.isfinite(gradient_norm)
        if learnt or self.scaler is not None:  # which then lowers its scale, and steps not
            self.optimizer.step()
        if learnt and self.average is not None:
            self.average.update_parameters(self.las)
        self.optimizer.zero_grad()
        overflowed = sound and not learnt and self.scaler is not None
        suspects = [] if learnt or overflowed else self._suspects(filled, own)
        count, errors = self._errors(written)
        return StepResult(learnt, overflowed, suspects, all_losses, gradient_norm, count, errors)

    def state_dict(self) -> dict[str, Any]:
        """All it takes to go on from here."""
        return {
            "model": self.las.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "forcing": self.forcing.get_state(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state_dict` gave; rates, and what is frozen, are those of now."""
        self.las.load_state_dict(state["model"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
        if state["precision"]:
            self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.forcing.set_state(state["forcing"])
        if self.average is not None:  # from here on, in a run that had none
            if state["average"] is None:
                self.average.module.load_state_dict(state["model"])
            else:
                self.average.load_state_dict(state["average"])

    def check_memory(self, batch: Batch) -> None:
        """Go forward and back through a batch and learn nothing: does the memory suffice?"""
        on_gpu = self.fabric.device.type == "cuda"
        # What Adam will keep, where it has not begun to.
        unborn = [] if self.optimizer.state else list(self.las.parameters())
        kept = [torch.empty_like(part) for part in unborn for _ in range(2)]
        draws = torch.random.fork_rng([self.fabric.device] if on_gpu else [])
        with draws, self.las.listener.uncounted():
            _, losses = self._pass(batch.to(self.fabric.device), True, len(batch))
            self.fabric.backward(losses.total)
        del kept
        self.optimizer.zero_grad()

    def _pass(
        self, batch: Batch, forced: bool, of: int, sampling: float = 0.0
    ) -> tuple[LASOutput, Losses]:
        """The losses of a share of a batch that holds so many characters."""
        training = self.settings.training
        tokens, token_lengths = batch.tokens, batch.token_lengths
        if len(batch):
            features, lengths = self.log_mel(batch.waveforms, batch.lengths)
        else:  # a process without utterances must keep step with the others: it hears nothing
            features = torch.zeros(1, 1, self.settings.features.n_mels, device=tokens.device)
            lengths = token_lengths = torch.zeros(1, dtype=torch.long, device=tokens.device)
            tokens = torch.full((1, 1), self.vocabulary.pad_id, device=tokens.device)
        if batch.augmented.any():
            features = spec_augment(
                features,
                lengths,
                batch.augmented,
                self.settings.spec_augment,
                self.settings.features.frames_per_second,
            )
        spelled = self.model(features, lengths, tokens, forced, sampling)
        smoothing = training.label_smoothing if training.use_label_smoothing else 0.0
        losses = joint_losses(self.las.config, spelled, tokens, token_lengths, smoothing, of)
        if not len(batch):
            losses = Losses(*(0.0 * part for part in vars(losses).values()))
        return spelled, losses

    def _suspects(self, batches: Sequence[Batch], own: Sequence[float]) -> list[str]:
        """The utterances of the processes whose loss is not finite; of all, if all are."""
        names = [name for batch in batches for name in batch.ids]
        found = devices.gather(self.fabric, (names, all(map(math.isfinite, own))))
        every = all(sound for _, sound in found)
        return [name for names, sound in found if every or not sound for name in names]

    def _errors(self, written: Sequence[tuple[Batch, Tensor]]) -> tuple[int, int]:
        """Characters of all processes, and edits between them and what was written."""
        characters = errors = 0
        for batch, rows in written:
            lengths = batch.token_lengths.tolist()
            hypotheses = [
                self.vocabulary.decode(row[:length])
                for row, length in zip(rows.tolist(), lengths, strict=True)
            ]
            wrong, said = scores.character_errors(batch.texts, hypotheses)
            characters, errors = characters + said, errors + wrong
        characters, errors = map(int, devices.sum_over_processes(self.fabric, (characters, errors)))
        return characters, errors
