"""Reader for ClovaCall (Ha et al. 2020): JSON lists; recordings are found by name alone."""

import json
from collections.abc import Iterator
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import Recordings, folder, relative, walk
from sorigeul.corpora.utterances import Layout, Rejected, Utterance
from sorigeul.text.file_encoding import decode_text

LOOKED_FOR = "clean/*.json or raw/*.json (lists of wav, text, speaker_id) and their .wav files"
PUBLISHED = {"train": {"utterances": 59_662}, "test": {"utterances": 1_084}}


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of the ``clean`` lists, or of the ``raw`` ones where only they exist.

    The lists whose names hold ``train`` and ``test`` are the splits; other JSON files are no lists.
    """
    del out, options
    source = folder(source, LOOKED_FOR)
    lists: dict[str, list[tuple[str, Path]]] = {}
    audio: dict[str, list[tuple[Path, str]]] = {}
    for place, names in walk(source):
        version = _version(place, source)
        for name in names:
            split = next((s for s in ("train", "test") if s in name.lower()), None)
            if name.lower().endswith(".wav"):
                audio.setdefault(version, []).append((place, name))
            elif name.endswith(".json") and split:
                lists.setdefault(version, []).append((split, place / name))
    versions = [version for version in ("clean", "raw", "") if version in lists]
    if not versions:
        raise UserError(f"{source}: not ClovaCall; it should hold {LOOKED_FOR}")
    version = versions[0]
    notes = (f"there are raw lists too; only the {version} ones were read",) * (len(versions) - 1)
    yield Layout(f"{version or 'lists'}/*.json", PUBLISHED, notes)
    # Some copies keep the recordings beside the two folders and not in them.
    recordings = Recordings(audio.get(version) or audio.get("", []), source)
    yield from recordings.rejected
    for split, path in lists[version]:
        yield from _entries(path, source, split, recordings)
    yield from recordings.left()


def _version(place: Path, source: Path) -> str:
    parts = place.relative_to(source.parent).parts
    return next((part for part in reversed(parts) if part in ("clean", "raw")), "")


def _entries(
    path: Path, source: Path, split: str, recordings: Recordings
) -> Iterator[Utterance | Rejected]:
    shown = relative(path, source)
    try:
        entries = json.loads(decode_text(path.read_bytes(), str(path)))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if not isinstance(entries, list):
        raise UserError(f"{path}: not a list of wav, text, speaker_id")
    for number, entry in enumerate(entries, 1):
        where = f"{shown}: entry {number}"
        try:
            name, text, speaker = Path(entry["wav"]).name, str(entry["text"]), entry["speaker_id"]
        except (TypeError, KeyError) as error:
            yield Rejected(
                f"entry {number}", f"entry without wav, text, speaker_id: {error}", where
            )
            continue
        audio = recordings.take(name, path.parent / name)
        yield Utterance(Path(name).stem, audio, text, str(speaker), split, where=where)
