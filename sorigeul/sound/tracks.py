"""Chooses one of several audio tracks of a video."""

from collections.abc import Sequence

from av.audio.stream import AudioStream
from av.stream import Disposition

from sorigeul.sound.source import AudioError

# Language codes of two letters and of three (ISO 639-1, 639-2), which containers use alike.
_SAME_LANGUAGE = (
    {"ko", "kor"},
    {"en", "eng"},
    {"ja", "jpn"},
    {"zh", "zho", "chi"},
    {"de", "deu", "ger"},
    {"fr", "fra", "fre"},
    {"es", "spa"},
    {"ru", "rus"},
    {"vi", "vie"},
    {"th", "tha"},
    {"id", "ind"},
)
_FOR_FEW = Disposition.comment | Disposition.visual_impaired | Disposition.descriptions


def choose_track(tracks: Sequence[AudioStream], track: str, name: str) -> int:
    """Return the index of the track to decode.

    ``track``: a number from 1, a language, or "" for the Korean track, else the default one, else
    the first. Commentary and audio description come last. Raises AudioError if there is none.
    """
    if track.isdecimal():  # compared as a float, since `int` fails on thousands of digits
        found = [int(track) - 1] if 1 <= float(track) <= len(tracks) else []
    elif track:
        found = [i for i, one in enumerate(tracks) if _speaks(one, track)]
    else:
        found = [i for i, one in enumerate(tracks) if _speaks(one, "ko")] or list(
            range(len(tracks))
        )
    if not found:
        there = ", ".join(f"{i} {describe(one)}" for i, one in enumerate(tracks, 1))
        raise AudioError(f"{name}: has no track {track}; it has {there}")
    return min(found, key=lambda i: (_is_for_few(tracks[i]), not _is_default(tracks[i]), i))


def describe(track: AudioStream) -> str:
    """Language and title of a track, in brackets."""
    title = track.metadata.get("title", "")
    return f"({', '.join(part for part in (track.language or 'no language', title) if part)})"


def _speaks(track: AudioStream, language: str) -> bool:
    spoken, asked = ((code or "").lower().split("-")[0] for code in (track.language, language))
    return spoken == asked or any({spoken, asked} <= codes for codes in _SAME_LANGUAGE)


def _is_default(track: AudioStream) -> bool:
    return bool(track.disposition & Disposition.default)


def _is_for_few(track: AudioStream) -> bool:
    return bool(track.disposition & _FOR_FEW)
