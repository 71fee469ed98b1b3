"""Search: what the listener heard to character ids. Knows scores, not audio and not text.

Greedy: at every step the best character goes back into the speller, until the end mark. Or a beam
of several texts side by side, which speller and CTC head judge together.
"""

from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search.beam_search import beam_search
from sorigeul.search.greedy import greedy_search
from sorigeul.search.hypothesis import Hypothesis

BEAM_WIDTH = 6
"""texts side by side where nothing else is asked for; eight gain 0.1 points on dev of Pansori"""


def search(model: ListenAttendSpell, encoded: ListenerOutput, width: int = 0) -> list[Hypothesis]:
    """The best text of each utterance: `greedy` for a `width` of 1, or of a `beam`.

    Where 0 is asked for, a model with a CTC head gets a beam of `WIDTH`, and another one is greedy.
    """
    width = width or (BEAM_WIDTH if model.config.ctc_weight > 0 else 1)
    return greedy_search(model, encoded) if width == 1 else beam_search(model, encoded, width)
