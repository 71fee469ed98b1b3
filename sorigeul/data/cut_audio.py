"""Loading the audio of a cut, from a file or from a tar archive."""

import os
import zlib
from typing import Any

from lhotse import MonoCut

from sorigeul.data.manifests import CutPart, audio_source, part_of
from sorigeul.sound import audio
from sorigeul.sound.audio import AudioError, AudioOptions, Samples, Source


def load_cut_audio(cut: MonoCut) -> Samples:
    """The samples of a cut, float32 (N,) at 16 kHz. Raises AudioError if they cannot be read."""
    source = audio_source(cut)
    member = (cut.custom or {}).get("member")
    return load_samples(cut.id, source.source, source.type == "shar", member, part_of(cut))


def load_samples(
    id_: str, path: str, in_archive: bool, member: dict[str, Any] | None, part: CutPart | None
) -> Samples:
    """The samples of a recording (N,), or of a part of it.

    ``path`` is its file, or the archive with its bytes at the position ``member``. Raises
    AudioError if they cannot be read.
    """
    if in_archive:
        return _load(_read_archive_member(id_, path, member), f"{id_} in {path}", part)
    try:
        return _load(path, None, part)
    except AudioError as error:
        if os.path.exists(path):  # Path.exists raises if the path is too long
            raise
        raise AudioError(
            f"{error}; if the recordings have moved, name their folder with --audio_root"
        ) from error


def _load(source: Source, name: str | None, part: CutPart | None) -> Samples:
    if part is None:
        return audio.load(source, name).samples
    options = AudioOptions(part.channel or "auto")
    if part.seconds is None:
        return audio.load(source, name, options).samples
    return audio.load_part(source, part.start, part.seconds, name, options).samples


def _read_archive_member(id_: str, archive: str, member: dict[str, Any] | None) -> bytes:
    """The bytes of a recording in a tar archive, read directly at the offset in the manifest."""
    if member is None:
        raise AudioError(
            f"{id_} in {archive}: the manifest does not say where in the archive it is; make the "
            "archives with 'sorigeul prepare --shards'"
        )
    try:
        with open(archive, "rb") as file:
            file.seek(member["offset"])
            content = file.read(member["size"])
    except OSError as error:
        raise AudioError(f"{id_} in {archive}: cannot be opened ({error.strerror})") from error
    if zlib.crc32(content) != member["crc32"]:
        raise AudioError(
            f"{id_} in {archive}: damaged, its checksum differs; copy the archive again, or "
            "remove it and give 'sorigeul prepare' once more"
        )
    return content
