"""Fine-tuning: known weights are kept to the bit, new units start as mixtures, layers freeze."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tones
from helpers.learners import character_counts, equal, take_steps, weights

from sorigeul import ListenAttendSpell
from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.batches import Batch
from sorigeul.data.sampling import evaluation_batches
from sorigeul.evaluation.evaluate import recognize
from sorigeul.model.jamo_embedding import merged_state_dict
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import checkpoints, devices
from sorigeul.training.finetuning import unit_mixture
from sorigeul.training.learner import Learner
from sorigeul.training.run import train

OLD = Vocabulary.from_texts(["가나다라"])
NEW = OLD.extended(Vocabulary.from_texts(["가각간x"]))
UNIT_ROWS = [
    "speller.embedding.weight",
    "speller.out.weight",
    "speller.out.bias",
    "ctc.weight",
    "ctc.bias",
]


@pytest.fixture(scope="module")
def pretrained(run: Path) -> PretrainedModel:
    return load_pretrained(run)


def finetuning_learner(
    pretrained: PretrainedModel, vocabulary: Vocabulary, **changes: Any
) -> Learner:
    """A learner that fine-tunes a model, before its first step."""
    settings = tones.TINY.changed(changes, "test")
    return Learner(settings, vocabulary, devices.launch(settings.training), pretrained)


# Units and their rows


def test_new_units_follow_the_known_ones() -> None:
    known = Vocabulary.from_texts(["다다나"])
    assert known.extended(Vocabulary.from_texts(["가가가나"])).units[:-3] == ("다", "나", "가")
    assert known.extended(Vocabulary.from_texts(["나"])) == known
    with pytest.raises(UserError, match="a syllable vocabulary cannot be extended by a jamo one"):
        known.extended(Vocabulary.from_texts(["나"], "jamo"))


def test_a_new_syllable_is_a_mixture_of_those_that_share_a_jamo_with_it() -> None:
    known = Vocabulary(("가", "나", "난", "고", "x", "<s>", "</s>", "_"))
    new = known.extended(Vocabulary.from_texts(["간뷁y"]))
    rows = dict(zip(new.units, unit_mixture(known, new), strict=True))
    for number, unit in enumerate(known.units):
        assert rows[unit].tolist() == torch.eye(8)[number].tolist()
    onset, nucleus, coda = [1 / 2, 0, 0, 1 / 2], [1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 1, 0]
    expected = [sum(shares) / 3 for shares in zip(onset, nucleus, coda, strict=True)]
    assert rows["간"].tolist() == pytest.approx([*expected, 0, 0, 0, 0])
    # No known syllable shares a jamo with the first; the second is not Hangul and has no jamo.
    assert rows["뷁"].tolist() == rows["y"].tolist() == pytest.approx([1 / 5] * 5 + [0] * 3)


def test_known_rows_are_kept_to_the_bit_and_new_ones_are_mixtures_of_them(
    pretrained: PretrainedModel,
) -> None:
    before = pretrained.model.state_dict()
    after = weights(finetuning_learner(pretrained, NEW))
    assert before.keys() == after.keys()
    ids = {unit: number for number, unit in enumerate(NEW.units)}
    known_ids = [ids[unit] for unit in OLD.units]
    for name, tensor in before.items():
        if name not in UNIT_ROWS:
            assert torch.equal(after[name], tensor), name
            continue
        assert torch.equal(after[name][known_ids], tensor), name
        mean, syllable = tensor[:4].mean(0), tensor[OLD.units.index("가")]
        torch.testing.assert_close(after[name][ids["x"]], mean)
        torch.testing.assert_close(after[name][ids["각"]], (syllable + mean) / 2)


def test_rows_are_the_same_if_syllables_share_jamo_embeddings(pretrained: PretrainedModel) -> None:
    shared, plain = (
        finetuning_learner(pretrained, NEW, share_letters=share) for share in (True, False)
    )
    assert any(".parametrizations." in name for name in weights(shared))
    rows, expected = merged_state_dict(shared.las), merged_state_dict(plain.las)
    assert rows.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(rows[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("vocabulary", [OLD, NEW])
def test_before_the_first_step_it_writes_what_the_model_wrote(
    pretrained: PretrainedModel, corpus: Path, vocabulary: Vocabulary
) -> None:
    learner = finetuning_learner(pretrained, vocabulary)
    learner.las.eval()
    hypotheses = []
    for model, units in (
        (pretrained.model, pretrained.vocabulary),
        (learner.las, vocabulary),
    ):
        batches = evaluation_batches(manifests.required_manifest(corpus, "train"), units)
        share = recognize(model, batches, units, learner.log_mel, lambda *_: None)
        hypotheses.append([(r.id, r.hypothesis, r.ctc_hypothesis) for r in share.recognitions])
    before, after = hypotheses
    assert before == after
    assert len({hypothesis for _, hypothesis, _ in before}) > 10


def test_the_settings_decide_if_there_is_a_ctc_head_not_the_model(
    pretrained: PretrainedModel,
) -> None:
    config = replace(pretrained.model.config, ctc_weight=0.0, guide_weight=0.0)
    without = ListenAttendSpell(config)
    without.load_state_dict(pretrained.model.state_dict(), strict=False)
    added = finetuning_learner(replace(pretrained, model=without), OLD)
    assert added.las.ctc.weight.std() > 0
    assert not torch.equal(added.las.ctc.weight, pretrained.model.ctc.weight)
    assert equal(without.state_dict(), weights(added))
    removed = finetuning_learner(pretrained, OLD, ctc_weight=0.0)
    assert equal(weights(removed), pretrained.model.state_dict())
    assert not hasattr(removed.las, "ctc")


# Frozen layers, and the learning rate of the listener


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [
        ("listener.conv", ("listener.conv.",)),
        ("listener, speller.embedding", ("listener.", "speller.embedding.")),
        ("speller,ctc.bias", ("speller.", "ctc.bias")),
        ("speller.out,ctc", ("speller.out.", "ctc.")),
    ],
)
@pytest.mark.parametrize("share_letters", [False, True])
def test_frozen_layers_keep_their_bits_and_all_others_change(
    pretrained: PretrainedModel,
    batches: list[Batch],
    freeze: str,
    frozen: tuple[str, ...],
    share_letters: bool,
) -> None:
    changes = {"freeze": freeze, "ema_decay": 0.5, "share_letters": share_letters}
    learner = finetuning_learner(pretrained, OLD, **changes)
    before = weights(learner)
    learner.train()
    for batch in batches[:2]:
        learner.step([batch], character_counts([batch]), 0.01)
    for state_dict in (learner.las.state_dict(), learner.evaluated_model.state_dict()):
        for name, tensor in state_dict.items():
            assert torch.equal(tensor, before[name]) == name.startswith(frozen), name


def test_the_listener_has_its_own_learning_rate(
    pretrained: PretrainedModel, batches: list[Batch]
) -> None:
    """The first step of Adam is as long as the learning rate, wherever there is a gradient."""
    learner = finetuning_learner(pretrained, OLD, listener_lr=0.1)
    before = weights(learner)
    take_steps(learner, batches, 1, learning_rate=0.01)
    largest_change = {
        name: float((parameter.detach() - before[name]).abs().max())
        for name, parameter in learner.las.named_parameters()
    }
    for name, change in largest_change.items():
        rate = 0.001 if name.startswith("listener.") else 0.01
        assert change == pytest.approx(rate, rel=0.02), name


def test_a_resumed_run_may_unfreeze_layers(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(corpus, run, tones.TINY.changed({"max_steps": 2, "freeze": "listener"}, "test"))
    before = load_pretrained(run).model.state_dict()
    train(corpus, run, tones.TINY.changed({"max_steps": 4, "listener_lr": 0.5}, "test"))
    state = checkpoints.latest_checkpoint(run)
    assert state is not None
    changed = {
        name for name, tensor in state["model"].items() if not torch.equal(tensor, before[name])
    }
    assert {"listener.conv.0.weight", "listener.bottom_rnn.weight_ih_l0"} <= changed
