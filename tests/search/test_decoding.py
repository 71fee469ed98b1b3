"""The choice of the search by the width of the beam and by the model."""

import pytest
from helpers.listener_outputs import Tiny, Utterances, encode

from sorigeul.search.decoding import Search
from sorigeul.search.greedy import greedy_search
from sorigeul.search.options import BEAM_WIDTH, SearchOptions


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3])
def test_a_model_with_a_ctc_head_gets_a_beam_by_default(
    tiny: Tiny, utterances: Utterances, ctc_weight: float
) -> None:
    model = tiny(ctc_weight=ctc_weight)
    encoded = encode(model, utterances)
    greedy = [hypothesis.tokens for hypothesis in greedy_search(model, encoded)]
    wide = Search([model], SearchOptions(BEAM_WIDTH))([encoded])
    beam = [hypotheses[0].tokens for hypotheses in wide]
    default = [hypotheses[0].tokens for hypotheses in Search([model])([encoded])]
    assert default == (beam if ctc_weight else greedy)
    narrow = [hypotheses[0].tokens for hypotheses in Search([model], SearchOptions(1))([encoded])]
    assert narrow == greedy
