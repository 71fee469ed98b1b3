"""The whole model: it prints as in the seed, ignores padding, and follows its settings."""

import itertools
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from sorigeul.model.config import LASConfig, ScoreFunction
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.losses import joint_losses
from sorigeul.model.recurrent import CELLS

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]

SEED_MODEL = """\
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
    with torch.device("meta"):  # full size, without memory for the weights
        return ListenAttendSpell(LASConfig.seed())


# The model of the seed


def test_the_printed_model_equals_that_of_the_seed(seed_model: ListenAttendSpell) -> None:
    assert str(seed_model) + "\n" == SEED_MODEL


def test_the_mel_bands_of_the_feature_table_change_only_the_first_recurrent_layer() -> None:
    with torch.device("meta"):
        model = ListenAttendSpell(LASConfig.seed(n_mels=80))
    assert str(model) + "\n" == SEED_MODEL.replace("GRU(4096,", "GRU(2560,")


# What each setting changes


def printed_model(**changes: Any) -> str:
    """The seed's model with other settings, as printed."""
    with torch.device("meta"):
        return str(ListenAttendSpell(LASConfig(**({"n_mels": 128} | changes))))


def test_use_bidirectional() -> None:
    printed = printed_model(use_bidirectional=False)
    assert "bidirectional" not in printed
    assert "(rnn): GRU(512, 256, num_layers=2, batch_first=True, dropout=0.5)" in printed
    assert "(rnn): GRU(256, 256, num_layers=3, batch_first=True, dropout=0.5)" in printed
    assert "(embedding): Embedding(2040, 256)" in printed


def test_use_attention(tiny: Tiny, utterances: Utterances) -> None:
    before, after = SEED_MODEL.split("    (attention): Attention(")
    assert printed_model(use_attention=False) + "\n" == before + after[after.index("    (out)") :]
    output = tiny(use_attention=False)(*utterances(40, 24), random_tokens(3, 5)[0])
    assert not output.alignments.any()
    assert (output.logits[0] - output.logits[1]).abs().max() > 1e-2


CLASS_NAMES = {
    "self": "SelfAttention",
    "dot": "DotAttention",
    "additive": "AdditiveAttention",
    "location": "LocationAttention",
    "multi-head": "MultiHeadAttention",
}


def test_score_function(tiny: Tiny, utterances: Utterances) -> None:
    assert set(CLASS_NAMES) == set(get_args(ScoreFunction))
    alignments = []
    for kind, name in CLASS_NAMES.items():
        assert f"(attention): {name}(" in printed_model(score_function=kind)
        output = tiny(score_function=kind)(*utterances(40), random_tokens(5)[0])
        alignments.append(output.alignments)
    for first, second in itertools.combinations(alignments, 2):
        assert not torch.allclose(first, second, atol=1e-3)


def test_use_pyramidal(tiny: Tiny, utterances: Utterances) -> None:
    printed = printed_model(use_pyramidal=False)
    assert "PyramidalRNN" not in printed
    assert "(bottom_rnn): GRU(4096, 256, num_layers=5, batch_first=True, dropout=0.5, bi" in printed
    with torch.no_grad():
        assert tiny().listen(*utterances(64)).frames.shape[1] == 4
        assert tiny(use_pyramidal=False).listen(*utterances(64)).frames.shape[1] == 16


def test_time_reduction() -> None:
    printed = printed_model(time_reduction=8)
    assert "middle_rnn" in printed
    assert "top_rnn" not in printed


@pytest.mark.parametrize("layers", [3, 4, 7])
def test_listener_layer_size(layers: int) -> None:
    with torch.device("meta"):
        listener = ListenAttendSpell(LASConfig(listener_layer_size=layers)).listener
    stacks = [module for module in listener.modules() if isinstance(module, nn.RNNBase)]
    assert sum(stack.num_layers for stack in stacks) == layers


