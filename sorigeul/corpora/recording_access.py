"""Reads the recording of an utterance: a file or a file in a zip file, as a whole or a part."""

from sorigeul.corpora.utterances import Utterance
from sorigeul.sound import audio
from sorigeul.sound.archive_members import read_zipped
from sorigeul.sound.audio import PartReader, Recording, Source


class RecordingReader:
    """Reads recordings one after another.

    Of a long one that holds several utterances, each is decoded after the one before, so that the
    whole is decoded once.
    """

    def __init__(self) -> None:
        self._parts: PartReader | None = None
        """of the recording that was read last, if that was a part of it"""

    def load(self, utterance: Utterance) -> Recording:
        """Return what the utterance is of its recording; AudioError if it cannot be decoded."""
        if utterance.start is None or utterance.end is None:
            return audio.load(*_source(utterance))
        return self._parts_of(utterance).read(utterance.start, utterance.end - utterance.start)

    def probe(self, utterance: Utterance) -> float:
        """Return the length of the whole recording in seconds, as `audio.probe` does."""
        if utterance.is_part:
            return self._parts_of(utterance).duration
        return audio.probe(*_source(utterance))

    def _parts_of(self, utterance: Utterance) -> PartReader:
        if self._parts is None or self._parts.name != utterance.recording_name:
            self.close()
            self._parts = PartReader(*_source(utterance))
        return self._parts

    def close(self) -> None:
        """Close the recording that was read last."""
        if self._parts is not None:
            self._parts.close()


def _source(utterance: Utterance) -> tuple[Source, str]:
    name = utterance.recording_name
    if utterance.member is None:
        return utterance.audio, name
    return read_zipped(utterance.audio, utterance.member, name), name
