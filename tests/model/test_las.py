"""The whole model: printed as the seed prints it, blind to padding, its settings."""

import itertools
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from sorigeul.base.errors import UserError
from sorigeul.model.attention import ScoreFunction
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.losses import joint_losses
from sorigeul.model.recurrent import CELLS

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]

SEED_TREE = """\
ListenAttendSpell(
  (listener): Listener(
    (conv): Sequential(
      (0): Conv2d(1, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (1): Hardtanh(min_val=0, max_val=20, inplace=True)
      (2): BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
      (3): Conv2d(64, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (4): Hardtanh(min_val=0, max_val=20, inplace=True)
      (5): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
      (6): BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
      (7): Conv2d(64, 128, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (8): Hardtanh(min_val=0, max_val=20, inplace=True)
      (9): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
      (10): Conv2d(128, 128, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (11): Hardtanh(min_val=0, max_val=20, inplace=True)
      (12): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
      (13): Conv2d(128, 128, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (14): Hardtanh(min_val=0, max_val=20, inplace=True)
      (15): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
      (16): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    )
    (bottom_rnn): GRU(4096, 256, num_layers=2, batch_first=True, dropout=0.5, bidirectional=True)
    (middle_rnn): PyramidalRNN(
      (rnn): GRU(1024, 256, num_layers=2, batch_first=True, dropout=0.5, bidirectional=True)
    )
    (top_rnn): PyramidalRNN(
      (rnn): GRU(1024, 256, num_layers=1, batch_first=True, dropout=0.5, bidirectional=True)
    )
  )
  (speller): Speller(
    (rnn): GRU(512, 512, num_layers=3, batch_first=True, dropout=0.5)
    (embedding): Embedding(2040, 512)
    (input_dropout): Dropout(p=0.5, inplace=False)
    (attention): Attention(
      (attention): SelfAttention(
        (W): Linear(in_features=1024, out_features=512, bias=True)
      )
    )
    (out): Linear(in_features=512, out_features=2040, bias=True)
  )
)
"""


@pytest.fixture(scope="module")
def seed_model() -> ListenAttendSpell:
    with torch.device("meta"):  # the full size, without its memory
        return ListenAttendSpell(LASConfig.seed())


# What the seed says


def test_the_tree_is_the_seeds_to_the_letter(seed_model: ListenAttendSpell) -> None:
    assert str(seed_model) + "\n" == SEED_TREE


def test_the_feature_table_changes_the_first_layer_alone() -> None:
    with torch.device("meta"):
        model = ListenAttendSpell(LASConfig.seed(n_mels=80))
    assert str(model) + "\n" == SEED_TREE.replace("GRU(4096,", "GRU(2560,")


def test_defaults_are_the_hyperparameter_table() -> None:
    config = LASConfig()
    assert config.use_bidirectional is config.use_attention is config.use_pyramidal is True
    assert (config.score_function, config.cell) == ("self", "gru")
    assert (config.listener_layer_size, config.speller_layer_size) == (5, 3)
    assert (config.hidden_size, config.dropout) == (256, 0.5)
    assert (config.n_mels, config.vocabulary_size) == (80, 2_040)
    assert (config.sos_id, config.eos_id, config.pad_id) == (2_037, 2_038, 2_039)


# Each setting does what it says


def tree(**changes: Any) -> str:
    with torch.device("meta"):
        return str(ListenAttendSpell(LASConfig(**({"n_mels": 128} | changes))))


def test_use_bidirectional() -> None:
    one_way = tree(use_bidirectional=False)
    assert "bidirectional" not in one_way
    assert "(rnn): GRU(512, 256, num_layers=2, batch_first=True, dropout=0.5)" in one_way
    assert "(rnn): GRU(256, 256, num_layers=3, batch_first=True, dropout=0.5)" in one_way
    assert "(embedding): Embedding(2040, 256)" in one_way