def test_speller_layer_size() -> None:
    three_layers = "(rnn): GRU(512, 512, num_layers=3, batch_first=True, dropout=0.5)"
    one_layer = three_layers.replace("=3", "=1")
    assert printed_model(speller_layer_size=1) + "\n" == SEED_MODEL.replace(three_layers, one_layer)


def test_hidden_size() -> None:
    printed = printed_model(hidden_size=512)
    assert "(bottom_rnn): GRU(4096, 512," in printed
    assert "(rnn): GRU(2048, 512," in printed
    assert "(rnn): GRU(1024, 1024, num_layers=3" in printed


def test_conv_channels() -> None:
    printed = printed_model(conv_channels=32)
    assert "Conv2d(1, 32," in printed
    assert "Conv2d(32, 64," in printed
    assert "(bottom_rnn): GRU(2048, 256," in printed


def test_attention_heads(tiny: Tiny, utterances: Utterances) -> None:
    two_heads, four_heads = (
        tiny(score_function="multi-head", attention_heads=heads)(
            *utterances(40), random_tokens(5)[0]
        )
        for heads in (2, 4)
    )
    assert not torch.allclose(two_heads.logits, four_heads.logits, atol=1e-4)


def test_feed_context() -> None:
    assert "(rnn): GRU(1024, 512, num_layers=3" in printed_model(feed_context=True)


def test_ctc_weight() -> None:
    assert printed_model(ctc_weight=0.3).endswith(
        "  (ctc): Linear(in_features=512, out_features=2040, bias=True)\n)"
    )


@pytest.mark.parametrize("cell", CELLS)
def test_cell(cell: str) -> None:
    assert printed_model(cell=cell) + "\n" == SEED_MODEL.replace("GRU(", f"{cell.upper()}(")


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_is_active_only_in_training(tiny: Tiny, utterances: Utterances, cell: str) -> None:
    features, lengths = utterances(40, 24)
    text, _ = random_tokens(5, 3)
    for dropout in (0.0, 0.5):
        model = tiny(dropout=dropout, cell=cell)
        once, again = (model(features, lengths, text).logits for _ in range(2))
        assert torch.equal(once, again)
        model.train()
        once, again = (model(features, lengths, text).logits for _ in range(2))
        assert torch.equal(once, again) is (dropout == 0)


# Padding


def random_tokens(*counts: int) -> tuple[Tensor, Tensor]:
    """Random texts (B, U) without specials, padded with 29, and their lengths (B,)."""
    generator = torch.Generator().manual_seed(12)
    padded = torch.full((len(counts), max(counts)), 29)
    for row, count in enumerate(counts):
        padded[row, :count] = torch.randint(27, (count,), generator=generator)
    return padded, torch.tensor(counts)


KINDS = ("none", *CLASS_NAMES)
FLAGS = list(itertools.product((True, False), repeat=3))


@pytest.mark.parametrize(("kind", "cell"), list(itertools.product(KINDS, CELLS)))
@pytest.mark.parametrize(("feed_context", "bidirectional", "pyramidal"), FLAGS)
def test_an_utterance_alone_gives_the_same_as_in_a_padded_batch(
    tiny: Tiny,
    utterances: Utterances,
    kind: str,
    cell: str,
    feed_context: bool,
    bidirectional: bool,
    pyramidal: bool,
) -> None:
    attention = {"use_attention": False} if kind == "none" else {"score_function": kind}
    model = tiny(
        cell=cell,
        feed_context=feed_context,
        use_bidirectional=bidirectional,
        use_pyramidal=pyramidal,
        ctc_weight=0.3,
        **attention,
    )
    counts = (4, 61, 38)
    features, lengths = utterances(*counts, frames=71)
    text, text_lengths = random_tokens(2, 6, 5)
    with torch.no_grad():
        output, encoded = model(features, lengths, text), model.listen(features, lengths)
        for row, count in enumerate(counts):
            alone = model(
                features[row : row + 1, :count],
                lengths[row : row + 1],
                text[row : row + 1, : text_lengths[row]],
            )
            positions = alone.logits.shape[1]
            frames, ctc_frames = int(encoded.lengths[row]), int(output.ctc_lengths[row])
            assert alone.alignments.shape[2] == frames
            assert int(alone.ctc_lengths) == alone.ctc_logits.shape[1] == ctc_frames
            for actual, expected in (
                (output.logits[row, :positions], alone.logits[0]),
                (output.alignments[row, :positions, :frames], alone.alignments[0]),
                (output.ctc_logits[row, :ctc_frames], alone.ctc_logits[0]),
            ):
                torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
            assert not output.alignments[row, :, frames:].any()
    if kind != "none":
        sums = output.alignments.sum(2)
        torch.testing.assert_close(sums, torch.ones_like(sums))


