"""Kneser-Ney estimates, compared with a textbook implementation in dictionaries."""

from collections import Counter, defaultdict
from functools import cache

import numpy as np
import pytest
import torch

from sorigeul.lm.ngram import NgramModel, NgramOptions, train_ngram
from sorigeul.lm.text_data import TextData
from sorigeul.text.vocabulary import SPECIALS, Vocabulary

VOCABULARY = Vocabulary((*map(chr, range(ord("가"), ord("가") + 80)), *SPECIALS))
UNKNOWN, END, START = VOCABULARY.pad_id, VOCABULARY.eos_id, VOCABULARY.sos_id
PREDICTED = [*range(START), END]

Gram = tuple[int, ...]
Line = list[int]


class Textbook:
    """Interpolated modified Kneser-Ney, written from Chen and Goodman 1998, section 3."""

    def __init__(self, lines: list[Line], order: int, thresholds: Gram) -> None:
        occurrences: dict[int, Counter[Gram]] = defaultdict(Counter)
        for line in lines:
            tokens = (START, *line, END)
            for end in range(1, len(tokens)):
                for begin in range(max(0, end - order + 1), end + 1):
                    if tokens[end] != UNKNOWN:
                        occurrences[end - begin + 1][tokens[begin : end + 1]] += 1
        self.order, self.thresholds = order, thresholds
        self.counts: dict[Gram, int] = dict(occurrences[order])
        for length in range(1, order):
            before: dict[Gram, set[int]] = defaultdict(set)
            for longer in occurrences[length + 1]:
                before[longer[1:]].add(longer[0])
            for gram, count in occurrences[length].items():
                self.counts[gram] = count if gram[0] == START else len(before[gram])
        self.fallbacks: set[int] = set()
        self.discounts = {length: self._discounts(length) for length in range(1, order + 1)}
        self.after: dict[Gram, list[Gram]] = defaultdict(list)
        for gram in self.counts:
            self.after[gram[:-1]].append(gram)
        self.probability = cache(self._probability)

    def _discounts(self, length: int) -> list[float]:
        number = Counter(count for gram, count in self.counts.items() if len(gram) == length)
        if number[1] and number[2] and number[3]:
            y = number[1] / (number[1] + 2 * number[2])
            found = [k - (k + 1) * y * number[k + 1] / number[k] for k in (1, 2, 3)]
            if all(0 < discount <= k for k, discount in enumerate(found, 1)):
                return [0.0, *found]
        self.fallbacks.add(length)
        return [0.0, 0.5, 1.0, 1.5]

    def _probability(self, context: Gram, token: int) -> float:
        """`context` is the whole text before."""
        context = (
            context[len(context) - self.order + 1 :] if len(context) >= self.order else context
        )
        seen = self.after[context]
        lower = self.probability(context[1:], token) if context else 1 / len(PREDICTED)
        if not seen:
            return lower
        length = len(context) + 1
        taken = {gram: self.discounts[length][min(self.counts[gram], 3)] for gram in seen}
        for gram in seen:
            if self.counts[gram] <= self.thresholds[length - 1]:
                taken[gram] = self.counts[gram]  # pruned: all of it goes to the lower order
        total = sum(self.counts[gram] for gram in seen)
        gram = (*context, token)
        own = self.counts[gram] - taken[gram] if gram in taken else 0.0
        return own / total + sum(taken.values()) / total * lower


def random_lines(count: int, seed: int) -> list[Line]:
    """Lines of common and rare characters, some of which like to follow others, some unknown."""
    generator = np.random.default_rng(seed)
    common = 1 / np.arange(1, START + 1) ** 1.5
    likely = generator.dirichlet(common, size=(START, START))
    lines = []
    for length in generator.integers(0, 12, count):
        line = list(generator.choice(START, min(length, 2), p=common / common.sum()))
        while len(line) < length:
            line.append(generator.choice(START, p=likely[line[-2], line[-1]]))
        unknown = generator.random(length) < 0.05
        lines.append([UNKNOWN if u else int(t) for t, u in zip(line, unknown, strict=True)])
    return lines


def text(lines: list[Line], vocabulary: Vocabulary = VOCABULARY) -> TextData:
    """The lines as they are prepared for training, the first ones held out too."""
    ends = [np.array([*line, vocabulary.eos_id], np.uint16) for line in lines]
    return TextData(vocabulary, np.concatenate(ends), np.concatenate(ends[:20]), {})