def test_use_attention(tiny: Tiny, utterances: Utterances) -> None:
    start, rest = SEED_TREE.split("    (attention): Attention(")
    assert tree(use_attention=False) + "\n" == start + rest[rest.index("    (out)") :]
    spelled = tiny(use_attention=False)(*utterances(40, 24), tokens(3, 5)[0])
    assert not spelled.alignments.any()
    assert (spelled.logits[0] - spelled.logits[1]).abs().max() > 1e-2


SCORERS = {
    "self": "SelfAttention",
    "dot": "DotAttention",
    "additive": "AdditiveAttention",
    "location": "LocationAttention",
    "multi-head": "MultiHeadAttention",
}


def test_score_function(tiny: Tiny, utterances: Utterances) -> None:
    assert set(SCORERS) == set(get_args(ScoreFunction))
    seen = []
    for kind, name in SCORERS.items():
        assert f"(attention): {name}(" in tree(score_function=kind)
        seen.append(tiny(score_function=kind)(*utterances(40), tokens(5)[0]).alignments)
    for one, other in itertools.combinations(seen, 2):
        assert not torch.allclose(one, other, atol=1e-3)


def test_use_pyramidal(tiny: Tiny, utterances: Utterances) -> None:
    flat = tree(use_pyramidal=False)
    assert "PyramidalRNN" not in flat
    assert "(bottom_rnn): GRU(4096, 256, num_layers=5, batch_first=True, dropout=0.5, bi" in flat
    with torch.no_grad():
        assert tiny().listen(*utterances(64)).frames.shape[1] == 4
        assert tiny(use_pyramidal=False).listen(*utterances(64)).frames.shape[1] == 16


def test_time_reduction() -> None:
    eight = tree(time_reduction=8)
    assert "middle_rnn" in eight
    assert "top_rnn" not in eight


@pytest.mark.parametrize("layers", [3, 4, 7])
def test_listener_layer_size(layers: int) -> None:
    with torch.device("meta"):
        listener = ListenAttendSpell(LASConfig(listener_layer_size=layers)).listener
    stacks = [each for each in listener.modules() if isinstance(each, nn.RNNBase)]
    assert sum(stack.num_layers for stack in stacks) == layers


def test_speller_layer_size() -> None:
    one = "(rnn): GRU(512, 512, num_layers=3, batch_first=True, dropout=0.5)"
    assert tree(speller_layer_size=1) + "\n" == SEED_TREE.replace(one, one.replace("=3", "=1"))


def test_hidden_size() -> None:
    twice = tree(hidden_size=512)
    assert "(bottom_rnn): GRU(4096, 512," in twice
    assert "(rnn): GRU(2048, 512," in twice
    assert "(rnn): GRU(1024, 1024, num_layers=3" in twice


def test_conv_channels() -> None:
    half = tree(conv_channels=32)
    assert "Conv2d(1, 32," in half
    assert "Conv2d(32, 64," in half
    assert "(bottom_rnn): GRU(2048, 256," in half


def test_attention_heads(tiny: Tiny, utterances: Utterances) -> None:
    two, four = (
        tiny(score_function="multi-head", attention_heads=heads)(*utterances(40), tokens(5)[0])
        for heads in (2, 4)
    )
    assert not torch.allclose(two.logits, four.logits, atol=1e-4)


def test_feed_context() -> None:
    assert "(rnn): GRU(1024, 512, num_layers=3" in tree(feed_context=True)


def test_ctc_weight() -> None:
    assert tree(ctc_weight=0.3).endswith(
        "  (ctc): Linear(in_features=512, out_features=2040, bias=True)\n)"
    )


