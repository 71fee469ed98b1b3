"""Search: a batch equals its members, the end mark ends, nothing runs for ever."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.model.losses import joint_losses
from sorigeul.search.beam_search import beam_search
from sorigeul.search.ctc_prefix_scorer import PrefixScorer
from sorigeul.search.decoding import BEAM_WIDTH, search
from sorigeul.search.greedy import ctc_greedy_search, greedy_search
from sorigeul.search.hypothesis import Hypothesis

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]

COUNTS = (4, 61, 38, 90, 133, 7, 75, 118)
START, END, PADDING = 27, 28, 29  # after 27 characters


def heard(model: ListenAttendSpell, utterances: Utterances) -> ListenerOutput:
    with torch.no_grad():
        return model.listen(*utterances(*COUNTS, frames=140))


def limit(model: ListenAttendSpell, encoded: ListenerOutput, row: int) -> int:
    """15 characters a second at 100 frames, and eight for the shortest."""
    return int(0.15 * int(encoded.lengths[row]) * model.config.reduction) + 8


KINDS: list[dict[str, Any]] = [
    {},
    {"score_function": "location", "cell": "lstm", "feed_context": True},
    {"score_function": "multi-head", "cell": "rnn", "use_pyramidal": False},
    {"score_function": "additive", "time_reduction": 8, "use_bidirectional": False},
    {"use_attention": False},
]


@pytest.fixture(scope="module", params=KINDS, ids=str)
def taught(
    request: pytest.FixtureRequest, tiny: Tiny, utterances: Utterances
) -> tuple[ListenAttendSpell, ListenerOutput]:
    """A model whose speller has met a text of its own for each utterance, and what it hears.

    The first text is longer than the search allows, the second empty.
    """
    model = tiny(hidden_size=16, **request.param)
    encoded = heard(model, utterances)
    sizes = torch.tensor([14, 0, 3, 9, 12, 1, 6, 5])
    text = torch.randint(START, (8, 14), generator=torch.Generator().manual_seed(14))
    text[torch.arange(14) >= sizes.unsqueeze(1)] = PADDING
    optimizer = torch.optim.Adam(model.speller.parameters(), lr=0.02)
    for _ in range(120):
        optimizer.zero_grad()
        joint_losses(model.config, model.spell(encoded, text), text, sizes).total.backward()
        optimizer.step()
    with torch.no_grad():  # a free run may say them, a search not
        model.speller.out.bias[[START, PADDING]] = -1e4
    return model, encoded


Taught = tuple[ListenAttendSpell, ListenerOutput]


def test_a_batch_equals_its_members(taught: Taught, utterances: Utterances) -> None:
    model, encoded = taught
    features, lengths = utterances(*COUNTS, frames=140)
    together = greedy_search(model, encoded)
    assert len({str(one.tokens) for one in together}) > 4  # they do say different things
    for row, count in enumerate(COUNTS):
        with torch.no_grad():
            heard_alone = model.listen(features[row : row + 1, :count], lengths[row : row + 1])
        (alone,) = greedy_search(model, heard_alone)
        assert together[row].tokens == alone.tokens
        assert together[row].finished == alone.finished
        assert together[row].probabilities == pytest.approx(alone.probabilities, abs=1e-4)
        torch.testing.assert_close(together[row].alignment, alone.alignment, rtol=0, atol=1e-4)


def test_greedy_is_free_running_up_to_the_end_mark(taught: Taught) -> None:
    model, encoded = taught
    with torch.no_grad():
        first = torch.full((len(COUNTS),), START)
        logits, alignments = model.speller.free_run(first, 40, model.make_memory(encoded))
    found = greedy_search(model, encoded)
    for row, one in enumerate(found):
        most = limit(model, encoded, row)
        best = logits[row].argmax(1).tolist()
        end = min(best.index(END) if END in best else most, most)
        assert one.tokens == best[:end]
        assert one.finished is (end < most)
        expected = logits[row, :end].softmax(1).amax(1).tolist()
        assert one.probabilities == pytest.approx(expected, abs=1e-4)
        valid = int(encoded.lengths[row])
        torch.testing.assert_close(one.alignment, alignments[row, :end, :valid], rtol=0, atol=1e-4)
    assert {one.finished for one in found} == {True, False}
    assert len({len(one.tokens) for one in found if one.finished}) > 2


def test_a_hypothesis_is_of_one_length(taught: Taught) -> None:
    model, encoded = taught
    for row, one in enumerate(greedy_search(model, encoded)):
        count = len(one.tokens)
        assert len(one.probabilities) == count
        assert one.alignment.shape == (count, int(encoded.lengths[row]))
        if model.config.use_attention:
            torch.testing.assert_close(one.alignment.sum(1), torch.ones(count))


@pytest.mark.parametrize("bias", [0.0, 1e4])
def test_specials_are_never_spelled(tiny: Tiny, utterances: Utterances, bias: float) -> None:
    model = tiny()
    with torch.no_grad():
        model.speller.out.bias[[START, PADDING]] = bias
    for one in greedy_search(model, heard(model, utterances)):
        assert all(token < START for token in one.tokens)
        assert all(0 < chance <= 1 for chance in one.probabilities)


def test_what_is_never_spelled_takes_no_probability(tiny: Tiny, utterances: Utterances) -> None:
    found: list[list[Hypothesis]] = []
    for bias in (0.0, 1e4):
        model = tiny()
        with torch.no_grad():
            model.speller.out.bias[[START, PADDING]] = bias
        found.append(greedy_search(model, heard(model, utterances)))
    for one, other in zip(*found, strict=True):
        assert one.tokens == other.tokens
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


@pytest.mark.parametrize("changes", [{}, {"use_pyramidal": False}, {"time_reduction": 8}], ids=str)
def test_a_model_that_never_ends_is_stopped(
    tiny: Tiny, utterances: Utterances, changes: dict[str, Any]
) -> None:
    model = tiny(**changes)
    with torch.no_grad():
        model.speller.out.bias[END] = -torch.inf
    encoded = heard(model, utterances)
    for row, one in enumerate(greedy_search(model, encoded)):
        assert not one.finished
        assert len(one.tokens) == limit(model, encoded, row)


def test_a_model_that_hears_nothing_spells_nothing(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny()
    with torch.no_grad():
        model.speller.out.bias[END] = 1e4
    encoded = heard(model, utterances)
    for row, one in enumerate(greedy_search(model, encoded)):
        assert one.tokens == one.probabilities == []
        assert one.finished
        assert one.alignment.shape == (0, int(encoded.lengths[row]))


def test_search_leaves_no_gradient(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny()
    encoded = model.listen(*utterances(*COUNTS))
    assert encoded.frames.requires_grad
    assert not any(one.alignment.requires_grad for one in greedy_search(model, encoded))


def test_half_precision_searches_too(tiny: Tiny, utterances: Utterances) -> None:
    for cell in ("gru", "lstm", "rnn"):
        model = tiny(cell=cell, score_function="location", feed_context=True, ctc_weight=0.3)
        with torch.autocast("cpu", torch.bfloat16):
            encoded = heard(model, utterances)
            found, heard_by_ctc = greedy_search(model, encoded), ctc_greedy_search(model, encoded)
        assert len(found) == len(heard_by_ctc) == len(COUNTS)
        assert all(one.alignment.dtype == torch.float32 for one in found)


# CTC: eight characters 0 to 7, start 8, end 9, blank 10

BLANK = 10


def ctc_model() -> tuple[ListenAttendSpell, Callable[[list[list[int]], list[int]], ListenerOutput]]:
    """A model whose CTC head reads the best unit off each frame, and frames that say `rows`."""
    config = LASConfig(
        hidden_size=11,
        use_bidirectional=False,
        conv_channels=1,
        n_mels=4,
        vocabulary_size=11,
        listener_layer_size=3,
        ctc_weight=0.3,
    )
    model = ListenAttendSpell(config).eval()
    with torch.no_grad():
        model.ctc.weight.copy_(torch.eye(11))
        model.ctc.bias.zero_()

    def frames(rows: list[list[int]], lengths: list[int]) -> ListenerOutput:
        said = torch.nn.functional.one_hot(torch.tensor(rows), 11).float()
        return ListenerOutput(
            said[:, :1], torch.ones(len(rows)).long(), said, torch.tensor(lengths)
        )

    return model, frames


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([1, 1, 2, 2, 2, 3], [1, 2, 3]),
        ([1, BLANK, 1, 1, BLANK, BLANK], [1, 1]),
        ([BLANK, BLANK, 0, BLANK, 7, 7], [0, 7]),
        ([BLANK] * 6, []),
        ([4] * 6, [4]),
        ([8, 5, 9, 9, 6, BLANK], [5, 6]),
    ],
    ids=str,
)
def test_ctc_path_is_read_as_by_hand(path: list[int], text: list[int]) -> None:
    model, frames = ctc_model()
    assert ctc_greedy_search(model, frames([path], [6])) == [text]


def test_ctc_reads_no_padding() -> None:
    model, frames = ctc_model()
    rows = [[1, 1, 2, 3], [1, 1, 2, 3], [1, 1, 2, 3]]
    assert ctc_greedy_search(model, frames(rows, [4, 2, 1])) == [[1, 2, 3], [1], [1]]


def test_ctc_of_a_batch_equals_its_members(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3)
    features, lengths = utterances(*COUNTS, frames=140)
    together = ctc_greedy_search(model, heard(model, utterances))
    assert any(together)
    for row, count in enumerate(COUNTS):
        encoded = model.listen(features[row : row + 1, :count], lengths[row : row + 1])
        assert ctc_greedy_search(model, encoded) == [together[row]]


def test_ctc_needs_its_head(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny()
    with pytest.raises(ValueError, match="no CTC head"):
        ctc_greedy_search(model, heard(model, utterances))


# A beam


def joint_score(
    model: ListenAttendSpell, encoded: ListenerOutput, text: tuple[int, ...], weight: float
) -> float:
    """Of a text that ends, by a teacher-forced pass and by PyTorch's CTC loss."""
    config = model.config
    tokens = torch.tensor([text], dtype=torch.long).view(1, -1)
    spelled = model.spell(encoded, tokens)
    scores = spelled.logits[0].double()
    scores[:, [config.sos_id, config.pad_id]] = -torch.inf
    targets = torch.tensor([*text, config.eos_id])
    speller = float(scores.log_softmax(-1).gather(1, targets.unsqueeze(1)).sum())
    if not weight:
        return speller
    assert spelled.ctc_logits is not None
    ctc = functional.ctc_loss(
        spelled.ctc_logits.double().log_softmax(-1).transpose(0, 1),
        tokens,
        spelled.ctc_lengths,
        torch.tensor([len(text)]),
        blank=config.pad_id,
        reduction="sum",
    )
    return (1 - weight) * speller - weight * float(ctc)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_a_wide_beam_finds_the_best_of_all_texts(
    tiny: Tiny, utterances: Utterances, weight: float
) -> None:
    model = tiny(vocabulary_size=5, ctc_weight=0.3, hidden_size=16)
    features, lengths = utterances(24, 17, frames=24)
    with torch.no_grad():
        model.ctc.weight *= 8  # else nothing is better than silence
        encoded = model.listen(features, lengths)
        found = beam_search(model, encoded, 300, weight)
        for row, one in enumerate(found):
            count = int(lengths[row])
            alone = model.listen(features[row : row + 1, :count], lengths[row : row + 1])
            texts = (t for size in range(9) for t in itertools.product((0, 1), repeat=size))
            best = max(texts, key=lambda text: joint_score(model, alone, text, weight))
            assert tuple(one.tokens) == best


