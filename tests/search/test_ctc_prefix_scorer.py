"""CTC prefix scores, compared with the sum over all paths."""

import itertools

import torch
from torch.nn import functional

from sorigeul.search.ctc_prefix_scorer import PrefixScorer


def test_scores_are_sums_over_all_paths_of_the_complete_text_and_of_its_extensions() -> None:
    """All paths of five and four frames over two characters and the blank."""
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 3).double()
    lengths = torch.tensor([5, 4])
    scorer = PrefixScorer(logits, lengths, blank=2, width=1)
    frame_probabilities = logits.softmax(-1)
    for text in [(), (0,), (0, 0), (0, 1), (1, 1, 0)]:
        prefixes = scorer.empty_prefixes()
        for token in text:
            prefixes = scorer.extend(prefixes, torch.arange(2), torch.tensor([token, token]))
        extensions = torch.zeros(2, 2, dtype=torch.float64)
        complete = torch.zeros(2, dtype=torch.float64)
        for row, length in enumerate(lengths.tolist()):
            for path in itertools.product(range(3), repeat=length):
                path_text = tuple(unit for unit, _ in itertools.groupby(path) if unit != 2)
                probability = frame_probabilities[row, range(length), path].prod()
                complete[row] += probability * (path_text == text)
                for unit in (0, 1):
                    begins_so = path_text[: len(text) + 1] == (*text, unit)
                    extensions[row, unit] += probability * begins_so
        torch.testing.assert_close(scorer.complete_scores(prefixes).exp(), complete)
        torch.testing.assert_close(scorer.extension_scores(prefixes)[:, :2].exp(), extensions)


def test_a_long_text_scores_as_by_the_ctc_loss_of_pytorch() -> None:
    """400 and 300 frames of sharp scores, with characters that repeat: to twelve digits."""
    torch.manual_seed(1)
    logits = 20 * torch.randn(2, 400, 12, dtype=torch.float64)
    lengths = torch.tensor([400, 300])
    text = torch.randint(11, (60,)).repeat_interleave(2)
    scorer = PrefixScorer(logits, lengths, blank=11, width=3)
    prefixes = scorer.empty_prefixes()
    rows = torch.arange(6)
    for token in text.tolist():
        before = scorer.extension_scores(prefixes)[:, token]
        prefixes = scorer.extend(prefixes, rows, torch.full((6,), token))
        assert (scorer.complete_scores(prefixes) <= before + 1e-9).all()
    expected = -functional.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1),
        text.expand(2, -1),
        lengths,
        torch.tensor([120, 120]),
        blank=11,
        reduction="none",
    )
    found = scorer.complete_scores(prefixes)
    torch.testing.assert_close(found, expected.repeat_interleave(3), rtol=1e-12, atol=0)
