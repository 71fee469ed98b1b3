"""Fine-tuning: what was known is kept to the bit, what is new gets a sensible start."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tones
from helpers.commands import Command
from helpers.learners import equal, steps, weights

from sorigeul import ListenAttendSpell
from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.batches import Batch
from sorigeul.data.sampling import evaluation_batches
from sorigeul.evaluation.evaluate import recognize
from sorigeul.model.jamo_embedding import merged_state_dict
from sorigeul.pretrained.loading import PretrainedModel, load_pretrained
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import checkpoints, devices
from sorigeul.training.finetuning import unit_mixture
from sorigeul.training.learner import Learner
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import train
from sorigeul.training.settings import Settings
from sorigeul.training.starting_point import adopt_model, report_finetuning

OLD = Vocabulary.from_texts(["가나다라"])
NEW = OLD.extended(Vocabulary.from_texts(["가각간x"]))
UNIT_ROWS = [
    "speller.embedding.weight",
    "speller.out.weight",
    "speller.out.bias",
    "ctc.weight",
    "ctc.bias",
]

Build = Callable[..., ListenAttendSpell]


@pytest.fixture(scope="module")
def pretrained(run: Path) -> PretrainedModel:
    return load_pretrained(run)


def tuned(pretrained: PretrainedModel, vocabulary: Vocabulary, **changes: Any) -> Learner:
    """What fine-tunes a model, before its first step."""
    settings = tones.TINY.changed({"precision": "float32", **changes}, "test")
    return Learner(settings, vocabulary, devices.launch(settings.training), pretrained)


# Characters and their rows


def test_new_units_follow_the_known_ones() -> None:
    known = Vocabulary.from_texts(["다다나"])
    assert known.extended(Vocabulary.from_texts(["가가가나"])).units[:-3] == ("다", "나", "가")
    assert known.extended(Vocabulary.from_texts(["나"])) == known
    with pytest.raises(UserError, match="a syllable vocabulary cannot be extended by a jamo one"):
        known.extended(Vocabulary.from_texts(["나"], "jamo"))


def test_a_new_syllable_is_made_of_those_that_sound_alike_in_part() -> None:
    known = Vocabulary(("가", "나", "난", "고", "x", "<s>", "</s>", "_"))
    new = known.extended(Vocabulary.from_texts(["간뷁y"]))
    rows = dict(zip(new.units, unit_mixture(known, new), strict=True))
    for number, unit in enumerate(known.units):
        assert rows[unit].tolist() == torch.eye(8)[number].tolist()
    onset, nucleus, coda = [1 / 2, 0, 0, 1 / 2], [1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 1, 0]
    expected = [sum(parts) / 3 for parts in zip(onset, nucleus, coda, strict=True)]
    assert rows["간"].tolist() == pytest.approx([*expected, 0, 0, 0, 0])
    # Nobody has its onset, its nucleus or its coda; and what is not Hangul has none.
    assert rows["뷁"].tolist() == rows["y"].tolist() == pytest.approx([1 / 5] * 5 + [0] * 3)


def test_known_rows_are_kept_to_the_bit_and_new_ones_are_shares_of_them(
    pretrained: PretrainedModel,
) -> None:
    before = pretrained.model.state_dict()
    after = weights(tuned(pretrained, NEW))
    assert before.keys() == after.keys()
    number = {unit: new for new, unit in enumerate(NEW.units)}
    known = [number[unit] for unit in OLD.units]
    for name, tensor in before.items():
        if name not in UNIT_ROWS:
            assert torch.equal(after[name], tensor), name
            continue
        assert torch.equal(after[name][known], tensor), name
        everyone, one = tensor[:4].mean(0), tensor[OLD.units.index("가")]
        torch.testing.assert_close(after[name][number["x"]], everyone)
        torch.testing.assert_close(after[name][number["각"]], (one + everyone) / 2)


def test_rows_are_the_same_where_syllables_share_letters(pretrained: PretrainedModel) -> None:
    shared, plain = (tuned(pretrained, NEW, share_letters=share) for share in (True, False))
    assert any(".parametrizations." in name for name in weights(shared))
    rows, expected = merged_state_dict(shared.las), merged_state_dict(plain.las)
    assert rows.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(rows[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("vocabulary", [OLD, NEW])
def test_before_the_first_step_it_writes_what_the_model_wrote(
    pretrained: PretrainedModel, corpus: Path, vocabulary: Vocabulary
) -> None:
    one = tuned(pretrained, vocabulary)
    one.las.eval()
    found = []
    for model, units in ((pretrained.model, pretrained.vocabulary), (one.las, vocabulary)):
        cuts = evaluation_batches(manifests.required_manifest(corpus, "train"), units)
        result = recognize(model, cuts, units, one.log_mel, lambda *_: None, 0)
        found.append([(r.id, r.hypothesis, r.ctc_hypothesis) for r in result.recognitions])
    assert found[0] == found[1]
    assert len({hypothesis for _, hypothesis, _ in found[0]}) > 10


def test_a_ctc_head_comes_with_the_settings_not_with_the_model(pretrained: PretrainedModel) -> None:
    without = ListenAttendSpell(replace(pretrained.model.config, ctc_weight=0.0))
    without.load_state_dict(pretrained.model.state_dict(), strict=False)
    fresh = tuned(replace(pretrained, model=without), OLD)
    assert fresh.las.ctc.weight.std() > 0
    assert not torch.equal(fresh.las.ctc.weight, pretrained.model.ctc.weight)
    assert equal(without.state_dict(), weights(fresh))
    dropped = tuned(pretrained, OLD, ctc_weight=0.0)
    assert equal(weights(dropped), pretrained.model.state_dict())
    assert not hasattr(dropped.las, "ctc")


# What learns, and how fast


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [
        ("listener.conv", ("listener.conv.",)),
        ("listener, speller.embedding", ("listener.", "speller.embedding.")),
        ("speller,ctc.bias", ("speller.", "ctc.bias")),
        ("speller.out,ctc", ("speller.out.", "ctc.")),
    ],
)
@pytest.mark.parametrize("share", [False, True])
def test_what_is_frozen_keeps_its_bits_and_all_else_moves(
    pretrained: PretrainedModel,
    batches: list[Batch],
    freeze: str,
    frozen: tuple[str, ...],
    share: bool,
) -> None:
    one = tuned(pretrained, OLD, freeze=freeze, ema_decay=0.5, share_letters=share)
    before = weights(one)
    one.train()
    for batch in batches[:2]:
        one.step([batch], [int(batch.token_lengths.sum()) + len(batch)], 0.01)
    for found in (one.las.state_dict(), one.evaluated_model.state_dict()):
        for name, tensor in found.items():
            assert torch.equal(tensor, before[name]) == name.startswith(frozen), name


def test_the_listener_learns_at_a_rate_of_its_own(
    pretrained: PretrainedModel, batches: list[Batch]
) -> None:
    """The first step of Adam is as long as the rate, wherever there is a gradient."""
    one = tuned(pretrained, OLD, listener_lr=0.1)
    before = weights(one)
    steps(one, batches, 1, rate=0.01)
    longest = {
        name: float((parameter.detach() - before[name]).abs().max())
        for name, parameter in one.las.named_parameters()
    }
    for name, length in longest.items():
        rate = 0.001 if name.startswith("listener.") else 0.01
        assert length == pytest.approx(rate, rel=0.02), name


def test_frozen_parts_may_thaw_in_a_resumed_run(corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(corpus, run, tones.TINY.changed({"max_steps": 2, "freeze": "listener"}, "test"))
    frozen = load_pretrained(run).model.state_dict()
    train(corpus, run, tones.TINY.changed({"max_steps": 4, "listener_lr": 0.5}, "test"))
    state = checkpoints.latest_checkpoint(run)
    assert state is not None
    moved = {n for n, part in state["model"].items() if not torch.equal(part, frozen[n])}
    assert {"listener.conv.0.weight", "listener.bottom_rnn.weight_ih_l0"} <= moved


# The command


def options(source: Path, **changes: Any) -> list[str]:
    chosen = {"init_from": source, "max_epochs": 1, "augment_ratio": 0.0, **changes}
    return [word for name, value in chosen.items() for word in (f"--{name}", str(value))]


@pytest.fixture
def harder(tmp_path: Path) -> Path:
    """Manifests whose texts hold a syllable that the model has never seen."""
    said = [text.replace("라", "락") for text in tones.texts(24, seed=1)]
    tones.HERTZ.setdefault("락", 2100.0)
    return tones.manifests(tmp_path / "harder", said, ["train"] * 16 + ["dev"] * 4 + ["test"] * 4)


def test_a_model_is_tuned_and_the_run_goes_on_without_it(
    harder: Path, run: Path, tmp_path: Path, sorigeul: Command
) -> None:
    source, folder = tmp_path / "source", tmp_path / "run"
    shutil.copytree(run, source, ignore=shutil.ignore_patterns("checkpoints"))
    # The shape is the model's, whatever the preset says.
    usual = {"preset": "small", "max_epochs": 9}
    done = sorigeul("train", harder, folder, *options(source, **usual, max_steps=1))
    assert done.status == 0, done.err
    assert "fine-tuning: 8 units, of which 1 are new to the model" in done.err
    tuned, model = load_pretrained(folder), load_pretrained(source)
    assert tuned.vocabulary.units == (*model.vocabulary.units[:-3], "락", "<s>", "</s>", "_")
    assert tuned.features == model.features
    assert tuned.model.config.hidden_size == 16
    assert tuned.model.config.dropout == Settings.preset("small").model.dropout
    shutil.rmtree(source)
    for again in (
        options(source, **usual, max_steps=2),
        ["--init-from", str(source), "--max_steps", "3"],
        ["--max_steps", "4"],
    ):
        done = sorigeul("train", harder, folder, *again)
        assert done.status == 0, done.err
    assert [row["step"] for row in read_metrics(folder, "epoch")] == [1, 2, 3, 4]


def test_a_run_can_be_repeated_from_its_settings(
    harder: Path, run: Path, tmp_path: Path, sorigeul: Command
) -> None:
    assert sorigeul("train", harder, tmp_path / "one", *options(run)).status == 0
    config = tmp_path / "one" / "config.yaml"
    done = sorigeul("train", harder, tmp_path / "two", "--config", config)
    assert done.status == 0, done.err
    one, two = (load_pretrained(tmp_path / name).model for name in ("one", "two"))
    assert equal(one.state_dict(), two.state_dict())
    few = tmp_path / "few.yaml"
    few.write_text(f"init_from: {run}\nmax_steps: 1\n", encoding="utf-8")
    assert sorigeul("train", harder, tmp_path / "three", "--config", few).status == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": 32}, "has hidden_size 16, not 32: leave out hidden_size, which"),
        (
            {"cell": "lstm", "n_mels": 40},
            "has cell gru, not lstm, n_mels 16, not 40: leave out cell n_mels, which",
        ),
        ({"vocabulary": "jamo", "share_letters": False}, "has vocabulary syllable, not jamo"),
        (
            {"freeze": "listener.convolution"},
            "freeze: the model has no listener.convolution, but ctc, "
            "listener.bottom_rnn, listener.conv, listener.middle_rnn, speller.attention, "
            "speller.embedding, speller.out, speller.rnn",
        ),
        ({"freeze": "listener,speller,ctc"}, "leaves nothing to learn"),
        ({"init_from": "no/where/at/all"}, "is neither a run folder nor a Hugging Face id"),
        ({"ema_decay": 1}, "ema_decay is 1.0, but must be at least 0 and below 1"),
        ({"listener_lr": 0}, "listener_lr is 0.0, but must be above 0"),
        ({"average_best": 0}, "average_best is 0, but must be at least 1"),
        ({"patience": -1}, "patience is -1, but must be 0 or more"),
    ],
)
def test_what_contradicts_the_model_is_refused_in_a_line(
    corpus: Path, run: Path, tmp_path: Path, sorigeul: Command, changes: dict[str, Any], said: str
) -> None:
    done = sorigeul("train", corpus, tmp_path / "run", *options(run, **changes))
    assert done.status == 2, done.err
    assert said in done.error()
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_as_it_was_begun(
    corpus: Path, run: Path, tmp_path: Path, sorigeul: Command
) -> None:
    for begun, options_now, said in (
        (["--config", str(run / "config.yaml")], options(run), "without init_from"),
        (options(run), ["--config", str(run / "config.yaml")], "with init_from"),
    ):
        folder = tmp_path / said.split()[0]
        assert sorigeul("train", corpus, folder, *begun, "--max_steps", "1").status == 0
        done = sorigeul("train", corpus, folder, *options_now, "--max_steps", "2")
        assert done.status == 2
        assert f"was begun {said}: leave that as it was" in done.error()


def test_what_a_model_excludes_is_switched_off(tiny: Build) -> None:
    features = replace(tones.TINY.features, input_reverse=True)
    small = Settings.preset("small")
    found = adopt_model(small, features, tiny().config, "syllable")
    assert (found.model.ctc_weight, found.model.guide_weight) == (0.0, 0.0)
    blind = tiny(use_attention=False).config
    found = adopt_model(small, tones.TINY.features, blind, "syllable")
    assert (found.model.ctc_weight, found.model.guide_weight) == (small.model.ctc_weight, 0.0)
    sharing = small.changed({"share_letters": True}, "test")
    found = adopt_model(sharing, tones.TINY.features, tiny().config, "jamo")
    assert (found.training.vocabulary, found.model.share_letters) == ("jamo", False)


def test_other_rules_for_text_are_told(
    pretrained: PretrainedModel, caplog: pytest.LogCaptureFixture
) -> None:
    report_finetuning(pretrained, NEW, "spelling/3")
    assert "trained on plain/1 text, now on spelling/3 text" in caplog.text