def test_a_beam_of_one_without_ctc_is_greedy(taught: Taught) -> None:
    model, encoded = taught
    for one, other in zip(
        beam_search(model, encoded, 1), greedy_search(model, encoded), strict=True
    ):
        if not other.finished:
            continue  # what greedy cuts off, a search ends at its best place
        assert one.tokens == other.tokens
        assert one.finished
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
        torch.testing.assert_close(one.alignment, other.alignment, rtol=0, atol=1e-4)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3])
def test_both_heads_search_where_there_are_two(
    tiny: Tiny, utterances: Utterances, ctc_weight: float
) -> None:
    model = tiny(ctc_weight=ctc_weight)
    encoded = heard(model, utterances)
    found = search(model, encoded)
    expected = (
        beam_search(model, encoded, BEAM_WIDTH) if ctc_weight else greedy_search(model, encoded)
    )
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    assert [one.tokens for one in search(model, encoded, 1)] == [
        one.tokens for one in greedy_search(model, encoded)
    ]


def test_a_beam_over_a_batch_equals_its_members(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3, score_function="location", feed_context=True)
    features, lengths = utterances(*COUNTS, frames=140)
    together = beam_search(model, heard(model, utterances), 4)
    for row, count in enumerate(COUNTS):
        with torch.no_grad():
            heard_alone = model.listen(features[row : row + 1, :count], lengths[row : row + 1])
        (alone,) = beam_search(model, heard_alone, 4)
        assert together[row].tokens == alone.tokens
        torch.testing.assert_close(together[row].alignment, alone.alignment, rtol=0, atol=1e-4)


