"""Statistics of a sample of a corpus."""

import numpy as np

from sorigeul.doctor.sample import association


def test_association_distinguishes_dependence_from_chance() -> None:
    random = np.random.default_rng(0)
    causes = random.standard_normal((200, 20))
    effects = causes @ random.standard_normal((20, 10)) + 5 * random.standard_normal((200, 10))
    assert association(causes, effects) > 10
    assert abs(association(random.permutation(causes), effects)) < 3
