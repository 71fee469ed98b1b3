"""The text of a recording as words, with what the model can hear of each. No times."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sorigeul.text.vocabulary import Vocabulary

_SENTENCE_END = re.compile(r"[.?!…][\"'”’)\]]*$")
_LETTER = re.compile(r"\w")


@dataclass(frozen=True)
class Word:
    """A word of the text."""

    text: str
    """as it is written into the corpus, normalised"""
    tokens: list[int]
    """the ids of its units that the model knows"""
    ends_line: bool = False
    ends_sentence: bool = False
    """whether a line or a sentence ends with it"""


@dataclass(frozen=True)
class Script:
    """The W words of a text."""

    words: Sequence[Word]
    space: list[int]
    """the ids that the model writes between two words: one, or none"""

    @classmethod
    def from_lines(cls, lines: Sequence[str], vocabulary: Vocabulary) -> "Script":
        """Split normalised lines into words.

        A sign by itself belongs to the word before it, or to the first word of its line. A line of
        signs alone says nothing, and is left out.
        """
        words: list[Word] = []
        for line in lines:
            signs = ""  # at the beginning of the line
            for text in line.split():
                tokens = vocabulary.encode(text)
                ends_sentence = bool(_SENTENCE_END.search(text))
                if _LETTER.search(text):
                    text, signs = signs + text, ""
                elif words and not words[-1].ends_line:
                    before = words.pop()
                    text, tokens = f"{before.text} {text}", before.tokens
                else:
                    signs += f"{text} "
                    continue
                words.append(Word(text, tokens, False, ends_sentence))
            if words:
                words[-1] = replace(words[-1], ends_line=True)
        # A word in units of several characters has the space before it.
        return cls(words, [] if vocabulary.kind == "bpe" else vocabulary.encode(" "))

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def token_words(self) -> list[int]:
        """The word that each token of the text belongs to."""
        return [i for i, word in enumerate(self.words) for _ in word.tokens]

    @cached_property
    def tokens(self) -> list[int]:
        """The tokens of all words, without spaces."""
        return [token for word in self.words for token in word.tokens]

    def text(self, first: int, end: int) -> str:
        """The text of the words from `first` to before `end`."""
        return " ".join(word.text for word in self.words[first:end])