def test_a_beam_ends_a_model_that_never_does(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3)
    with torch.no_grad():
        model.speller.out.bias[END] = -torch.inf
    encoded = heard(model, utterances)
    for row, one in enumerate(beam_search(model, encoded, 3)):
        assert 0 < len(one.tokens) <= min(limit(model, encoded, row), int(encoded.ctc_lengths[row]))
        assert not one.finished
    for row, one in enumerate(beam_search(model, encoded, 3, ctc_weight=0)):
        assert len(one.tokens) == limit(model, encoded, row)
        assert not one.finished


def test_the_probability_of_a_beginning_is_that_of_all_its_texts() -> None:
    """By every path of five frames over two characters and the blank."""
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 3).double()
    lengths = torch.tensor([5, 4])
    scorer = PrefixScorer(logits, lengths, blank=2, width=1)
    chances = logits.softmax(-1)
    for text in [(), (0,), (0, 0), (0, 1), (1, 1, 0)]:
        prefixes = scorer.start()
        for token in text:
            prefixes = scorer.extend(prefixes, torch.arange(2), torch.tensor([token, token]))
        begun = torch.zeros(2, 2, dtype=torch.float64)
        whole = torch.zeros(2, dtype=torch.float64)
        for row, length in enumerate(lengths.tolist()):
            for path in itertools.product(range(3), repeat=length):
                said = tuple(unit for unit, _ in itertools.groupby(path) if unit != 2)
                chance = chances[row, range(length), path].prod()
                whole[row] += chance * (said == text)
                for unit in (0, 1):
                    begun[row, unit] += chance * (said[: len(text) + 1] == (*text, unit))
        torch.testing.assert_close(scorer.whole(prefixes).exp(), whole)
        torch.testing.assert_close(scorer.extensions(prefixes)[:, :2].exp(), begun)
