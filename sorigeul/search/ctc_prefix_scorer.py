"""CTC (Graves et al. 2006): where each character of a text lies, how probable a beginning is."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Prefixes:
    """Texts that a search has begun, and how probable CTC finds them frame by frame.

    Logarithms of the probability that the first t + 1 frames write exactly the text.
    """

    ending: Tensor
    """of paths that end in the text's last character (N, S)"""
    blank: Tensor
    """of paths that end in a blank (N, S)"""
    last: Tensor
    """last character (N,), the blank for an empty text"""


class PrefixScorer:
    """How probable CTC finds that a text begins in a way, for a search that writes it on.

    Hori, Watanabe and Hershey 2017, "Joint CTC/attention decoding", section 2.3; all characters
    that may follow are scored in one product of matrices. In float64, whose range long utterances
    need.

    Parameters
    ----------
    logits : (B, S, V) with valid frames `lengths` (B,)
    width : texts K that the search keeps for each utterance; N = B K, an utterance's texts in a row
    """

    def __init__(self, logits: Tensor, lengths: Tensor, blank: int, width: int) -> None:
        scores = logits.double().log_softmax(-1)
        past = torch.arange(scores.shape[1], device=scores.device) >= lengths.unsqueeze(1)
        silence = torch.full_like(scores[0, 0], -torch.inf)
        silence[blank] = 0.0  # past its end an utterance writes nothing more
        self.scores = torch.where(past.unsqueeze(2), silence, scores)
        self.probabilities = self.scores.exp()
        self.blank, self.width = blank, width
        self.utterance = torch.arange(len(scores), device=scores.device).repeat_interleave(width)

    def start(self) -> Prefixes:
        """Empty texts."""
        blank = self.scores[..., self.blank].cumsum(1)[self.utterance]
        return Prefixes(
            torch.full_like(blank, -torch.inf), blank, torch.full_like(self.utterance, self.blank)
        )

    def whole(self, prefixes: Prefixes) -> Tensor:
        """Logarithm of the probability that the utterances say the texts and no more (N,)."""
        return torch.logaddexp(prefixes.ending[:, -1], prefixes.blank[:, -1])

    def extensions(self, prefixes: Prefixes) -> Tensor:
        """Logarithm of the probability that the texts begin so and go on with each unit (N, V)."""
        before = self._before(prefixes, prefixes.last.new_full(prefixes.last.shape, -1))
        peak = before.max(1, keepdim=True).values.clamp_min(-1e300)
        weights = (before - peak).exp().view(-1, self.width, before.shape[1])
        found = (weights @ self.probabilities).log().flatten(0, 1) + peak
        # A character that is said twice needs a blank in between.
        again = self._before(prefixes, prefixes.last) + self._of(prefixes.last)
        return found.scatter(1, prefixes.last.unsqueeze(1), again.logsumexp(1, keepdim=True))

    def extend(self, prefixes: Prefixes, rows: Tensor, tokens: Tensor) -> Prefixes:
        """The texts `rows` (N,), of the same utterances, each followed by one of `tokens` (N,)."""
        chosen = Prefixes(prefixes.ending[rows], prefixes.blank[rows], prefixes.last[rows])
        entering = self._before(chosen, tokens) + self._of(tokens)
        stays, rests = self._of(tokens), self._of(torch.full_like(tokens, self.blank))
        ending, blank = [entering[:, 0]], [torch.full_like(entering[:, 0], -torch.inf)]
        for frame in range(1, entering.shape[1]):
            blank.append(torch.logaddexp(blank[-1], ending[-1]) + rests[:, frame])
            ending.append(torch.logaddexp(ending[-1] + stays[:, frame], entering[:, frame]))
        return Prefixes(torch.stack(ending, 1), torch.stack(blank, 1), tokens)

    def _before(self, prefixes: Prefixes, tokens: Tensor) -> Tensor:
        """Of the frames before each: that they write texts which tokens may follow (N, S)."""
        again = (tokens == prefixes.last).unsqueeze(1)
        all_paths = torch.logaddexp(prefixes.ending, prefixes.blank)
        paths = torch.where(again, prefixes.blank, all_paths)
        empty = prefixes.last == self.blank
        first = torch.where(empty, 0.0, -torch.inf).to(paths.dtype)
        return torch.cat((first.unsqueeze(1), paths[:, :-1]), dim=1)

    def _of(self, tokens: Tensor) -> Tensor:
        """The frames' scores of a unit each (N, S)."""
        return self.scores[self.utterance, :, tokens]
