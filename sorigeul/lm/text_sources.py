"""Where the text for language models comes from: text files, folders, and prepared corpora."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.progress import progress_bar
from sorigeul.data.manifests import lazy_cuts
from sorigeul.text.file_encoding import read_lines

_PROGRESS_EVERY = 1000  # lines


@dataclass(frozen=True)
class TextSource:
    """A text file, or a prepared corpus: a folder with the manifest `train.jsonl`."""

    path: Path
    is_corpus: bool = False

    @property
    def size(self) -> int:
        """Bytes of a file; 0 for a corpus."""
        return 0 if self.is_corpus else self.path.stat().st_size

    def lines(self) -> Iterator[tuple[str, int]]:
        """Each line of the file in NFC, with the bytes of the file up to its end.

        For a corpus its training transcripts, with 0.
        """
        if self.is_corpus:
            for text in _transcripts(self.path, "train"):
                yield text, 0
        else:
            yield from read_lines(self.path)


def find_sources(paths: Sequence[Path]) -> list[TextSource]:
    """Each text file and prepared corpus once; of any other folder, its `.txt` files at any depth.

    Raises UserError for a path that does not exist or a folder without text.
    """
    found: dict[str, TextSource] = {}
    for path in paths:
        for source in _found(path):
            found.setdefault(os.path.realpath(source.path), source)
    return list(found.values())


def all_lines(sources: Sequence[TextSource], title: str) -> Iterator[tuple[str, bool]]:
    """Each line of the sources, and whether it is a transcript; shows progress under `title`."""
    size = sum(source.size for source in sources)
    with progress_bar(title, size, counted=False) as advance:
        for source in sources:
            before, number = 0, 0
            for number, (line, position) in enumerate(source.lines()):
                if number % _PROGRESS_EVERY == 0:
                    advance(position - before, source.path.name)
                    before = position
                yield line, source.is_corpus
            advance(source.size - before, source.path.name)


def kept_out_transcripts(corpus: Path) -> Iterator[str]:
    """The transcripts of all splits of a prepared corpus but `train`: dev, test and the like.

    Raises UserError if the folder is no prepared corpus.
    """
    splits = _splits(corpus)
    if not splits:
        raise UserError(f"{corpus} is no prepared corpus: make one with 'sorigeul prepare'")
    for split in splits:
        if split != "train":
            yield from _transcripts(corpus, split)


def _found(path: Path) -> Iterator[TextSource]:
    if "train" in _splits(path):
        yield TextSource(path, is_corpus=True)
    elif path.is_dir():
        files = sorted(_text_files(path))
        if not files:
            raise UserError(f"{path} holds neither .txt files nor the manifests of a corpus")
        for file in files:
            yield TextSource(file)
    elif path.exists():
        yield TextSource(path)
    else:
        raise UserError(f"{path}: no such text file, folder or prepared corpus")


def _text_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(".txt") and not name.startswith("."):
                yield Path(place, name)


def _splits(folder: Path) -> list[str]:
    """The splits of a prepared corpus, by its manifests (or archives); none for other folders."""
    manifests = [*folder.glob("*.jsonl"), *folder.glob("*.shar")]
    return sorted({path.stem for path in manifests})


def _transcripts(corpus: Path, split: str) -> Iterator[str]:
    for _, text, _ in lazy_cuts(corpus / f"{split}.jsonl").transcripts():
        yield text
