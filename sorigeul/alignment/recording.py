"""One recording and its text: what of the text is spoken, when, and in which utterances."""

from collections.abc import Iterable
from dataclasses import dataclass

from sorigeul.alignment.blocks import find_blocks
from sorigeul.alignment.options import AlignOptions
from sorigeul.alignment.script import Script
from sorigeul.alignment.speech import hear
from sorigeul.alignment.utterances import AlignedUtterance, choose_utterances
from sorigeul.alignment.word_alignment import align_words
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.sound.audio import Samples


@dataclass(frozen=True)
class Alignment:
    """What was found in a recording."""

    name: str
    seconds: float
    characters: int
    """of its text, without spaces"""
    utterances: list[AlignedUtterance]

    def summary(self, min_score: float) -> str:
        """How much of the recording and of its text is in utterances with this score."""
        kept = [one for one in self.utterances if one.is_good(min_score)]
        long = sum(one.too_long for one in self.utterances)
        seconds = sum(one.end - one.start for one in kept)
        share = sum(_characters(one.text) for one in kept) / self.characters
        return (
            f"{self.name}: {len(kept):,} utterances, {seconds / 60:.1f} of "
            f"{self.seconds / 60:.1f} minutes, {share:.0%} of the text; "
            f"{len(self.utterances) - len(kept) - long:,} left out for their scores"
            + (f", {long:,} longer than max_seconds" if long else "")
        )


def align_recording(
    recognizer: Recognizer,
    name: str,
    blocks: Iterable[Samples],
    script: Script,
    options: AlignOptions,
) -> Alignment:
    """Align a recording, given in blocks of samples (n,) at 16 kHz, with its text.

    The model must have a CTC head.
    """
    heard = hear(recognizer, blocks, script)
    spoken = align_words(script, heard, find_blocks(script, heard))
    utterances = choose_utterances(script, heard, spoken, options.max_seconds, options.lines)
    characters = sum(_characters(word.text) for word in script.words)
    return Alignment(name, heard.seconds, characters, utterances)


def _characters(text: str) -> int:
    return len(text.replace(" ", ""))
