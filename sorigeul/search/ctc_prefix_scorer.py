"""CTC prefix scores (Graves et al. 2006): how probable a beginning of a text is, for beam search.

Hori, Watanabe and Hershey 2017, "Joint CTC/attention decoding", section 2.3. B utterances, K
hypotheses each (the beam width), N = B K hypotheses with an utterance's in successive rows, S CTC
frames, V vocabulary.
"""

from dataclasses import dataclass
from math import inf

from sorigeul.base.arrays import Array, astype, log_softmax, log_sum_exp, namespace


@dataclass(frozen=True)
class Prefixes:
    """The prefixes of N hypotheses and their CTC forward variables.

    A forward variable at frame t is the logarithm of the probability that the first t + 1 frames
    write exactly the prefix.
    """

    ends_in_character: Array
    """of the paths that end in the last character of the prefix (N, S)"""
    ends_in_blank: Array
    """of the paths that end in a blank (N, S)"""
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
        self.utterance = xp.arange(len(scores) * width, device=scores.device) // width

    def empty_prefixes(self) -> Prefixes:
        """The prefixes with which a search starts."""
        xp = namespace(self.scores)
        ends_in_blank = self.scores[..., self.blank].cumsum(1)[self.utterance]
        return Prefixes(
            ends_in_character=xp.full_like(ends_in_blank, -inf),
            ends_in_blank=ends_in_blank,
            last_tokens=xp.full_like(self.utterance, self.blank),
        )

    def complete_scores(self, prefixes: Prefixes) -> Array:
        """Log-probability of each prefix as the complete text of its utterance (N,)."""
        ends = prefixes.ends_in_character[:, -1], prefixes.ends_in_blank[:, -1]
        return namespace(self.scores).logaddexp(*ends)

    def extension_scores(self, prefixes: Prefixes) -> Array:
        """Prefix score of each prefix followed by each token (N, V).

        This is the log-probability of all texts that begin so. The scores of the blank mean
        nothing.
        """
        xp = namespace(self.scores)
        entering = self._entering_scores(prefixes, xp.full_like(prefixes.last_tokens, -1))
        peak = xp.amax(entering, axis=1, keepdims=True).clip(-1e300)
        weights = xp.exp(entering - peak).reshape(-1, self.width, entering.shape[1])
        product = weights @ self.probabilities
        scores = xp.log(product).reshape(len(entering), -1) + peak
        # The product above is too high for a repeated character, which needs a blank in between.
        repeated = self._entering_scores(prefixes, prefixes.last_tokens)
        repeated = log_sum_exp(repeated + self._frame_scores(prefixes.last_tokens))[:, 0]
        scores[xp.arange(len(scores), device=scores.device), prefixes.last_tokens] = repeated
        return scores

    def extend(self, prefixes: Prefixes, rows: Array, tokens: Array) -> Prefixes:
        """The prefixes in `rows` (N,), each extended by one of `tokens` (N,).

        Every row of the result belongs to the same utterance as before, so `rows` must choose it
        from the rows of that utterance.
        """
        chosen = Prefixes(
            ends_in_character=prefixes.ends_in_character[rows],
            ends_in_blank=prefixes.ends_in_blank[rows],
            last_tokens=prefixes.last_tokens[rows],
        )
        xp = namespace(self.scores)
        token_scores = self._frame_scores(tokens)
        blank_scores = self._frame_scores(xp.full_like(tokens, self.blank))
        entering = self._entering_scores(chosen, tokens) + token_scores
        characters = [entering[:, 0]]
        blanks = [xp.full_like(entering[:, 0], -inf)]
        for frame in range(1, entering.shape[1]):
            blanks.append(xp.logaddexp(blanks[-1], characters[-1]) + blank_scores[:, frame])
            staying = characters[-1] + token_scores[:, frame]
            characters.append(xp.logaddexp(staying, entering[:, frame]))
        return Prefixes(xp.stack(characters, 1), xp.stack(blanks, 1), tokens)

    def _entering_scores(self, prefixes: Prefixes, tokens: Array) -> Array:
        """Log-probability that the frames before each frame write the prefix (N, S).

        Only by paths that one of `tokens` (N,) may follow: if it repeats the last character of its
        prefix, the paths that end in a blank.
        """
        xp = namespace(self.scores)
        repeats = (tokens == prefixes.last_tokens)[:, None]
        all_paths = xp.logaddexp(prefixes.ends_in_character, prefixes.ends_in_blank)
        paths = xp.where(repeats, prefixes.ends_in_blank, all_paths)
        first = xp.full_like(paths[:, :1], -inf)  # before the first frame
        first[prefixes.last_tokens == self.blank] = 0.0
        return xp.concat((first, paths[:, :-1]), axis=1)

    def _frame_scores(self, tokens: Array) -> Array:
        """The score of one token for each prefix at every frame (N, S)."""
        return self.scores[self.utterance, :, tokens]
