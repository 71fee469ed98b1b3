"""Fingerprints: whatever decides a text changes them."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from sorigeul.lm.ngram import NgramModel, NgramOptions, train_ngram
from sorigeul.lm.text_data import TextData
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.recognition.fingerprints import model_fingerprint, search_fingerprint
from sorigeul.recognition.search_setup import SearchSetup
from sorigeul.search.options import SearchOptions
from sorigeul.search.terms import Terms
from sorigeul.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def model(run: Path) -> PretrainedModel:
    return load_pretrained(run)


def ngrams(vocabulary: Vocabulary, text: str) -> NgramModel:
    """A model of one sentence, which somebody said many times."""
    tokens = np.array(20 * [*vocabulary.encode_characters(text), vocabulary.eos_id], np.uint16)
    return train_ngram(TextData(vocabulary, tokens, tokens, {}), NgramOptions(2, (0, 0)))


def test_everything_that_judges_a_text_changes_the_fingerprint_of_the_search(
    model: PretrainedModel,
) -> None:
    vocabulary = model.vocabulary
    language_models = [ngrams(vocabulary, text) for text in ("가나다라", "가나")]
    terms = [Terms.from_terms([(term, 1.0)], vocabulary) for term in ("가나", "다라")]
    others = {
        "options": [SearchOptions(beam=3), SearchOptions(length_bonus=1.5)],
        "partners": [[model], [model, model]],
        "language_models": [[one] for one in language_models],
        "terms": terms,
        "rescorer": [model],
        "rescore_weight": [0.25],
        "calibration": [{"words": {"slope": 1.0}}, {"words": {"slope": 2.0}}],
    }
    assert others.keys() == {field.name for field in fields(SearchSetup)}
    setups = [
        SearchSetup(),
        *(replace(SearchSetup(), **{name: one}) for name in others for one in others[name]),
    ]
    assert len({search_fingerprint(setup) for setup in setups}) == len(setups)
    assert search_fingerprint(SearchSetup()) == search_fingerprint(SearchSetup())


def test_a_weight_changes_the_fingerprint_of_the_model(model: PretrainedModel, run: Path) -> None:
    other = load_pretrained(run)
    assert model_fingerprint(other) == model_fingerprint(model)
    next(other.model.parameters()).data.flatten()[0] += 0.5
    assert model_fingerprint(other) != model_fingerprint(model)
