"""Statistics of a sample of a corpus."""

from math import isnan

import numpy as np
import pytest

from sorigeul.doctor.measurements import measure
from sorigeul.doctor.preflight import _describe_sample
from sorigeul.doctor.sample import LengthCorrelation, Sample


def test_the_least_correlation_rises_with_the_utterances() -> None:
    """The more of them, the less a low correlation is by chance."""
    random = np.random.default_rng(0)
    least = []
    for count in (20, 100, 1000):
        characters = random.standard_normal(count)
        speech = characters + 0.3 * random.standard_normal(count)
        correlation = LengthCorrelation(characters, speech)
        assert correlation.is_conclusive
        assert not correlation.is_too_low
        shuffled = LengthCorrelation(characters, random.permutation(speech))
        assert shuffled.is_too_low
        least.append(correlation.least)
    assert least == sorted(least)


@pytest.mark.parametrize("text", ["hello there", "가나다라"])
def test_what_is_not_measured_is_not_printed(text: str) -> None:
    """No rate of other scripts, and none of a few utterances."""
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    sample = Sample([measure("a", text, noise * np.linspace(0, 0.1, 16_000, dtype=np.float32))])
    assert isnan(sample.speaking_rate)
    lines = list(_describe_sample(sample))
    assert lines
    assert not any("nan" in line for line in lines)
