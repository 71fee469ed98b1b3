"""Loading the audio of a cut, from a file or from a tar or zip archive."""

import os
from typing import Any

from lhotse import MonoCut

from sorigeul.data.manifests import CutPart, audio_source, part_of
from sorigeul.sound import audio
from sorigeul.sound.archive_members import ArchiveMember, read_zipped
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

    ``path`` is its file, or the archive with its bytes at the place ``member``, the fields of
    `ArchiveMember`. Raises AudioError if they cannot be read.
    """
    if in_archive or member is not None:
        return _load(*read_archived(id_, path, member), part)
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


def read_archived(id_: str, archive: str, fields: dict[str, Any] | None) -> tuple[bytes, str]:
    """The bytes of a recording in an archive, and what messages call it.

    They are read directly at the offset that the manifest gives. Raises AudioError if they cannot
    be read, or are not those that were put there.
    """
    if fields is None:
        raise AudioError(
            f"{id_} in {archive}: the manifest does not say where in the archive it is; make the "
            "archives with 'sorigeul prepare --shards'"
        )
    member = ArchiveMember(**{"name": "", **fields})
    if member.name:  # of a zip file, as the corpus came
        name = f"{archive}/{member.name}"
        return read_zipped(archive, member, name), name
    name = f"{id_} in {archive}"
    remedy = "copy the archive again, or remove it and give 'sorigeul prepare' once more"
    return member.read(archive, name, remedy), name
