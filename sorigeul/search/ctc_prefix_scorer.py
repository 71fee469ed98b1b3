"""CTC prefix scores (Graves et al. 2006): how probable a beginning of a text is, for beam search.

Hori, Watanabe and Hershey 2017, "Joint CTC/attention decoding", section 2.3. B utterances, K
hypotheses each (the beam width), N = B K hypotheses with an utterance's in successive rows, S CTC
frames, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Prefixes:
    """The prefixes of N hypotheses and their CTC forward variables.

    A forward variable at frame t is the logarithm of the probability that the first t + 1 frames
    write exactly the prefix.
    """

    ends_in_character: Tensor
    """of the paths that end in the last character of the prefix (N, S)"""
    ends_in_blank: Tensor
    """of the paths that end in a blank (N, S)"""
    last_tokens: Tensor
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

    def __init__(self, logits: Tensor, lengths: Tensor, blank: int, width: int) -> None:
        scores = logits.double().log_softmax(-1)
        padded = torch.arange(scores.shape[1], device=scores.device) >= lengths.unsqueeze(1)
        only_blank = torch.full_like(scores[0, 0], -torch.inf)
        only_blank[blank] = 0.0  # after its end an utterance has no more characters
        self.scores = torch.where(padded.unsqueeze(2), only_blank, scores)
        self.probabilities = self.scores.exp()
        self.blank, self.width = blank, width
        self.utterance = torch.arange(len(scores), device=scores.device).repeat_interleave(width)

    def empty_prefixes(self) -> Prefixes:
        """The prefixes with which a search starts."""
        ends_in_blank = self.scores[..., self.blank].cumsum(1)[self.utterance]
        return Prefixes(
            ends_in_character=torch.full_like(ends_in_blank, -torch.inf),
            ends_in_blank=ends_in_blank,
            last_tokens=torch.full_like(self.utterance, self.blank),
        )

    def complete_scores(self, prefixes: Prefixes) -> Tensor:
        """Log-probability of each prefix as the complete text of its utterance (N,)."""
        return torch.logaddexp(prefixes.ends_in_character[:, -1], prefixes.ends_in_blank[:, -1])

    def extension_scores(self, prefixes: Prefixes) -> Tensor:
        """Prefix score of each prefix followed by each token (N, V).

        This is the log-probability of all texts that begin so. The scores of the blank mean
        nothing.
        """
        no_repeats = prefixes.last_tokens.new_full(prefixes.last_tokens.shape, -1)
        entering = self._entering_scores(prefixes, no_repeats)
        peak = entering.max(1, keepdim=True).values.clamp_min(-1e300)
        weights = (entering - peak).exp().view(-1, self.width, entering.shape[1])
        scores = (weights @ self.probabilities).log().flatten(0, 1) + peak
        # The product above is too high for a repeated character, which needs a blank in between.
        repeated = self._entering_scores(prefixes, prefixes.last_tokens)
        repeated = (repeated + self._frame_scores(prefixes.last_tokens)).logsumexp(1, keepdim=True)
        return scores.scatter(1, prefixes.last_tokens.unsqueeze(1), repeated)

    def extend(self, prefixes: Prefixes, rows: Tensor, tokens: Tensor) -> Prefixes:
        """The prefixes in `rows` (N,), each extended by one of `tokens` (N,).

        Every row of the result belongs to the same utterance as before, so `rows` must choose it
        from the rows of that utterance.
        """
        chosen = Prefixes(
            ends_in_character=prefixes.ends_in_character[rows],
            ends_in_blank=prefixes.ends_in_blank[rows],
            last_tokens=prefixes.last_tokens[rows],
        )
        token_scores = self._frame_scores(tokens)
        blank_scores = self._frame_scores(torch.full_like(tokens, self.blank))
        entering = self._entering_scores(chosen, tokens) + token_scores
        characters = [entering[:, 0]]
        blanks = [torch.full_like(entering[:, 0], -torch.inf)]
        for frame in range(1, entering.shape[1]):
            blanks.append(torch.logaddexp(blanks[-1], characters[-1]) + blank_scores[:, frame])
            staying = characters[-1] + token_scores[:, frame]
            characters.append(torch.logaddexp(staying, entering[:, frame]))
        return Prefixes(torch.stack(characters, 1), torch.stack(blanks, 1), tokens)

    def _entering_scores(self, prefixes: Prefixes, tokens: Tensor) -> Tensor:
        """Log-probability that the frames before each frame write the prefix (N, S).

        Only by paths that one of `tokens` (N,) may follow: if it repeats the last character of its
        prefix, the paths that end in a blank.
        """
        repeats = (tokens == prefixes.last_tokens).unsqueeze(1)
        all_paths = torch.logaddexp(prefixes.ends_in_character, prefixes.ends_in_blank)
        paths = torch.where(repeats, prefixes.ends_in_blank, all_paths)
        empty = prefixes.last_tokens == self.blank
        first = torch.where(empty, 0.0, -torch.inf).to(paths.dtype)  # before the first frame
        return torch.cat((first.unsqueeze(1), paths[:, :-1]), dim=1)

    def _frame_scores(self, tokens: Tensor) -> Tensor:
        """The score of one token for each prefix at every frame (N, S)."""
        return self.scores[self.utterance, :, tokens]
