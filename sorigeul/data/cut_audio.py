"""Loading the audio of a cut, from a file or from a tar archive."""

import zlib
from pathlib import Path

from lhotse import MonoCut

from sorigeul.data.manifests import audio_source
from sorigeul.sound import audio
from sorigeul.sound.audio import AudioError, Samples


def load_cut_audio(cut: MonoCut) -> Samples:
    """The recording of a cut, float32 (N,) at 16 kHz. Raises AudioError if it cannot be read."""
    source = audio_source(cut)
    if source.type == "shar":
        content = _read_archive_member(cut, source.source)
        return audio.load(content, f"{cut.id} in {source.source}").samples
    try:
        return audio.load(source.source).samples
    except AudioError as error:
        if Path(source.source).exists():
            raise
        raise AudioError(
            f"{error}; if the recordings have moved, name their folder with --audio_root"
        ) from error


def _read_archive_member(cut: MonoCut, archive: str) -> bytes:
    """The bytes of a recording in a tar archive, read directly at the offset in the manifest."""
    member = cut.custom["member"]
    try:
        with open(archive, "rb") as file:
            file.seek(member["offset"])
            content = file.read(member["size"])
    except OSError as error:
        raise AudioError(f"{cut.id} in {archive}: cannot be opened ({error.strerror})") from error
    if zlib.crc32(content) != member["crc32"]:
        raise AudioError(
            f"{cut.id} in {archive}: damaged, its checksum differs; copy the archive again, or "
            "remove it and give 'sorigeul prepare' once more"
        )
    return content
