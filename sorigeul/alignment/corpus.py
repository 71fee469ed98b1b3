"""`sorigeul align`: from long recordings and their texts to a prepared corpus.

Reads top to bottom: find the recordings, align each one, write its utterances, prepare a corpus of
them all. What was found in a recording is kept, so that an interrupted call goes on from there.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sorigeul.alignment.options import AlignOptions
from sorigeul.alignment.pairs import Pair, find_pairs
from sorigeul.alignment.recording import Alignment, align_recording
from sorigeul.alignment.script import Script
from sorigeul.alignment.utterances import AlignedUtterance
from sorigeul.base import plots
from sorigeul.base.errors import UserError
from sorigeul.base.locks import locked_folder
from sorigeul.base.printable import printable
from sorigeul.base.progress import progress_bar
from sorigeul.base.records import build
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.cut_corpus import CutCorpus, file_version, piece_path, write_piece
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.report import Report
from sorigeul.recognition.fingerprints import model_fingerprint
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples
from sorigeul.text.file_encoding import decode_text
from sorigeul.text.normalization import TranscriptError, normalizer

log = logging.getLogger(__name__)

TABLE, ALL, PLOT = "utterances.tsv", "alignment.tsv", "alignment.png"
_VERSION = 1  # increases whenever the same recording would be cut in another way
_HEADER = ("audio", "text", "speaker", "recording", "start", "end", "score")


def align(
    run: str,
    recordings: Path,
    texts: Path,
    out: Path,
    options: AlignOptions,
    preparation: PrepareOptions,
) -> Report:
    """Cut a recording, or each one in a folder, into utterances; prepare a corpus of them in `out`.

    `texts` is the text file of the recording, or a folder of text files that have the names of the
    recordings. `preparation`: how the corpus is prepared. Raises UserError if something cannot be
    used, if no text fits its recording, and, after everything else, for recordings that could not
    be read.
    """
    pairs, unreadable = find_pairs(recordings, texts, out / "audio")
    files = CutCorpus(out, TABLE, ALL, PLOT, ".alignment", _HEADER)
    inputs = [path for pair in pairs for path in (pair.recording, pair.text)]
    files.refuse_unusable_places(inputs, (pair.name for pair in pairs), preparation.overwrite)
    recognizer = Recognizer.from_pretrained(run)
    _refuse_models_that_cannot_align(run, recognizer)
    model = model_fingerprint(recognizer.pretrained)
    # All texts first: hearing takes long, and a text that cannot be used would end it.
    scripts = [_read_script(recognizer, pair, options) for pair in pairs]
    alignments: list[Alignment] = []
    with locked_folder(out):
        for pair, script in zip(pairs, scripts, strict=True):
            try:
                key = _key(model, pair, script, options)
                alignment = _alignment(files.known(pair.name, key))
                if alignment is None:
                    alignment = _align(recognizer, pair, script, options)
                    _write_audio(pair.recording, out, alignment)
                elif not all(path.is_file() for path in _piece_paths(out, alignment)):
                    _write_audio(pair.recording, out, alignment)
            except AudioError as error:
                log.warning("%s", error)
                continue
            files.remember(pair.name, key, asdict(alignment))
            log.info("%s", alignment.summary(options.min_score))
            alignments.append(alignment)
        scores = [one.score for alignment in alignments for one in alignment.utterances]
        fits = any(score >= options.min_score for score in scores)
        if fits:
            files.write_tables(_rows(alignments, options.min_score))
            marks = {"--min_score": options.min_score}
            plots.histogram(out / PLOT, "Utterances by score", "score", scores, marks)
    total = len(pairs) + unreadable
    if not alignments:
        raise UserError(f"none of the {total} recordings of {recordings} could be read")
    if not fits:
        raise UserError(
            f"{texts} does not fit {recordings}: no utterance has a score of {options.min_score}; "
            "are they of each other, and is the model good enough to align them?"
        )
    report = prepare(CORPORA["table"], out / TABLE, out, preparation)
    if failed := total - len(alignments):
        raise UserError(
            f"{failed} of {total} recordings could not be read, as said above; the corpus in "
            f"{out} has all the others"
        )
    return report


def _refuse_models_that_cannot_align(run: str, recognizer: Recognizer) -> None:
    if recognizer.is_export:
        raise UserError("align needs PyTorch: give the run that the export was made of")
    if recognizer.pretrained.model.config.ctc_weight <= 0:
        raise UserError(
            f"{run} has no CTC head, which finds words in time: use a model that was trained with "
            "ctc_weight above 0"
        )
    if recognizer.pretrained.features.input_reverse:
        raise UserError(
            f"{run} hears recordings from their end (input_reverse): use a model without that"
        )


def _read_script(recognizer: Recognizer, pair: Pair, options: AlignOptions) -> Script:
    """The text of a recording; UserError if it is malformed, or nothing of it can be heard."""
    lines = decode_text(pair.text.read_bytes(), str(pair.text)).splitlines()
    normalise = normalizer("plain", options.numbers)
    normalised: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            normalised.append(normalise(line))
        except TranscriptError as error:
            raise UserError(f"{pair.text}:{number}: {error}") from error
    script = Script.from_lines(normalised, recognizer.pretrained.vocabulary)
    if not script.tokens:
        raise UserError(f"{pair.text}: holds no text that the model knows the characters of")
    return script


def _align(recognizer: Recognizer, pair: Pair, script: Script, options: AlignOptions) -> Alignment:
    """Align one recording."""
    seconds = audio.probe(pair.recording)
    with (
        audio.open_stream(pair.recording) as stream,
        progress_bar("hearing", seconds, counted=False) as advance,
    ):
        note = printable(pair.name, keep="")
        return align_recording(
            recognizer,
            pair.name,
            (block[0] for block in stream),
            script,
            options,
            lambda heard_seconds: advance(heard_seconds, note),
        )


def _write_audio(recording: Path, out: Path, alignment: Alignment) -> None:
    """Write the utterances of a recording, in 16-bit FLAC at 16 kHz."""
    with audio.open_stream(recording) as stream:
        pieces = _pieces((block[0] for block in stream), alignment.utterances)
        for path, samples in zip(_piece_paths(out, alignment), pieces, strict=True):
            write_piece(path, samples)


def _piece_paths(out: Path, alignment: Alignment) -> list[Path]:
    return [out / piece_path(alignment.name, one.start, one.end) for one in alignment.utterances]


def _pieces(blocks: Iterable[Samples], utterances: Sequence[AlignedUtterance]) -> Iterator[Samples]:
    """The samples of utterances, which are in order, from those of their recording."""
    waiting = [(round(one.start * SAMPLE_RATE), round(one.end * SAMPLE_RATE)) for one in utterances]
    first, kept = 0, np.empty(0, np.float32)
    for block in blocks:
        kept = np.concatenate((kept, block))
        while waiting and waiting[0][1] <= first + len(kept):
            start, end = waiting.pop(0)
            yield kept[start - first : end - first]
        needed = waiting[0][0] if waiting else first + len(kept)
        if needed > first:
            kept, first = kept[needed - first :], min(needed, first + len(kept))
    for start, end in waiting:  # the last one may end with the recording
        yield kept[start - first : end - first]


def _rows(
    alignments: Sequence[Alignment], min_score: float
) -> Iterator[tuple[bool, Sequence[str]]]:
    """Whether an utterance has that score, and its row, in the order of `_HEADER`."""
    for alignment in alignments:
        for one in alignment.utterances:
            place = str(piece_path(alignment.name, one.start, one.end))
            times = f"{one.start:.3f}", f"{one.end:.3f}", f"{one.score:.2f}"
            yield one.score >= min_score, (place, one.text, alignment.name, alignment.name, *times)


def _key(model: str, pair: Pair, script: Script, options: AlignOptions) -> str:
    """Hash of everything that decides how a recording is cut."""
    cut = (options.max_seconds, options.lines, options.numbers)
    content = [_VERSION, model, cut, *file_version(pair.recording)]
    content += [(word.text, word.ends_line) for word in script.words]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _alignment(found: Any) -> Alignment | None:
    """What an earlier call found in a recording, from its JSON."""
    try:
        utterances = [build(AlignedUtterance, one) for one in found["utterances"]]
        return Alignment(**{**found, "utterances": utterances})
    except (KeyError, TypeError, ValueError):
        return None  # it is found anew