@pytest.mark.parametrize("cell", CELLS)
def test_padding_does_not_change_gradients(tiny: Tiny, utterances: Utterances, cell: str) -> None:
    """In training the statistics of batch normalisation come from the whole batch."""
    features, lengths = utterances(61, 38, 47)
    text, text_lengths = random_tokens(6, 2, 5)
    padded = nn.functional.pad(features, (0, 0, 0, 13))
    gradients = []
    for inputs in (features, padded):
        model = tiny(cell=cell, dropout=0.0, ctc_weight=0.3, score_function="location").train()
        output = model(inputs, lengths, text)
        joint_losses(model.config, output, text, text_lengths).total.backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None, name
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-4, msg=name)


def test_every_parameter_has_a_gradient(tiny: Tiny, utterances: Utterances) -> None:
    for kind in CLASS_NAMES:
        model = tiny(score_function=kind, ctc_weight=0.3, feed_context=True).train()
        text, text_lengths = random_tokens(6, 5)
        output = model(*utterances(61, 44), text)
        joint_losses(model.config, output, text, text_lengths).total.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, (kind, name)
            # The bias of the keys adds the same to all scores, which the softmax cancels.
            assert parameter.grad.abs().sum() > 0 or name.endswith("key.bias"), (kind, name)


# Teacher forcing and free running


def test_without_teacher_forcing_the_text_is_not_read(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3)
    features, lengths = utterances(61, 38)
    text, _ = random_tokens(6, 5)
    with torch.no_grad():
        free = model(features, lengths, text, teacher_forcing=False)
        other = model(features, lengths, (text + 1) % 27, teacher_forcing=False)
        forced = model(features, lengths, free.logits.argmax(2)[:, :-1])
    assert torch.equal(free.logits, other.logits)
    assert free.logits.shape == (2, 7, 30)
    torch.testing.assert_close(forced.logits, free.logits, rtol=0, atol=1e-5)
    assert torch.equal(forced.ctc_logits, free.ctc_logits)


def test_with_teacher_forcing_the_first_input_is_the_start_mark(
    tiny: Tiny, utterances: Utterances
) -> None:
    model = tiny()
    text, _ = random_tokens(6)
    with torch.no_grad():
        encoded = model.listen(*utterances(61))
        inputs = torch.cat((torch.tensor([[27]]), text), dim=1)
        expected, _, _ = model.speller(inputs, model.make_memory(encoded))
        assert torch.equal(model(*utterances(61), text).logits, expected)


