"""Reads the recording of an utterance: a file or a file in a zip file, as a whole or a part."""

from sorigeul.corpora.utterances import Utterance
from sorigeul.sound import audio
from sorigeul.sound.archive_members import read_zipped
from sorigeul.sound.audio import Recording, Source


def load_recording(utterance: Utterance) -> Recording:
    """Return what the utterance is of its recording. Raises AudioError if it cannot be decoded."""
    source, name = _source(utterance)
    if utterance.start is None or utterance.end is None:
        return audio.load(source, name)
    return audio.load_part(source, utterance.start, utterance.end - utterance.start, name)


def probe_recording(utterance: Utterance) -> float:
    """Return the length of the whole recording in seconds, as `probe` does."""
    return audio.probe(*_source(utterance))


def _source(utterance: Utterance) -> tuple[Source, str]:
    name = utterance.recording_name
    if utterance.member is None:
        return utterance.audio, name
    return read_zipped(utterance.audio, utterance.member, name), name
