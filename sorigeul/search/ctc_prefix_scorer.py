"""CTC prefix scores (Graves et al. 2006): how probable a beginning of a text is, for beam search.

Hori, Watanabe and Hershey 2017, "Joint CTC/attention decoding", section 2.3. B utterances, K
hypotheses each (the beam width), N = B K hypotheses with an utterance's in successive rows, S CTC
frames, V vocabulary.
"""

from dataclasses import dataclass
from math import inf

from sorigeul.base.arrays import (
    Array,
    astype,
    cumulative_log_sum_exp,
    log_softmax,
    log_sum_exp,
    namespace,
)


@dataclass(frozen=True)
class Prefixes:
    """The prefixes of N hypotheses and their CTC forward variables.

    A forward variable at t is the logarithm of the probability that the first t frames write
    exactly the prefix. There is one more than frames: before the first one, t is 0.
    """

    all_paths: Array
    """of all paths (N, S + 1)"""
    ends_in_blank: Array
    """of the paths that end in a blank (N, S + 1)"""
    last_tokens: Array
    """last character of each prefix, the blank for an empty one (N,)"""


class PrefixScorer:
    """Scores prefixes by CTC, and all their extensions by one character in one matrix product.

    Computes in float64, whose range long utterances need.

    Parameters
    ----------
    logits : scores of the CTC head (B, S, V)
    lengths : valid frames (B,)
    blank : id of the blank
    width : hypotheses of each utterance (K); N = B K
    """

    def __init__(self, logits: Array, lengths: Array, blank: int, width: int) -> None:
        xp = namespace(logits)
        scores = log_softmax(astype(logits, xp.float64))
        padded = xp.arange(scores.shape[1], device=scores.device) >= lengths[:, None]
        only_blank = xp.full_like(scores[0, 0], -inf)
        only_blank[blank] = 0.0  # after its end an utterance has no more characters
        self.scores = xp.where(padded[:, :, None], only_blank, scores)
        self.probabilities = xp.exp(self.scores)
        self.blank, self.width = blank, width
        self._number_hypotheses()

    def _number_hypotheses(self) -> None:
        xp, batch = namespace(self.scores), len(self.scores)
        rows = xp.arange(batch * self.width, device=self.scores.device)
        self.utterance = rows // self.width
        blank_scores = self.scores[..., self.blank].cumsum(1)
        before = xp.zeros_like(blank_scores[:, :1])
        self._blanks = xp.concat((before, blank_scores), axis=1)[self.utterance]
        """the score of nothing but blanks in the first t frames (N, S + 1)"""

    def keep(self, utterances: Array) -> None:
        """Go on with some of the utterances only (B',)."""
        self.scores = self.scores[utterances]
        self.probabilities = self.probabilities[utterances]
        self._number_hypotheses()

    def empty_prefixes(self) -> Prefixes:
        """The prefixes with which a search starts."""
        blank = namespace(self.scores).full_like(self.utterance, self.blank)
        return Prefixes(self._blanks, self._blanks, blank)

    def complete_scores(self, prefixes: Prefixes) -> Array:
        """Log-probability of each prefix as the complete text of its utterance (N,)."""
        return prefixes.all_paths[:, -1]

    def extension_scores(self, prefixes: Prefixes) -> Array:
        """Prefix score of each prefix followed by each token (N, V).

        This is the log-probability of all texts that begin so. The scores of the blank mean
        nothing.
        """
        xp = namespace(self.scores)
        entering = prefixes.all_paths[:, :-1]
        peak = xp.amax(entering, axis=1, keepdims=True).clip(-1e300)
        weights = xp.exp(entering - peak).reshape(-1, self.width, entering.shape[1])
        product = weights @ self.probabilities
        scores = xp.log(product).reshape(len(entering), -1) + peak
        # The product above is too high for a repeated character, which needs a blank in between.
        repeated = prefixes.ends_in_blank[:, :-1] + self._frame_scores(prefixes.last_tokens)
        rows = xp.arange(len(scores), device=scores.device)
        scores[rows, prefixes.last_tokens] = log_sum_exp(repeated)[:, 0]
        return scores

    def extend(self, prefixes: Prefixes, rows: Array, tokens: Array) -> Prefixes:
        """The prefixes in `rows` (N,), each extended by one of `tokens` (N,).

        Every row of the result belongs to the same utterance as before, so `rows` must choose it
        from the rows of that utterance.
        """
        xp = namespace(self.scores)
        # Only a path that ends in a blank can go on with the last character once more.
        repeats = (tokens == prefixes.last_tokens[rows])[:, None]
        before = xp.where(repeats, prefixes.ends_in_blank[rows], prefixes.all_paths[rows])
        # A path enters the token in one frame, stays in it for some, and then in the blank. Both
        # sums over frames become cumulative ones if scores are counted from the first frame.
        token_scores = self._frame_scores(tokens)
        is_padding = xp.isinf(token_scores)
        stayed = xp.where(is_padding, 0.0, token_scores).cumsum(1)
        entering = before[:, :-1] + token_scores - stayed
        in_token = xp.full_like(before, -inf)
        in_token[:, 1:] = xp.where(is_padding, -inf, stayed + cumulative_log_sum_exp(entering))
        in_blank = xp.full_like(before, -inf)
        left = cumulative_log_sum_exp((in_token - self._blanks)[:, :-1])
        in_blank[:, 1:] = left + self._blanks[:, 1:]
        return Prefixes(xp.logaddexp(in_token, in_blank), in_blank, tokens)

    def _frame_scores(self, tokens: Array) -> Array:
        """The score of one token for each prefix at every frame (N, S)."""
        return self.scores[self.utterance, :, tokens]