def test_scheduled_sampling_replaces_characters_by_the_best_guesses_of_the_speller(
    tiny: Tiny, utterances: Utterances
) -> None:
    model = tiny()
    text, _ = random_tokens(6, 5)
    with torch.no_grad():
        encoded = model.listen(*utterances(61, 38))
        memory = model.make_memory(encoded)
        inputs = torch.cat((torch.tensor([[27], [27]]), text), dim=1)
        true_logits, _, _ = model.speller(inputs, memory)
        guesses = true_logits[:, :-1, :27].argmax(2)
        sampled = torch.where(text == 29, text, guesses)
        sampled_logits, _, _ = model.speller(torch.cat((inputs[:, :1], sampled), dim=1), memory)
        all_sampled = model.spell(encoded, text, scheduled_sampling=1.0)
        assert torch.equal(all_sampled.logits, sampled_logits)
        none_sampled = model.spell(encoded, text, scheduled_sampling=0.0)
        assert torch.equal(none_sampled.logits, true_logits)
        torch.manual_seed(0)
        half_sampled = model._sample_inputs(inputs, memory, 0.5)
    changed = (half_sampled != inputs)[:, 1:]
    assert torch.equal(half_sampled[:, 1:][changed], guesses[changed])
    assert 0 < int(changed.sum()) < int((guesses != text).sum())
    assert torch.equal(half_sampled[:, 0], inputs[:, 0])


# CTC


@pytest.mark.parametrize(
    ("changes", "reduction", "ctc_reduction"),
    [
        ({"use_pyramidal": False}, 4, 4),
        ({"time_reduction": 8}, 8, 8),
        ({"time_reduction": 16}, 16, 8),
    ],
    ids=str,
)
def test_ctc_reads_a_stack_that_is_at_most_eightfold_shorter(
    tiny: Tiny,
    utterances: Utterances,
    changes: dict[str, Any],
    reduction: int,
    ctc_reduction: int,
) -> None:
    model = tiny(ctc_weight=0.3, **changes)
    assert (model.config.reduction, model.config.ctc_reduction) == (reduction, ctc_reduction)
    counts = (61, 38)
    with torch.no_grad():
        stacks = model.listener(*utterances(*counts))
        encoded = model.listen(*utterances(*counts))
        output = model(*utterances(*counts), random_tokens(6, 5)[0])
    assert encoded.lengths.tolist() == [-(-(n // 4) // (reduction // 4)) for n in counts]
    assert encoded.ctc_lengths.tolist() == [-(-(n // 4) // (ctc_reduction // 4)) for n in counts]
    assert torch.equal(encoded.frames, stacks[-1][0])
    assert torch.equal(encoded.ctc_frames, stacks[{4: 0, 8: 1}[ctc_reduction]][0])
    assert torch.equal(output.ctc_lengths, encoded.ctc_lengths)
    assert torch.equal(output.ctc_logits, model.ctc(encoded.ctc_frames))


def test_without_ctc_weight_there_is_no_ctc_head(tiny: Tiny, utterances: Utterances) -> None:
    text, text_lengths = random_tokens(6)
    output = tiny()(*utterances(61), text)
    assert output.ctc_logits is None
    losses = joint_losses(tiny().config, output, text, text_lengths)
    assert torch.equal(losses.total, losses.speller)
    assert losses.ctc == 0


# Half precision


@pytest.mark.parametrize("kind", CLASS_NAMES)
@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_stays_close(tiny: Tiny, utterances: Utterances, kind: str, cell: str) -> None:
    """Within 5 % of the scores' standard deviation: bfloat16 has 8 bits, and errors add up."""
    model = tiny(score_function=kind, cell=cell, ctc_weight=0.3, dropout=0.0)
    features, lengths = utterances(61, 38)
    text, text_lengths = random_tokens(6, 5)
    for training in (False, True):
        model.train(training)
        exact = model(features, lengths, text)
        with torch.autocast("cpu", torch.bfloat16):
            approximate = model(features, lengths, text)
            losses = joint_losses(model.config, approximate, text, text_lengths)
        assert losses.total.dtype == torch.float32
        for logits, expected in (
            (approximate.logits, exact.logits),
            (approximate.ctc_logits, exact.ctc_logits),
        ):
            error = (logits.float() - expected).square().mean().sqrt()
            assert error < 0.05 * expected.std()
        if training:
            losses.total.backward()
            assert all(weight.grad.isfinite().all() for weight in model.parameters())