@pytest.mark.parametrize("cell", CELLS)
def test_cell(cell: str) -> None:
    assert tree(cell=cell) + "\n" == SEED_TREE.replace("GRU(", f"{cell.upper()}(")


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_in_training_only(tiny: Tiny, utterances: Utterances, cell: str) -> None:
    features, lengths = utterances(40, 24)
    text, _ = tokens(5, 3)
    for dropout in (0.0, 0.5):
        model = tiny(dropout=dropout, cell=cell)
        once, again = (model(features, lengths, text).logits for _ in range(2))
        assert torch.equal(once, again)
        model.train()
        once, again = (model(features, lengths, text).logits for _ in range(2))
        assert torch.equal(once, again) is (dropout == 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0, but must be at least 1"),
        ({"conv_channels": 0}, "conv_channels is 0, but must be at least 1"),
        ({"speller_layer_size": 0}, "speller_layer_size is 0, but must be at least 1"),
        ({"attention_heads": 0}, "attention_heads is 0, but must be at least 1"),
        ({"score_function": "cosine"}, "score_function is cosine, but must be one of self, dot"),
        ({"cell": "qrnn"}, "cell is qrnn, but must be one of gru, lstm, rnn"),
        ({"time_reduction": 4}, r"time_reduction is 4, but must be 8 or 16 \(use_pyramidal False"),
        ({"time_reduction": 0}, "time_reduction is 0"),
        ({"listener_layer_size": 2}, "listener_layer_size is 2, but must be at least 3"),
        ({"listener_layer_size": 1, "time_reduction": 8}, "must be at least 2"),
        ({"listener_layer_size": 0, "use_pyramidal": False}, "must be at least 1"),
        ({"dropout": 1.0}, "dropout is 1.0, but must be at least 0 and below 1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"dropout": math.nan}, "dropout is nan"),
        ({"ctc_weight": 1.0}, "ctc_weight is 1.0, but must be at least 0 and below 1"),
        ({"ctc_weight": -0.5}, "ctc_weight is -0.5"),
        ({"guide_weight": -1.0}, "guide_weight is -1.0, but must be 0 or more"),
        ({"guide_weight": 1.0}, "guide_weight is 1.0, but must be 0 without ctc_weight and use_at"),
        ({"guide_weight": 1.0, "ctc_weight": 0.3, "use_attention": False}, "must be 0 without"),
        ({"n_mels": 3}, "n_mels is 3, but must be at least 4"),
        ({"vocabulary_size": 3}, "vocabulary_size is 3, but must be at least 4"),
        (
            {"score_function": "multi-head", "attention_heads": 3},
            "attention_heads is 3, but must be a divisor of the speller's width 512",
        ),
    ],
    ids=str,
)
def test_refused_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        LASConfig(**changes)
    assert "\n" not in str(refusal.value)


def test_every_number_and_name_is_guarded() -> None:
    """A setting that comes later must come with its refusal."""
    for field in fields(LASConfig):
        default = getattr(LASConfig(), field.name)
        if isinstance(default, bool):
            continue
        nonsense = "nonsense" if isinstance(default, str) else -1
        with pytest.raises(UserError, match=f"^{field.name} is {nonsense}, but must be "):
            LASConfig(**{field.name: nonsense})


# Padding and neighbours


def tokens(*counts: int) -> tuple[Tensor, Tensor]:
    """Texts of chance (B, U) without specials, padded with 29, and their lengths."""
    generator = torch.Generator().manual_seed(12)
    padded = torch.full((len(counts), max(counts)), 29)
    for row, count in enumerate(counts):
        padded[row, :count] = torch.randint(27, (count,), generator=generator)
    return padded, torch.tensor(counts)


KINDS = ("none", *SCORERS)
FLAGS = list(itertools.product((True, False), repeat=3))


