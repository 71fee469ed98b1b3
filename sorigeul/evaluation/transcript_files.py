"""Files of texts by utterance, from any recogniser: TSV, JSON lines, sclite's trn, manifests."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.evaluation.scores import TextPair
from sorigeul.text.file_encoding import read_text_file
from sorigeul.text.normalization import TranscriptError, visible

log = logging.getLogger(__name__)

_TRN_LINE = re.compile(r"(.*?)\(([^()\s]+)\)\s*")
_TSV_HEADERS = ("id", "audio", "path", "file", "utterance")
_NAMED_IDS = 5


@dataclass(frozen=True)
class TranscriptFile:
    """The texts of a file, by the ids of their utterances."""

    path: Path
    texts: dict[str, str]
    speakers: dict[str, str]
    """the speakers of those utterances whose speaker the file tells"""
    normalizer: str
    """of the texts, if the file tells it, or unknown"""
    failures: dict[str, str]
    """utterances that could not be recognised, and the reason; their text is empty"""


def read_transcripts(path: Path, split: str = "test") -> TranscriptFile:
    r"""Read a file of texts; its first line decides what it is.

    JSON lines have `text`, and `id` or `audio`; what `transcribe --manifest` writes is such a file,
    and so is the manifest of a prepared corpus. TSV has `id<TAB>text`, with or without a header.
    trn, the format of NIST's sclite, has `text (id)`. For a folder of manifests, `split` chooses
    one. Characters that nobody sees are removed. Raises UserError for anything else, and for an id
    that occurs twice.
    """
    if path.is_dir():
        return _read_manifest(path, split)
    try:
        lines = read_text_file(path).split("\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    file = TranscriptFile(path, {}, {}, "unknown", {})
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise UserError(f"{path} holds no text: give a file with a line for each utterance")
    first = numbered[0][1]
    if first.startswith("{"):
        return _read_json_lines(file, numbered)
    read_lines = _read_tsv if "\t" in first else _read_trn
    for number, id_, text in read_lines(path, numbered):
        _add(file, f"{path}:{number}", id_, text)
    return file


def _add(file: TranscriptFile, place: str, id_: str, text: str, speaker: str = "") -> None:
    if id_ in file.texts:
        raise UserError(f"{place} has the id {id_} again: leave one of them out")
    try:
        file.texts[id_] = visible(text)
    except TranscriptError as error:
        raise UserError(f"{place} is no text ({error}): correct the line") from error
    if speaker:
        file.speakers[id_] = speaker


def _read_manifest(folder: Path, split: str) -> TranscriptFile:
    from sorigeul.data import manifests  # not above: it loads torch, which no other format needs

    cuts = manifests.required_manifest(folder, split)
    file = TranscriptFile(folder, {}, {}, manifests.normalizer(cuts), {})
    for cut in cuts:
        place, text = f"{folder}, {split},", manifests.transcript(cut)
        _add(file, place, cut.id, text, manifests.speaker(cut))
    return file


def _read_tsv(path: Path, lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    has_header = lines[0][1].lower().split("\t")[0].strip() in _TSV_HEADERS
    for number, line in lines[has_header:]:
        id_, tab, text = line.partition("\t")
        if not tab or not id_.strip():
            raise UserError(f"{path}:{number} is no line of id<TAB>text, as the first line is")
        if "\t" in text:
            raise UserError(f"{path}:{number} has more than two columns: leave id<TAB>text")
        yield number, id_.strip(), text


def _read_trn(path: Path, lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    for number, line in lines:
        if line.startswith(";;"):  # a comment
            continue
        match = _TRN_LINE.fullmatch(line)
        if match is None:
            raise UserError(
                f"{path}:{number} is neither id<TAB>text nor JSON nor 'text (id)': write one of "
                "them"
            )
        yield number, match[2], match[1].strip()


def _read_json_lines(file: TranscriptFile, lines: Sequence[tuple[int, str]]) -> TranscriptFile:
    normalizers = set()
    for number, line in lines:
        try:
            fields = json.loads(line)
            is_cut = "supervisions" in fields
            spoken: dict[str, Any] = fields["supervisions"][0] if is_cut else fields
            id_ = str(fields["id"] if "id" in fields else fields["audio"])
            text = spoken.get("text")
            if "error" in fields:
                file.failures[id_] = str(fields["error"])
                text = ""
            if not isinstance(text, str):
                raise TypeError
            normalizers.add(str((spoken.get("custom") or {}).get("normalizer", "unknown")))
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f'{file.path}:{number} is no JSON with "id" or "audio" and "text": correct the line'
            ) from error
        _add(file, f"{file.path}:{number}", id_, text, str(spoken.get("speaker") or ""))
    normalizer = normalizers.pop() if len(normalizers) == 1 else "unknown"
    return TranscriptFile(file.path, file.texts, file.speakers, normalizer, file.failures)


@dataclass(frozen=True)
class MatchedTranscripts:
    """Hypotheses beside the references of the same ids."""

    pairs: list[TextPair]
    """of every reference, in the order of the references"""
    missing: list[str]
    """ids without a hypothesis, which counts as empty"""
    without_reference: list[str]
    """ids of hypotheses that could not be scored"""
    failures: dict[str, str]
    """ids of hypotheses that could not be recognised and so are empty, and the reason"""


def match_transcripts(references: TranscriptFile, hypotheses: TranscriptFile) -> MatchedTranscripts:
    """Join two files by id; what is on one side only is logged, and listed.

    Raises UserError if no id is in both.
    """
    missing = [id_ for id_ in references.texts if id_ not in hypotheses.texts]
    without_reference = [id_ for id_ in hypotheses.texts if id_ not in references.texts]
    if len(missing) == len(references.texts):
        raise UserError(
            f"no id of {hypotheses.path} (such as {next(iter(hypotheses.texts), 'none')}) is in "
            f"{references.path} (such as {next(iter(references.texts))}): give both the same ids"
        )
    for ids, file, consequence in (
        (missing, hypotheses, "count as recognised as nothing: no line in"),
        (list(hypotheses.failures), hypotheses, "count as recognised as nothing: an error in"),
        (without_reference, references, "are not scored: no reference in"),
    ):
        if ids:
            shown = ", ".join(ids[:_NAMED_IDS]) + (", …" if len(ids) > _NAMED_IDS else "")
            log.warning("utterances that %s %s: %d (%s)", consequence, file.path, len(ids), shown)
    pairs = [
        TextPair(id_, text, hypotheses.texts.get(id_, ""), references.speakers.get(id_, ""))
        for id_, text in references.texts.items()
    ]
    return MatchedTranscripts(pairs, missing, without_reference, hypotheses.failures)
