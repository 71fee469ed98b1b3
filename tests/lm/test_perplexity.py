"""Scores of texts: bits a character, unknown characters, batches of lines of any length."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sorigeul.lm.language_model import LanguageModel
from sorigeul.lm.network import NetworkModel
from sorigeul.lm.perplexity import TextScore, score_file, score_lines
from sorigeul.lm.recurrent import RecurrentConfig, RecurrentNetwork
from sorigeul.text.vocabulary import SPECIALS, Vocabulary

VOCABULARY = Vocabulary((*"가나다 라", *SPECIALS))
LINES = ["가나다", "라", "가 밖 나", "다라가나다라가나"] * 30


class Uniform(LanguageModel[Tensor]):  # type: ignore[type-var]
    """Every character and the end are equally likely; the state counts the texts."""

    vocabulary = VOCABULARY
    fingerprint = "uniform"

    def to(self, device: torch.device) -> None: ...

    def start(self, rows: int) -> Tensor:
        return torch.zeros(rows)

    def scores(self, state: Tensor) -> Tensor:
        scores = torch.full((len(state), len(VOCABULARY)), -math.log(6))
        scores[:, [VOCABULARY.sos_id, VOCABULARY.pad_id]] = -torch.inf
        return scores

    def advance(self, state: Tensor, tokens: Tensor) -> Tensor:
        return state


def test_a_uniform_model_needs_the_same_bits_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("가나다\n\n  라   가 \n밖밖\n", encoding="utf-8")
    score = score_file(Uniform(), path)
    assert (score.characters, score.unknown) == (3 + 1 + 3 + 1 + 0 + 1, 2)
    assert score.bits_per_character == pytest.approx(math.log2(6))
    assert score.perplexity == pytest.approx(6)


def test_lines_score_as_they_do_alone() -> None:
    torch.manual_seed(0)
    network = RecurrentNetwork(RecurrentConfig(hidden_size=8, embedding_size=4), VOCABULARY)
    model = NetworkModel(network, VOCABULARY)
    together = list(score_lines(model, LINES))
    alone = [score for line in LINES for score in score_lines(model, [line])]
    for one, other in zip(together, alone, strict=True):
        assert (one.text, one.characters, one.unknown) == (
            other.text,
            other.characters,
            other.unknown,
        )
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)
    assert together[2].unknown == 1
    assert together[0].log_probability < 0


def test_a_model_that_is_wrong_beyond_all_numbers_has_an_infinite_perplexity() -> None:
    assert TextScore(log_probability=-1e6, characters=1, unknown=0).perplexity == math.inf


def test_units_of_several_characters_are_counted_by_their_characters(tmp_path: Path) -> None:
    """So bits a character can be compared over vocabularies."""
    units = Vocabulary((*"가나다 라", " 가나", "다라", *SPECIALS), "bpe")
    torch.manual_seed(0)
    model = NetworkModel(RecurrentNetwork(RecurrentConfig(), units), units)
    scores = list(score_lines(model, ["가나다라 가나", "밖가"]))
    assert [(one.characters, one.unknown) for one in scores] == [(7 + 1, 0), (1 + 1, 1)]
    path = tmp_path / "text.txt"
    path.write_text("가나다라 가나\n", encoding="utf-8")
    bits = -scores[0].log_probability / math.log(2) / 8
    assert score_file(model, path).bits_per_character == pytest.approx(bits)