@pytest.mark.parametrize(("kind", "cell"), list(itertools.product(KINDS, CELLS)))
@pytest.mark.parametrize(("feed_context", "two_way", "pyramid"), FLAGS)
def test_padding_and_neighbours_change_nothing(
    tiny: Tiny,
    utterances: Utterances,
    kind: str,
    cell: str,
    feed_context: bool,
    two_way: bool,
    pyramid: bool,
) -> None:
    attention = {"use_attention": False} if kind == "none" else {"score_function": kind}
    model = tiny(
        cell=cell,
        feed_context=feed_context,
        use_bidirectional=two_way,
        use_pyramidal=pyramid,
        ctc_weight=0.3,
        **attention,
    )
    counts, frames = (4, 61, 38), 71
    features, lengths = utterances(*counts, frames=frames)
    text, sizes = tokens(2, 6, 5)
    with torch.no_grad():
        batch, encoded = model(features, lengths, text), model.listen(features, lengths)
        for row, count in enumerate(counts):
            alone = model(
                features[row : row + 1, :count],
                lengths[row : row + 1],
                text[row : row + 1, : sizes[row]],
            )
            places = alone.logits.shape[1]
            heard, valid = int(encoded.lengths[row]), int(batch.ctc_lengths[row])
            assert alone.alignments.shape[2] == heard
            assert int(alone.ctc_lengths) == alone.ctc_logits.shape[1] == valid
            for found, expected in (
                (batch.logits[row, :places], alone.logits[0]),
                (batch.alignments[row, :places, :heard], alone.alignments[0]),
                (batch.ctc_logits[row, :valid], alone.ctc_logits[0]),
            ):
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
            assert not batch.alignments[row, :, heard:].any()
    if kind != "none":
        sums = batch.alignments.sum(2)
        torch.testing.assert_close(sums, torch.ones_like(sums))


