"""Sets of AI Hub with JSON labels beside WAV or PCM, in folders or zip files, by a description."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sorigeul.base.errors import UserError
from sorigeul.corpora.label_layouts import HiddenWordsError, LabelLayout, find_layout
from sorigeul.corpora.labels import LabelEntry, UnusableEntry, label_entries
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import source_folder, without_audio
from sorigeul.corpora.readers.source_files import (
    AUDIO_SUFFIXES,
    FileIndex,
    SourceFile,
    source_files,
)
from sorigeul.corpora.split_names import SplitNames
from sorigeul.corpora.utterances import Layout, Rejected, Utterance
from sorigeul.text.file_encoding import decode_text

LAYOUT = "JSON labels and their recordings, in folders or zip files"


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of every label.

    A folder or zip file called Training or Validation, and so on, tells the split.
    """
    source = source_folder(source, LAYOUT)
    layout = find_layout(options.layout)
    if options.text and not layout.dual:
        raise UserError(
            f"text {options.text}: the layout {layout.name} has no dual transcriptions to choose a "
            "side of: leave it out"
        )
    notes = (f"not verified: {layout.unverified}",) if layout.unverified else ()
    yield Layout(f"{layout.name}: {layout.about or LAYOUT}", notes=notes)
    labels: list[SourceFile] = []
    recordings: list[SourceFile] = []
    texts: list[SourceFile] = []
    for file in source_files(source, out):
        if isinstance(file, Rejected):
            yield file
        elif file.suffix == ".json":
            labels.append(file)
        elif file.suffix in AUDIO_SUFFIXES:
            recordings.append(file)
        elif file.suffix == ".txt" and layout.text_file:
            texts.append(file)
    if not labels:
        raise UserError(f"{source}: no .json label in it; it should hold {LAYOUT}")
    corpus = _LabelledCorpus(layout, FileIndex(recordings), FileIndex(texts), SplitNames())
    for label in labels:
        yield from corpus.utterances_of(label)
    for recording in corpus.recordings.unused():
        yield Rejected(_id(recording), "audio without a label", recording.where)


def normalizer_name(options: PrepareOptions) -> str:
    """Return the normaliser of ETRI's marks, if the description says that the texts have them."""
    dual = find_layout(options.layout).dual
    return f"kspon-{options.text or 'pronunciation'}" if dual else "plain"


@dataclass
class _LabelledCorpus:
    """The files of a corpus and what is needed to make utterances of its labels."""

    layout: LabelLayout
    recordings: FileIndex
    texts: FileIndex
    splits: SplitNames

    def utterances_of(self, label: SourceFile) -> Iterator[Utterance | Rejected]:
        """Yield what a label says, or why it says nothing."""
        try:
            content = json.loads(decode_text(label.read(), label.where))
        except (UserError, ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, UserError) else f"not JSON ({error})"
            yield Rejected(label.where, reason, label.where)
            return
        entries = list(label_entries(content, self.layout))
        for entry in entries:
            where = label.where if len(entries) == 1 else f"{label.where}: entry {entry.number}"
            if isinstance(entry, UnusableEntry):
                yield Rejected(where, entry.reason, where)
            else:
                yield self._utterance(entry, label, where)

    def _utterance(self, entry: LabelEntry, label: SourceFile, where: str) -> Utterance | Rejected:
        try:
            recording = self.recordings.find(entry.audio or label.where, label)
            audio, member = recording.locate()
        except UserError as error:
            return without_audio(entry.audio or where, error, where)
        id_ = _id(recording)
        if entry.start is not None:
            id_ += f"#{entry.id or entry.number}"
        try:
            text = self._text(entry, label)
        except HiddenWordsError as mark:
            return Rejected(id_, f"the text leaves out what is said: {mark}", where)
        except UserError as error:
            return Rejected(id_, f"no text: {error}", where)
        speaker = entry.speaker
        if speaker is not None and self.layout.speakers == "label":
            speaker = f"{PurePosixPath(label.where).with_suffix('')}/{speaker}"
        return Utterance(
            id=id_,
            audio=audio,
            text=text,
            speaker=speaker,
            # The outermost folder or zip file with such a name tells.
            split=self.splits.split_of_names(PurePosixPath(label.folder).parts),
            where=where,
            start=entry.start,
            end=entry.end,
            member=member,
        )

    def _text(self, entry: LabelEntry, label: SourceFile) -> str:
        if entry.text is not None or entry.text_file is None:
            return entry.text or ""
        file = self.texts.find(entry.text_file, label)
        return self.layout.without_marks(decode_text(file.read(), file.where))


def _id(recording: SourceFile) -> str:
    return str(PurePosixPath(recording.where).with_suffix(""))
