"""Sampled lines: seeds, beginnings, temperature."""

import pytest
import torch

from sorigeul.base.errors import UserError
from sorigeul.lm.network import NetworkModel
from sorigeul.lm.recurrent import RecurrentConfig, RecurrentNetwork
from sorigeul.lm.sampling import sample_lines
from sorigeul.text.vocabulary import SPECIALS, Vocabulary

VOCABULARY = Vocabulary((*"가나다 라", *SPECIALS))


@pytest.fixture
def model() -> NetworkModel:
    torch.manual_seed(0)
    network = RecurrentNetwork(RecurrentConfig(hidden_size=8, embedding_size=4), VOCABULARY)
    with torch.no_grad():
        network.output_bias[0] += 1.0  # 가 is the likeliest
    return NetworkModel(network, VOCABULARY)


def test_a_seed_gives_the_same_lines(model: NetworkModel) -> None:
    lines = sample_lines(model, 20, seed=1)
    assert lines == sample_lines(model, 20, seed=1) != sample_lines(model, 20, seed=2)
    assert len(set(lines)) > 1
    assert set("".join(lines)) <= set("가나다 라")


def test_lines_begin_as_asked(model: NetworkModel) -> None:
    assert all(line.startswith("밖가나") for line in sample_lines(model, 5, "밖가나"))


def test_a_low_temperature_gives_the_likeliest_line(model: NetworkModel) -> None:
    (line,) = set(sample_lines(model, 5, temperature=1e-4))
    assert set(line) == {"가"}


def test_impossible_requests_are_refused(model: NetworkModel) -> None:
    with pytest.raises(UserError, match="lines is 0"):
        sample_lines(model, 0)
    with pytest.raises(UserError, match="temperature is 0"):
        sample_lines(model, 1, temperature=0)
    with pytest.raises(UserError, match=r"temperature is .*, but must be at least 0\.0001"):
        sample_lines(model, 1, temperature=1e-320)