def train(lines: list[Line], order: int, prune: Gram = (0,)) -> NgramModel:
    return train_ngram(text(lines), NgramOptions(order, prune))


def probabilities(model: NgramModel, context: Gram) -> np.ndarray:
    """Of all units after a text."""
    state = model.start(1)
    for token in context:
        state = model.advance(state, torch.tensor([token]))
    return model.scores(state)[0].double().exp().numpy()


@pytest.mark.parametrize(
    ("order", "prune"), [(2, (0, 0)), (3, (0, 0, 0)), (5, (0, 0, 0, 0, 0)), (5, (0, 0, 1, 1, 2))]
)
def test_probabilities_are_those_of_the_textbook(order: int, prune: Gram) -> None:
    lines = random_lines(400, seed=3)
    textbook = Textbook(lines, order, prune)
    assert not textbook.fallbacks
    model = train(lines, order, prune)
    contexts = {(), (UNKNOWN,), (0, 1, 2, 3, 4), (9, UNKNOWN, 9)}
    contexts |= {tuple(line[:end]) for line in lines[:60] for end in range(len(line) + 1)}
    for context in contexts:
        expected = [textbook.probability((START, *context), token) for token in PREDICTED]
        actual = probabilities(model, context)
        np.testing.assert_allclose(actual[PREDICTED], expected, rtol=1e-5, atol=1e-7)
        assert actual[[START, UNKNOWN]].tolist() == [0, 0]


def test_rounded_counts_change_little_and_sums_stay_one() -> None:
    """A text whose counts are too high to be told apart in 8 bits."""
    lines = random_lines(40, seed=4)
    repeated = [line for time, line in enumerate(lines) for _ in range(1 + time**2)]
    textbook = Textbook(repeated, 3, (0, 0, 0))
    model = train(repeated, 3)
    assert max(textbook.counts.values()) > 2000
    assert all(len(table.values) <= 256 for table in model.tables)
    differences = []
    for line in lines:
        for end in range(len(line) + 1):
            actual = probabilities(model, tuple(line[:end]))
            assert actual.sum() == pytest.approx(1, abs=2e-6)
            for token in PREDICTED:
                expected = textbook.probability((START, *line[:end]), token)
                differences.append(abs(np.log(actual[token] / expected)))
    assert 0 < np.mean(differences) < 0.01
    assert max(differences) < 0.05


@pytest.mark.parametrize("prune", [(0,), (0, 1), (0, 0, 2)])
def test_after_every_context_probabilities_sum_to_one(prune: Gram) -> None:
    """All texts of up to three of some characters, most of which the training text has not."""
    model = train(random_lines(40, seed=5), 3, prune)
    characters = [*range(10), START - 1, UNKNOWN]
    state = model.start(1)
    for length in range(1, 4):
        sums = model.scores(state).double().exp().sum(1)
        assert (sums - 1).abs().max() < 1e-6
        rows = torch.arange(len(characters) ** (length - 1)).repeat_interleave(len(characters))
        tokens = torch.tensor(characters).repeat(len(characters) ** (length - 1))
        state = model.advance(state.select(rows), tokens)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([[0, 1, 0, 1, 2]], id="one line"),
        pytest.param([[0]], id="one character"),
        pytest.param([[]], id="one empty line"),
        pytest.param([[]] * 50, id="empty lines"),
        pytest.param([[UNKNOWN] * 3] * 5, id="unknown characters only"),
        pytest.param([[0] * 2000], id="one character many times"),
        pytest.param([[0, 1, 2]] * 1000, id="one line many times"),
        pytest.param([list(range(START))], id="every character once"),
    ],
)
@pytest.mark.parametrize("prune", [(0,), (0, 5)])
def test_degenerate_texts_give_proper_distributions(lines: list[Line], prune: Gram) -> None:
    """Discounts that such a text cannot give fall back to fixed ones."""
    model = train(lines, 5, prune)
    for context in [(), (0,), (0, 1), (2, 2, 2, 2, 2), (UNKNOWN,), tuple(lines[0][:9])]:
        actual = probabilities(model, context)
        assert (actual[PREDICTED] > 0).all()
        assert actual.sum() == pytest.approx(1, abs=1e-6)
