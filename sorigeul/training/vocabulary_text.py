"""Syllables of a text that the training transcripts lack, and how much of a text can be written."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.lm.text_sources import all_lines, find_sources
from sorigeul.text.jamo import is_syllable
from sorigeul.text.vocabulary import Vocabulary

log = logging.getLogger(__name__)

_SHOWN = 20  # characters of a list


def with_syllables_of(text: Path, min_count: int, vocabulary: Vocabulary) -> Vocabulary:
    """`vocabulary` (of syllables), followed by the Hangul syllables of `text` that it lacks.

    Only those that occur `min_count` times or more, and whose letters (초성, 중성, 종성) are all
    letters of a syllable in `vocabulary`: nothing is known about the sound of another letter. The
    most frequent come first, ties by code point. The text is read line by line, so it may be larger
    than memory.

    Raises:
        UserError: if there is no such text, or no Hangul syllable in it.
    """
    counts = _syllable_counts(text)
    if not counts:
        raise UserError(f"{text} holds no Hangul syllable: vocabulary_text is Korean text in UTF-8")
    unknown = vocabulary.unknown_characters(counts)
    further = {unit: count for unit, count in unknown.items() if count >= min_count}
    spelt = dict(_that_can_be_spelt(further, vocabulary))
    log.info(
        "%s: of %d syllables that occur %d times or more, %d are not in train and are added",
        text,
        sum(count >= min_count for count in counts.values()),
        min_count,
        len(spelt),
    )
    if others := sorted(further.keys() - spelt.keys(), key=lambda unit: (-further[unit], unit)):
        log.info(
            "%d more have a letter that is in no syllable of train, and are left out: %s",
            len(others),
            " ".join(others[:_SHOWN]),
        )
    return vocabulary.extended(Vocabulary.from_characters(spelt)) if spelt else vocabulary


def _syllable_counts(text: Path) -> Counter[str]:
    characters: Counter[str] = Counter()
    for line, _ in all_lines(find_sources([text]), "vocabulary text"):
        characters.update(line)
    return Counter({one: count for one, count in characters.items() if is_syllable(one)})


def _that_can_be_spelt(
    syllables: Mapping[str, int], vocabulary: Vocabulary
) -> Iterator[tuple[str, int]]:
    letters = {letter for ids in vocabulary.jamo_ids() for letter in ids}
    for syllable, count in syllables.items():
        (ids, *_) = Vocabulary.from_characters({syllable: count}).jamo_ids()
        if letters.issuperset(ids):
            yield syllable, count


def describe_coverage(
    vocabulary: Vocabulary, seen: Vocabulary, splits: Mapping[str, Mapping[str, int]]
) -> str:
    """The size of a vocabulary, and the share of the characters of each split that it can write.

    It is that of the training transcripts (`seen`), or has the syllables of a text besides.
    `splits` are the characters of each split and how often each occurs; spaces do not count.
    """
    added = len(vocabulary) - len(seen)
    beyond = f", {added:,} of them from vocabulary_text" if added else ""
    parts = [f"{len(vocabulary):,} units ({vocabulary.kind}){beyond}"]
    if vocabulary.kind == "bpe":
        longer = sum(len(unit) > 1 for unit in vocabulary.units[:-3])
        parts[0] += f", {longer:,} of them of several characters"
    for name, characters in splits.items():
        counts = {one: count for one, count in characters.items() if not one.isspace()}
        total = sum(counts.values())
        missing = vocabulary.unknown_characters(counts)
        before = seen.unknown_characters(counts)
        part = f"{_covered(missing, total)} of the {total:,} characters of {name}"
        if added:
            part += f" ({_covered(before, total)} without them)"
        if missing:
            shown = sorted(missing, key=lambda one: (-missing[one], one))[:_SHOWN]
            part += f", not {' '.join(shown)}"
        parts.append(part)
    return "; ".join(parts)


def _covered(missing: Mapping[str, int], total: int) -> str:
    return f"{100 * (1 - sum(missing.values()) / max(total, 1)):.2f} %"
