"""Measures what `--terms` is worth: rare words found, and what it costs the other words.

    python benchmarks/terms.py RUN DATA [--lm LM] [--weight 0.75 --weight 1.5 --weight 3]

The terms are twenty words of dev that train does not have, not even within another word: of at
least three syllables, all in the model's characters, the most frequent in dev first, and equally
frequent ones by their SHA-256. So nobody chooses them. Searched are all utterances of dev that hold
a term, and as many that hold none, by the SHA-256 of their ids. All searches start from the same
output of the listener. Prints a table in Markdown.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from lhotse import CutSet
from rapidfuzz.distance import Levenshtein

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.sampling import evaluation_batches
from sorigeul.evaluation.encoded_corpus import EncodedCorpus
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.search.options import SearchRequest
from sorigeul.search.terms import Terms
from sorigeul.text.vocabulary import Vocabulary

COUNT = 20
WORD = re.compile("[가-힣]{3,}")
HEAD = (
    "| weight | terms found | terms that nobody said | other words wrong, beside terms (%) "
    "| words wrong, without terms (%) |\n| ---: | ---: | ---: | ---: | ---: |"
)


@dataclass(frozen=True)
class TermCounts:
    """What was recognised of the terms and of all other words, added up over utterances."""

    spoken: int = 0
    """terms in the references"""
    found: int = 0
    """of these, terms in the texts"""
    unspoken: int = 0
    """terms in the texts that are not in the references"""
    others: int = 0
    """words of the references that are no terms"""
    errors: int = 0
    """of these, words that are wrong or missing; and words that were put in"""

    def __add__(self, other: "TermCounts") -> "TermCounts":
        """Both together."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return TermCounts(*(one + two for one, two in pairs))

    @property
    def error_rate(self) -> float:
        """Of the other words, in percent."""
        return 100 * self.errors / max(self.others, 1)


def digest(text: str) -> str:
    """SHA-256, for an order that nobody has chosen."""
    return sha256(text.encode()).hexdigest()


def rare_words(
    train: Sequence[str], dev: Sequence[str], vocabulary: Vocabulary, count: int = COUNT
) -> list[str]:
    """Words of dev that train does not have, as the docstring of this file has it."""
    heard = "\n".join(text.replace(" ", "") for text in train)
    words = Counter(word for text in dev for word in text.split())
    rare = [
        word
        for word in words
        if WORD.fullmatch(word) and word not in heard and not vocabulary.unknown(word)
    ]
    return sorted(rare, key=lambda word: (-words[word], digest(word)))[:count]


def count_terms(terms: Sequence[str], reference: str, hypothesis: str) -> TermCounts:
    """Compare a text with its reference. A term counts as found however it is spaced."""
    spoken, written = reference.replace(" ", ""), hypothesis.replace(" ", "")
    pairs = [(spoken.count(term), written.count(term)) for term in terms]
    words = reference.split()
    is_term = [any(term in word for term in terms) for word in words]
    wrong = [
        edit
        for edit in Levenshtein.editops(words, hypothesis.split())
        if edit.tag == "insert" or not is_term[edit.src_pos]
    ]
    return TermCounts(
        spoken=sum(count for count, _ in pairs),
        found=sum(map(min, pairs)),
        unspoken=sum(max(0, there - count) for count, there in pairs),
        others=is_term.count(False),
        errors=len(wrong),
    )


def table_row(name: str, terms: Sequence[str], texts: Sequence[tuple[str, str]]) -> str:
    """The line of a search, from references and texts."""
    spaceless = [reference.replace(" ", "") for reference, _ in texts]
    with_terms, without = TermCounts(), TermCounts()
    for (reference, hypothesis), plain in zip(texts, spaceless, strict=True):
        counts = count_terms(terms, reference, hypothesis)
        if any(term in plain for term in terms):
            with_terms += counts
        else:
            without += counts
    both = with_terms + without
    return (
        f"| {name} | {both.found} of {both.spoken} | {both.unspoken} "
        f"| {with_terms.error_rate:.1f} | {without.error_rate:.1f} |"
    )


def chosen_cuts(cuts: CutSet, terms: Sequence[str]) -> CutSet:
    """The utterances that hold a term, and as many that hold none."""
    holding, others = [], []
    for cut in cuts:
        text = manifests.transcript(cut).replace(" ", "")
        (holding if any(term in text for term in terms) else others).append(cut)
    others.sort(key=lambda cut: digest(cut.id))
    return CutSet.from_cuts([*holding, *others[: len(holding)]])


def measure(arguments: argparse.Namespace) -> None:
    """Choose the terms, search without and with them, and print the table."""
    request = SearchRequest(lm=tuple(arguments.lm))
    recognizer = Recognizer.from_pretrained(arguments.run, request=request)
    vocabulary = recognizer.pretrained.vocabulary
    dev = manifests.required_manifest(arguments.data, "dev")
    train = manifests.required_manifest(arguments.data, "train")
    train_texts, dev_texts = ([manifests.transcript(c) for c in cuts] for cuts in (train, dev))
    terms = rare_words(train_texts, dev_texts, vocabulary)
    if not terms:
        raise UserError(f"{arguments.data}: dev has no word that train does not have")
    corpus = EncodedCorpus.encode(
        recognizer, list(evaluation_batches(chosen_cuts(dev, terms), vocabulary))
    )
    corpus.refuse_failures()
    print(f"{len(corpus.pairs)} utterances; terms: {', '.join(terms)}\n\n{HEAD}")
    automaton = Terms.from_terms([(term, 1.0) for term in terms], vocabulary)
    for weight in (0.0, *arguments.weight):
        search = replace(
            recognizer.search,
            options=replace(recognizer.setup.options, term_weight=weight),
            terms=automaton if weight else None,
        )
        found = corpus.search(recognizer, search, f"weight {weight}")
        texts = [vocabulary.decode(ranked[0].tokens) for ranked in found]
        pairs = list(zip(corpus.references, texts, strict=True))
        print(table_row(f"{weight:g}" if weight else "no terms", terms, pairs), flush=True)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    parser.add_argument("--lm", action="append", default=[])
    parser.add_argument("--weight", action="append", type=float)
    arguments = parser.parse_args()
    arguments.weight = arguments.weight or [0.75, 1.5, 3.0]
    try:
        measure(arguments)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
