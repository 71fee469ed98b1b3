"""`sorigeul align`: from long recordings and their texts to a prepared corpus.

Reads top to bottom: find the recordings, align each one, write its utterances, prepare a corpus of
them all. What was found in a recording is kept, so that an interrupted call goes on from there.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sorigeul.alignment.options import AlignOptions
from sorigeul.alignment.pairs import Pair, find_pairs
from sorigeul.alignment.recording import Alignment, align_recording
from sorigeul.alignment.script import Script
from sorigeul.alignment.utterances import AlignedUtterance
from sorigeul.base.errors import UserError
from sorigeul.base.locks import locked_folder
from sorigeul.base.records import build
from sorigeul.corpora.cut_corpus import CutCorpus, hearing, piece_path, write_piece
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.report import Report
from sorigeul.recognition.fingerprints import model_fingerprint
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.text.file_encoding import read_text_file
from sorigeul.text.normalization import TranscriptError, normalizer

log = logging.getLogger(__name__)

TABLE, ALL, PLOT = "utterances.tsv", "alignment.tsv", "alignment.png"
_VERSION = 2  # increases whenever the same recording would be cut in another way


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
    corpus = CutCorpus(out, TABLE, ALL, PLOT, ".alignment", ("score",))
    places = {pair.name: pair.recording for pair in pairs}
    inputs = [*places.values(), *(pair.text for pair in pairs)]
    corpus.refuse_unusable_places(inputs, places, preparation.overwrite)
    recognizer = Recognizer.from_pretrained(run, engine="torch")
    if recognizer.is_onnx:
        raise UserError("align needs PyTorch: give the run that the export was made of")
    recognizer.refuse_without_ctc_alignment(run)
    model = model_fingerprint(recognizer.pretrained)
    # All texts first: hearing takes long, and a text that cannot be used would end it.
    scripts = {pair.name: _read_script(recognizer, pair, options) for pair in pairs}

    def key(name: str) -> str:
        return _key(model, scripts[name], options)

    def find(name: str, recording: Path) -> Alignment:
        with hearing(recording, name) as blocks:
            alignment = align_recording(recognizer, name, blocks, scripts[name], options)
        _write_audio(recording, out, alignment)
        return alignment

    utterances: dict[str, Sequence[AlignedUtterance]] = {}
    with locked_folder(out):
        for name, alignment in corpus.cut(places, key, _restored, find):
            log.info("%s", alignment.summary(options.min_score))
            utterances[name] = alignment.utterances
        marks = {"--min_score": options.min_score}
        if not corpus.write(utterances, lambda one: one.is_good(options.min_score), marks):
            everything = [one for each in utterances.values() for one in each]
            raise UserError(_nothing_fits(recordings, texts, out, everything, options))
    return corpus.prepare(len(utterances), len(pairs) + unreadable, preparation)


def _nothing_fits(
    recordings: Path,
    texts: Path,
    out: Path,
    utterances: Sequence[AlignedUtterance],
    options: AlignOptions,
) -> str:
    """Why no utterance is good."""
    long = [one for one in utterances if one.too_long and one.score >= options.min_score]
    if long:
        longest = max(one.end - one.start for one in long)
        return (
            f"no utterance of {recordings} is left: {len(long):,} are longer than --max_seconds "
            f"{options.max_seconds:g}, up to {longest:.1f} s ({out / ALL} has them all): raise it"
            + (", or leave out --lines" if options.lines else "")
        )
    reason = "none of its words was heard there"
    if utterances:
        reason = f"no utterance has a score of {options.min_score:g} ({out / ALL} has them all)"
    return (
        f"{texts} does not fit {recordings}: {reason}; are they of each other, and is the model "
        "good enough to align them?"
    )


def _read_script(recognizer: Recognizer, pair: Pair, options: AlignOptions) -> Script:
    """The text of a recording; UserError if it is malformed, or nothing of it can be heard."""
    lines = read_text_file(pair.text).splitlines()
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


def _write_audio(recording: Path, out: Path, alignment: Alignment) -> None:
    """Write the utterances of a recording, in 16-bit FLAC at 16 kHz."""
    with audio.open_stream(recording) as stream:
        pieces = _pieces((block[0] for block in stream), alignment.utterances)
        for one, samples in zip(alignment.utterances, pieces, strict=True):
            write_piece(out / piece_path(alignment.name, one), samples)


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


def _key(model: str, script: Script, options: AlignOptions) -> str:
    """Everything that decides how a recording is cut, but the recording."""
    cut = (options.max_seconds, options.lines, options.numbers)
    words = [(word.text, word.ends_line) for word in script.words]
    return json.dumps([_VERSION, model, cut, words])


def _restored(found: Any) -> Alignment:
    """What an earlier call found in a recording, from its JSON."""
    utterances = [build(AlignedUtterance, one) for one in found["utterances"]]
    return build(Alignment, {**found, "utterances": utterances})