@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_no_gradient(tiny: Tiny, utterances: Utterances, cell: str) -> None:
    """In training too, where statistics and gradients come from the whole batch."""
    features, lengths = utterances(61, 38, 47)
    text, sizes = tokens(6, 2, 5)
    padded = nn.functional.pad(features, (0, 0, 0, 13))
    gradients = []
    for each in (features, padded):
        model = tiny(cell=cell, dropout=0.0, ctc_weight=0.3, score_function="location").train()
        joint_losses(model.config, model(each, lengths, text), text, sizes).total.backward()
        gradients.append({name: one.grad for name, one in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None, name
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-4, msg=name)


def test_every_parameter_learns(tiny: Tiny, utterances: Utterances) -> None:
    for kind in SCORERS:
        model = tiny(score_function=kind, ctc_weight=0.3, feed_context=True).train()
        text, sizes = tokens(6, 5)
        spelled = model(*utterances(61, 44), text)
        joint_losses(model.config, spelled, text, sizes).total.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, (kind, name)
            # A softmax does not feel what it adds to every score alike.
            assert parameter.grad.abs().sum() > 0 or name.endswith("key.bias"), (kind, name)


# Teacher forcing and free running


def test_without_teacher_forcing_the_text_is_not_read(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3)
    features, lengths = utterances(61, 38)
    text, _ = tokens(6, 5)
    with torch.no_grad():
        free = model(features, lengths, text, teacher_forcing=False)
        other = model(features, lengths, (text + 1) % 27, teacher_forcing=False)
        forced = model(features, lengths, free.logits.argmax(2)[:, :-1])
    assert torch.equal(free.logits, other.logits)
    assert free.logits.shape == (2, 7, 30)
    torch.testing.assert_close(forced.logits, free.logits, rtol=0, atol=1e-5)
    assert torch.equal(forced.ctc_logits, free.ctc_logits)


def test_teacher_forcing_starts_with_the_start_mark(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny()
    text, _ = tokens(6)
    with torch.no_grad():
        encoded = model.listen(*utterances(61))
        marked = torch.cat((torch.tensor([[27]]), text), dim=1)
        expected, _, _ = model.speller(marked, model.make_memory(encoded))
        assert torch.equal(model(*utterances(61), text).logits, expected)


def test_scheduled_sampling_replaces_characters_by_the_spellers_own(
    tiny: Tiny, utterances: Utterances
) -> None:
    model = tiny()
    text, _ = tokens(6, 5)
    with torch.no_grad():
        encoded = model.listen(*utterances(61, 38))
        memory = model.make_memory(encoded)
        true = torch.cat((torch.tensor([[27], [27]]), text), dim=1)
        own = model.speller(true, memory)[0][:, :-1, :27].argmax(2)
        read = torch.where(true[:, 1:] == 29, true[:, 1:], own)
        expected, _, _ = model.speller(torch.cat((true[:, :1], read), dim=1), memory)
        assert torch.equal(model.spell(encoded, text, sampling=1.0).logits, expected)
        assert torch.equal(
            model.spell(encoded, text, sampling=0.0).logits, model.speller(true, memory)[0]
        )
        # Half of them: some of the inputs differ from the text, some do not.
        torch.manual_seed(0)
        half = model._sampled(true, memory, 0.5)
    changed = (half != true)[:, 1:]
    assert torch.equal(half[:, 1:][changed], own[changed])
    assert 0 < int(changed.sum()) < int((own != true[:, 1:]).sum())
    assert torch.equal(half[:, 0], true[:, 0])


# Where CTC listens


@pytest.mark.parametrize(
    ("changes", "speller", "ctc"),
    [
        ({"use_pyramidal": False}, 4, 4),
        ({"time_reduction": 8}, 8, 8),
        ({"time_reduction": 16}, 16, 8),
    ],
    ids=str,
)
def test_ctc_reads_the_stack_that_can_be_aligned(
    tiny: Tiny, utterances: Utterances, changes: dict[str, Any], speller: int, ctc: int
) -> None:
    model = tiny(ctc_weight=0.3, **changes)
    assert (model.config.reduction, model.config.ctc_reduction) == (speller, ctc)
    counts = (61, 38)
    with torch.no_grad():
        stacks = model.listener(*utterances(*counts))
        encoded = model.listen(*utterances(*counts))
        spelled = model(*utterances(*counts), tokens(6, 5)[0])
    assert encoded.lengths.tolist() == [-(-(n // 4) // (speller // 4)) for n in counts]
    assert encoded.ctc_lengths.tolist() == [-(-(n // 4) // (ctc // 4)) for n in counts]
    assert torch.equal(encoded.frames, stacks[-1][0])
    assert torch.equal(encoded.ctc_frames, stacks[{4: 0, 8: 1}[ctc]][0])
    assert torch.equal(spelled.ctc_lengths, encoded.ctc_lengths)
    assert torch.equal(spelled.ctc_logits, model.ctc(encoded.ctc_frames))


def test_without_its_weight_there_is_no_ctc(tiny: Tiny, utterances: Utterances) -> None:
    text, sizes = tokens(6)
    spelled = tiny()(*utterances(61), text)
    assert spelled.ctc_logits is None
    losses = joint_losses(tiny().config, spelled, text, sizes)
    assert torch.equal(losses.total, losses.speller)
    assert losses.ctc == 0


# Half precision


@pytest.mark.parametrize("kind", SCORERS)
@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_stays_close(tiny: Tiny, utterances: Utterances, kind: str, cell: str) -> None:
    """Within 5 % of the scores' spread: bfloat16 has 8 bits, and some layers add up."""
    model = tiny(score_function=kind, cell=cell, ctc_weight=0.3, dropout=0.0)
    features, lengths = utterances(61, 38)
    text, sizes = tokens(6, 5)
    for training in (False, True):
        model.train(training)
        exact = model(features, lengths, text)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(features, lengths, text)
            losses = joint_losses(model.config, half, text, sizes)
        assert losses.total.dtype == torch.float32
        for found, expected in ((half.logits, exact.logits), (half.ctc_logits, exact.ctc_logits)):
            error = (found.float() - expected).square().mean().sqrt()
            assert error < 0.05 * expected.std()
        if training:
            losses.total.backward()
            assert all(one.grad.isfinite().all() for one in model.parameters())
