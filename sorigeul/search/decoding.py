"""The choice between greedy and beam search, from encoder output to character ids."""

from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search.beam_search import beam_search
from sorigeul.search.greedy import greedy_search
from sorigeul.search.hypothesis import Hypothesis

BEAM_WIDTH = 6
"""default number of hypotheses in a beam; eight gain 0.1 points on dev of Pansori"""


def search(model: ListenAttendSpell, encoded: ListenerOutput, width: int = 0) -> list[Hypothesis]:
    """The best hypothesis of each utterance: `greedy_search` if `width` is 1, else `beam_search`.

    A `width` of 0 means `BEAM_WIDTH` for a model with a CTC head and greedy search for any other.
    """
    width = width or (BEAM_WIDTH if model.config.ctc_weight > 0 else 1)
    return greedy_search(model, encoded) if width == 1 else beam_search(model, encoded, width)
