"""CTC prefix scores, compared with the sum over all paths."""

import itertools

import torch

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
