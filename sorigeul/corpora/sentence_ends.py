"""Whether the transcripts of a corpus agree on punctuation. Knows nothing of files and splits."""

from dataclasses import dataclass

from sorigeul.text.punctuation import ends_with_full_stop

_MIXED_SHARE = 0.1  # of the transcripts; fewer are slips
_FEWEST = 10  # transcripts; fewer are too few to tell


@dataclass
class SentenceEnds:
    """How many transcripts end with a full stop, and how many with a word.

    Those that end with another sign, such as a question mark, tell nothing: there are corpora that
    have these and no full stops.
    """

    full_stop: int = 0
    word: int = 0

    def add(self, text: str) -> None:
        """Count a normalised transcript."""
        has_full_stop = ends_with_full_stop(text)
        if has_full_stop is not None:
            self.full_stop += has_full_stop
            self.word += not has_full_stop

    @property
    def mixed(self) -> bool:
        """Whether many have a full stop, and many have none."""
        rarer = min(self.full_stop, self.word)
        return rarer >= _FEWEST and rarer > _MIXED_SHARE * (self.full_stop + self.word)
