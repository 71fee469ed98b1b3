"""Overfit test: train on thirty utterances and check that the model can recite them.

It trains with the learner of `sorigeul train` and recognises as an epoch of it does, and writes no
files. Does not know why a test may fail.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, log, nan
from random import Random

from lhotse import CutSet, MonoCut

from sorigeul.base.progress import progress_bar
from sorigeul.data.batches import Batch, UtteranceDataset
from sorigeul.data.manifests import transcript
from sorigeul.evaluation.evaluate import recognize, score_recognitions
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import devices
from sorigeul.training.learner import Learner
from sorigeul.training.settings import Settings
from sorigeul.training.starting_point import start_encoder_weights

UTTERANCES = 30
PASSED_CRR = 90.0
"""free-running CRR in % from which on the test is passed"""
OVERFIT_LR = 0.002
"""suits models of some million parameters and batches of six; a higher lr is used as it is"""

Clock = Callable[[], float]
"""seconds since some moment; given by a test so that its result does not depend on the machine"""

_BATCH_SIZE = 6
_WARMUP_STEPS = 20
_LONGEST_MEDIAN = 6.0  # seconds; if the median duration is longer, utterances of 6 s are chosen
_RECOGNITION_SHARE = 0.2  # of the time, at most
_EPOCHS_TO_FALL, _LOSS_AFTER_FALL = 40, 0.7  # of the loss of the first epoch
_EPOCHS_TO_RISE, _LOSS_AFTER_RISE = 5, 3.0  # of the loss of the first epoch
_STILL_FALLING = 0.95  # of the loss a quarter of the epochs before
_NON_FINITE_STEPS = 10  # in a row
_SPELLER_PATIENCE = 2.0  # times the seconds that CTC took, for the speller to follow
_LEAST_PATIENCE = 45.0  # seconds


@dataclass(frozen=True)
class Outcome:
    """Result of an overfit test. Rates are in %, and free-running unless they say otherwise."""

    utterances: int
    seconds: float
    epochs: int
    crr: float
    """of the speller"""
    ctc_crr: float | None
    """of the CTC head, if there is one"""
    forced_crr: float
    """of the speller, teacher-forced, in the last epoch"""
    loss: float
    """of the speller, for each character, in the last epoch"""
    falling: bool
    """whether the loss still fell in the last quarter of the epochs"""
    finite: bool
    """whether the loss stayed finite"""
    lr: float

    @property
    def passed(self) -> bool:
        return self.crr >= PASSED_CRR

    @property
    def ctc_passed(self) -> bool:
        return self.ctc_crr is not None and self.ctc_crr >= PASSED_CRR


def choose_utterances(cuts: Sequence[MonoCut]) -> list[MonoCut]:
    """The thirty cuts nearest to the median duration, each text once, the shortest first."""
    if not cuts:
        return []
    median = min(sorted(cut.duration for cut in cuts)[len(cuts) // 2], _LONGEST_MEDIAN)
    by_text = {transcript(cut): cut for cut in reversed(cuts)}
    nearest = sorted(by_text.values(), key=lambda cut: abs(log(cut.duration / median)))
    return sorted(nearest[:UTTERANCES], key=lambda cut: float(cut.duration))


def overfit_settings(settings: Settings) -> Settings:
    """The settings without everything that keeps a model from overfitting."""
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
    time_limit: float,
    pretrained: PretrainedModel | None = None,
    clock: Clock = time.monotonic,
) -> Outcome:
    """Train on the cuts until the speller recites them, or `time_limit` seconds have passed.

    Ends earlier if the loss shows that nothing is learnt, or if the CTC head has passed the test
    and the speller does not follow. Raises UserError if memory runs out, or if the settings ask
    for something that this machine does not have.
    """
    start = clock()
    settings = overfit_settings(settings)
    fabric = devices.launch(settings.training)
    with devices.explain_crash(fabric), progress_bar("overfit test", 100, counted=False) as advance:
        encoder_weights = start_encoder_weights(settings)
        learner = Learner(settings, vocabulary, fabric, pretrained, 0, encoder_weights)
        test = _OverfitTest(cuts, vocabulary, learner, clock, start)
        deadline = time_limit
        while test.time_left(deadline) > 0 and not test.is_hopeless and test.crr < PASSED_CRR:
            seconds_before = test.seconds
            test.train_epoch(deadline)
            if test.recognition_seconds < _RECOGNITION_SHARE * test.seconds:
                test.recognize()
                ctc_passed = test.ctc_crr is not None and test.ctc_crr >= PASSED_CRR
                if ctc_passed and deadline == time_limit:
                    patience = max(_LEAST_PATIENCE, _SPELLER_PATIENCE * test.seconds)
                    deadline = min(time_limit, test.seconds + patience)
            note = f"loss {test.loss:.2f}, CRR {test.crr:.0f} %"
            advance((test.seconds - seconds_before) / time_limit * 100, note)
        if test.recognition_is_outdated:
            test.recognize()
        return test.outcome()


class _OverfitTest:
    """A learner, its utterances, and its progress."""

    def __init__(
        self,
        cuts: Sequence[MonoCut],
        vocabulary: Vocabulary,
        learner: Learner,
        clock: Clock,
        start: float,
    ) -> None:
        self.learner, self.vocabulary, self.utterances = learner, vocabulary, len(cuts)
        self.clock, self.start = clock, start
        dataset = UtteranceDataset(vocabulary)
        self.batches: list[Batch] = [
            dataset[CutSet.from_cuts(cuts[first : first + _BATCH_SIZE])]
            for first in range(0, len(cuts), _BATCH_SIZE)
        ]
        self.random = Random(learner.settings.training.seed)
        self.recognition_seconds = self.last_recognition_seconds = 0.0
        self.recognition_is_outdated = True
        """whether the model was trained since it was last used for recognition"""
        self.steps = self.epochs = self.non_finite_steps = 0
        self.losses: list[float] = []
        """of each epoch"""
        self.crr = self.forced_crr = 0.0
        self.ctc_crr: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the start of the test."""
        return self.clock() - self.start

    def time_left(self, deadline: float) -> float:
        """Seconds to train in, so that a last recognition ends before the deadline."""
        return deadline - self.seconds - 1.5 * self.last_recognition_seconds

    @property
    def loss(self) -> float:
        """Of the last epoch."""
        return self.losses[-1] if self.losses else nan

    @property
    def is_hopeless(self) -> bool:
        """Whether the loss is no longer finite, rises, or does not fall."""
        not_falling = (
            self.epochs >= _EPOCHS_TO_FALL and min(self.losses) > _LOSS_AFTER_FALL * self.losses[0]
        )
        rising = self.epochs >= _EPOCHS_TO_RISE and self.loss > _LOSS_AFTER_RISE * self.losses[0]
        return not_falling or rising or not self.is_finite

    @property
    def is_finite(self) -> bool:
        return self.non_finite_steps < _NON_FINITE_STEPS

    def train_epoch(self, deadline: float) -> None:
        """Train for one epoch, or as much of it as there is time for."""
        learner, lr = self.learner, self.learner.settings.training.lr
        learner.train()
        self.random.shuffle(self.batches)
        errors = characters = tokens = 0
        loss = 0.0
        for batch in self.batches:
            self.steps += 1
            count = int(batch.token_lengths.sum()) + len(batch)
            step = learner.step([batch], [count], lr * min(1.0, self.steps / _WARMUP_STEPS))
            self.non_finite_steps = 0 if step.updated else self.non_finite_steps + 1
            errors, characters = errors + step.errors, characters + step.characters
            loss, tokens = loss + step.losses[1] * count, tokens + count
            if self.time_left(deadline) <= 0:
                break
        self.epochs += 1
        self.recognition_is_outdated = True
        self.losses.append(loss / tokens)
        if characters:
            self.forced_crr = 100 * (1 - errors / characters)

    def recognize(self) -> None:
        """Recognise the utterances free-running, by the speller and by the CTC head."""
        seconds_before = self.seconds
        self.learner.model.eval()
        share = recognize(
            self.learner.las,
            self.batches,
            self.vocabulary,
            self.learner.log_mel,
            lambda *_: None,
        )
        evaluation = score_recognitions([share], self.vocabulary, "")
        self.crr = evaluation.score.crr
        self.ctc_crr = None if evaluation.ctc_score is None else evaluation.ctc_score.crr
        self.recognition_is_outdated = False
        self.last_recognition_seconds = self.seconds - seconds_before
        self.recognition_seconds += self.last_recognition_seconds

    def outcome(self) -> Outcome:
        epochs = len(self.losses)
        earlier_loss = self.losses[3 * epochs // 4 - 1] if epochs > 3 else inf
        return Outcome(
            utterances=self.utterances,
            seconds=self.seconds,
            epochs=self.epochs,
            crr=self.crr,
            ctc_crr=self.ctc_crr,
            forced_crr=self.forced_crr,
            loss=self.loss,
            falling=not (self.is_hopeless or self.loss >= _STILL_FALLING * earlier_loss),
            finite=self.is_finite,
            lr=self.learner.settings.training.lr,
        )
