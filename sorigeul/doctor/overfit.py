"""Thirty utterances learnt by heart: whether a model with these settings can learn at all.

The learner is the one that trains, and recognition the one that evaluates; nothing is written.
Knows nothing of why it might fail.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, nan
from random import Random

from lhotse import CutSet, MonoCut

from sorigeul.base.progress import progress_bar
from sorigeul.data.batches import Batch, UtteranceDataset
from sorigeul.data.manifests import text
from sorigeul.evaluation.evaluate import recognize, score_recognitions
from sorigeul.pretrained.loading import PretrainedModel
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import devices
from sorigeul.training.learner import Learner
from sorigeul.training.settings import Settings

UTTERANCES = 30
PASSED_CRR = 90.0
"""free-running CRR in % from which on they are known by heart"""
OVERFIT_LR = 0.002
"""Suits models of some million parameters and batches of six; a higher lr is put to the test."""

_BATCH = 6
_WARMUP_STEPS = 20
_LONGEST = 6.0  # seconds that need not be exceeded, where the middle length is more
_SHARE_OF_RECOGNITION = 0.2  # of the time
_EPOCHS_TO_FALL, _FALLEN = 40, 0.7  # of the loss of the first epoch
_EPOCHS_TO_RISE, _RISEN = 5, 3.0
_FALLING = 0.95  # of the loss a quarter of the time before
_BAD_STEPS = 10  # in a row, whose loss is not finite
_PATIENCE = 2.0  # times as long as CTC took, for the speller to follow
_LEAST_PATIENCE = 45.0  # seconds


@dataclass(frozen=True)
class Outcome:
    """How far it came. Rates in %, free-running but for one."""

    utterances: int
    seconds: float
    epochs: int
    crr: float
    ctc_crr: float | None
    """of the CTC head, if there is one"""
    forced_crr: float
    """teacher-forced, of the last epoch"""
    loss: float
    """of the speller a character, in the last epoch"""
    falling: bool
    """whether it was lower than a quarter of the time before"""
    finite: bool
    lr: float

    @property
    def learnt(self) -> bool:
        return self.crr >= PASSED_CRR

    @property
    def learnt_by_ctc(self) -> bool:
        return self.ctc_crr is not None and self.ctc_crr >= PASSED_CRR


def choose_utterances(cuts: Sequence[MonoCut]) -> list[MonoCut]:
    """Those nearest to the middle length, no text twice, the shortest first."""
    if not cuts:
        return []
    middle = min(sorted(cut.duration for cut in cuts)[len(cuts) // 2], _LONGEST)
    by_text = {text(cut): cut for cut in reversed(cuts)}
    near = sorted(by_text.values(), key=lambda cut: abs(log(cut.duration / middle)))
    return sorted(near[:UTTERANCES], key=lambda cut: float(cut.duration))


def overfit_settings(settings: Settings) -> Settings:
    """The settings without what keeps a model from learning by heart."""
    return settings.changed(
        {
            "dropout": 0.0,
            "use_label_smoothing": False,
            "use_augment": False,
            "devices": 1,
            "ema_decay": 0.0,
            "lr": max(settings.training.lr, OVERFIT_LR),
        },
        "doctor",
    )


def overfit(
    cuts: Sequence[MonoCut],
    vocabulary: Vocabulary,
    settings: Settings,
    seconds: float,
    pretrained: PretrainedModel | None = None,
) -> Outcome:
    """Learn the cuts until the speller knows them, or time is up.

    Where the CTC head knows them and the speller does not follow, or nothing is learnt at all, the
    time ends earlier. Raises UserError where memory runs out, or the settings ask for what this
    machine has not.
    """
    start = time.monotonic()
    settings = overfit_settings(settings)
    fabric = devices.launch(settings.training)
    with devices.explain_crash(fabric), progress_bar("by heart", 100, counted=False) as advance:
        learner = Learner(settings, vocabulary, fabric, pretrained)
        trial = _Trial(cuts, vocabulary, learner, start)
        end = seconds
        while trial.time_left(end) > 0 and not trial.hopeless and trial.crr < PASSED_CRR:
            before = trial.seconds
            trial.learn(end)
            if trial.recognising < _SHARE_OF_RECOGNITION * trial.seconds:
                trial.recognise()
                if trial.ctc_crr is not None and trial.ctc_crr >= PASSED_CRR and end == seconds:
                    patience = max(_LEAST_PATIENCE, _PATIENCE * trial.seconds)
                    end = min(seconds, trial.seconds + patience)
            note = f"loss {trial.loss:.2f}, CRR {trial.crr:.0f} %"
            advance((trial.seconds - before) / seconds * 100, note)
        if trial.unheard:
            trial.recognise()
        return trial.outcome()


class _Trial:
    """A learner, its utterances, and how far it has come."""

    def __init__(
        self, cuts: Sequence[MonoCut], vocabulary: Vocabulary, learner: Learner, start: float
    ) -> None:
        self.learner, self.vocabulary, self.utterances = learner, vocabulary, len(cuts)
        self.start = start
        read = UtteranceDataset(vocabulary)
        parts = (cuts[first : first + _BATCH] for first in range(0, len(cuts), _BATCH))
        self.batches: list[Batch] = [read[CutSet.from_cuts(part)] for part in parts]
        self.draws = Random(learner.settings.training.seed)
        self.recognising = self.recognition = 0.0
        """seconds in all, and the last time"""
        self.unheard = True
        """whether it has learnt since it was last recognised"""
        self.steps = self.epochs = self.bad_steps = 0
        self.losses: list[float] = []
        self.crr = self.forced_crr = 0.0
        self.ctc_crr: float | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def time_left(self, end: float) -> float:
        """Seconds to learn in, since what was learnt must be recognised before the end."""
        return end - self.seconds - 1.5 * self.recognition

    @property
    def loss(self) -> float:
        return self.losses[-1] if self.losses else nan

    @property
    def hopeless(self) -> bool:
        """Whether the loss is not finite any more, rises, or does not fall."""
        still = self.epochs >= _EPOCHS_TO_FALL and min(self.losses) > _FALLEN * self.losses[0]
        rising = self.epochs >= _EPOCHS_TO_RISE and self.loss > _RISEN * self.losses[0]
        return still or rising or not self.finite

    @property
    def finite(self) -> bool:
        return self.bad_steps < _BAD_STEPS

    def learn(self, end: float) -> None:
        """One epoch, or as much of it as there is time for."""
        rate, learner = self.learner.settings.training.lr, self.learner
        learner.train()
        self.draws.shuffle(self.batches)
        errors = characters = tokens = 0
        loss = 0.0
        for batch in self.batches:
            self.steps += 1
            count = int(batch.token_lengths.sum()) + len(batch)
            step = learner.step([batch], [count], rate * min(1.0, self.steps / _WARMUP_STEPS))
            self.bad_steps = 0 if step.updated else self.bad_steps + 1
            errors, characters = errors + step.errors, characters + step.characters
            loss, tokens = loss + step.losses[1] * count, tokens + count
            if self.time_left(end) <= 0:
                break
        self.epochs, self.unheard = self.epochs + 1, True
        self.losses.append(loss / tokens)
        if characters:
            self.forced_crr = 100 * (1 - errors / characters)

    def recognise(self) -> None:
        """Free-running, of the speller and of the CTC head."""
        before = self.seconds
        learner = self.learner
        learner.model.eval()
        heard = recognize(
            learner.las, self.batches, self.vocabulary, learner.log_mel, lambda *_: None
        )
        found = score_recognitions([heard], self.vocabulary, "")
        self.crr = found.score.crr
        self.ctc_crr = None if found.ctc_score is None else found.ctc_score.crr
        self.recognition, self.unheard = self.seconds - before, False
        self.recognising += self.recognition

    def outcome(self) -> Outcome:
        before = self.losses[3 * len(self.losses) // 4 - 1] if len(self.losses) > 3 else inf
        return Outcome(
            utterances=self.utterances,
            seconds=self.seconds,
            epochs=self.epochs,
            crr=self.crr,
            ctc_crr=self.ctc_crr,
            forced_crr=self.forced_crr,
            loss=self.loss,
            falling=not (self.hopeless or self.loss >= _FALLING * before),
            finite=self.finite,
            lr=self.learner.settings.training.lr,
        )
