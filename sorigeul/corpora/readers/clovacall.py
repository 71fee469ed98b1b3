"""ClovaCall (Ha et al. 2020): JSON lists of recordings and transcripts, in two versions."""

import json
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from sorigeul.base.errors import UserError
from sorigeul.corpora.json_text import to_json
from sorigeul.corpora.names import speaker_name
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import (
    Recordings,
    relative,
    source_folder,
    walk,
    without_audio,
)
from sorigeul.corpora.utterances import Layout, Rejected, Utterance
from sorigeul.text.file_encoding import read_text_file

LAYOUT = "clean/*.json or raw/*.json (lists of wav, text, speaker_id) and their .wav files"
PUBLISHED = {"train": {"utterances": 59_662}, "test": {"utterances": 1_084}}


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of the ``clean`` lists, or of the ``raw`` ones if there are no others.

    The lists with ``train`` and ``test`` in their names are the splits. Other JSON files are not
    read.
    """
    del out, options
    source = source_folder(source, LAYOUT)
    lists: dict[str, list[tuple[str, Path]]] = {}
    recordings_by_version: dict[str, list[tuple[Path, str]]] = {}
    for folder, names in walk(source):
        version = _version(folder, source)
        for name in names:
            split = next((split for split in PUBLISHED if split in name.lower()), None)
            if name.lower().endswith(".wav"):
                recordings_by_version.setdefault(version, []).append((folder, name))
            elif name.endswith(".json") and split:
                lists.setdefault(version, []).append((split, folder / name))
    versions = [version for version in ("clean", "raw", "") if version in lists]
    if not versions:
        raise UserError(f"{source}: not ClovaCall; it should hold {LAYOUT}")
    version = versions[0]
    notes = (f"there are raw lists too; only the {version} ones were read",) * (len(versions) - 1)
    yield Layout(f"{version or 'lists'}/*.json", PUBLISHED, notes)
    # Some copies keep the recordings beside the two folders instead of in them.
    files = recordings_by_version.get(version) or recordings_by_version.get("", [])
    recordings = Recordings(files, source)
    yield from recordings.rejected
    for split, path in lists[version]:
        yield from _read_list(path, source, split, recordings)
    yield from recordings.reject_untranscribed()


def _version(folder: Path, source: Path) -> str:
    """``clean``, ``raw`` or, outside of such folders, an empty string."""
    names = folder.relative_to(source.parent).parts
    return next((name for name in reversed(names) if name in ("clean", "raw")), "")


def _read_list(
    path: Path, source: Path, split: str, recordings: Recordings
) -> Iterator[Utterance | Rejected]:
    try:
        entries = json.loads(read_text_file(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if not isinstance(entries, list):
        raise UserError(f"{path}: not a list of wav, text, speaker_id")
    for number, entry in enumerate(entries, 1):
        where = f"{relative(path, source)}: entry {number}"
        try:
            name = PureWindowsPath(entry["wav"]).name  # accepts both kinds of slash
            text, speaker = entry["text"], speaker_name(entry["speaker_id"])
        except (TypeError, KeyError) as error:
            reason = f"entry without wav, text, speaker_id: {error}"
            yield Rejected(f"entry {number}", reason, where)
            continue
        if not isinstance(text, str):
            yield Rejected(Path(name).stem, f"the text is {to_json(text)} and no string", where)
            continue
        try:
            audio = recordings.find(name)
        except UserError as error:
            yield without_audio(Path(name).stem, error, where)
            continue
        yield Utterance(Path(name).stem, audio, text, speaker, split, where=where)
