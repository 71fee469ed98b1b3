"""`sorigeul align`: from long recordings and their texts to a prepared corpus.

Reads top to bottom: find the recordings, align each one, write its utterances, prepare a corpus of
them all. What was found in a recording is kept, so that an interrupted call goes on from there.
"""

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile

from sorigeul.alignment.options import AlignOptions
from sorigeul.alignment.pairs import Pair, find_pairs
from sorigeul.alignment.recording import Alignment, align_recording
from sorigeul.alignment.script import Script
from sorigeul.alignment.utterances import AlignedUtterance
from sorigeul.base import plots
from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing, write_text
from sorigeul.base.locks import locked_folder
from sorigeul.base.outputs import PLOT as PLOT_BEGINS
from sorigeul.base.outputs import Output, refuse_overwriting
from sorigeul.base.printable import printable
from sorigeul.base.progress import progress_bar
from sorigeul.base.records import build
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.corpus_files import manifest_paths, refuse_archives, refuse_unusable_places
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.report import Report
from sorigeul.recognition.corpus_transcription import model_hash
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples
from sorigeul.text.file_encoding import decode_text
from sorigeul.text.normalization import TranscriptError, normalizer

log = logging.getLogger(__name__)

TABLE, ALL, PLOT = "utterances.tsv", "alignment.tsv", "alignment.png"
_AUDIO, _FOUND, _HASH = "audio", ".alignment", "table.sha256"
_VERSION = 1  # increases whenever the same recording would be cut in another way
_HEADER = ("audio", "text", "speaker", "recording", "start", "end", "score")
_HEADER_OF_ALL = ("kept", *_HEADER)


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
    pairs = find_pairs(recordings, texts, out / _AUDIO)
    _refuse_unusable_places(pairs, out, preparation.overwrite)
    recognizer = Recognizer.from_pretrained(run)
    _refuse_models_that_cannot_align(run, recognizer)
    model = model_hash(recognizer.pretrained)
    # All texts first: hearing takes long, and a text that cannot be used would end it.
    scripts = [_read_script(recognizer, pair, options) for pair in pairs]
    alignments: list[Alignment] = []
    with locked_folder(out):
        for pair, script in zip(pairs, scripts, strict=True):
            found = out / _FOUND / f"{pair.name}.json"
            key = _key(model, pair, script, options)
            try:
                alignment = _known(found, key)
                if alignment is None:
                    alignment = _align(recognizer, pair, script, options)
                    _write_audio(pair.recording, out, alignment)
                elif not all(
                    (out / _audio(alignment, one)).is_file() for one in alignment.utterances
                ):
                    _write_audio(pair.recording, out, alignment)
            except AudioError as error:
                log.warning("%s", error)
                continue
            _remember(found, key, alignment)
            log.info("%s", alignment.summary(options.min_score))
            alignments.append(alignment)
        scores = [one.score for alignment in alignments for one in alignment.utterances]
        fits = any(score >= options.min_score for score in scores)
        if fits:
            _write_tables(out, alignments, options.min_score)
            marks = {"--min_score": options.min_score}
            plots.histogram(out / PLOT, "Utterances by score", "score", scores, marks)
    if not alignments:
        raise UserError(f"none of the {len(pairs)} recordings of {recordings} could be read")
    if not fits:
        raise UserError(
            f"{texts} does not fit {recordings}: no utterance has a score of {options.min_score}; "
            "are they of each other, and is the model good enough to align them?"
        )
    report = prepare(CORPORA["table"], out / TABLE, out, preparation)
    if failed := len(pairs) - len(alignments):
        raise UserError(
            f"{failed} of {len(pairs)} recordings could not be read, as said above; the corpus in "
            f"{out} has all the others"
        )
    return report


def _refuse_unusable_places(pairs: Sequence[Pair], out: Path, overwrite: bool) -> None:
    """Raise UserError if something in `out` is in the way, of the corpus as of its tables."""
    inputs = [path for pair in pairs for path in (pair.recording, pair.text)]
    outputs = [
        Output(out / TABLE, "the table", "\t".join(_HEADER).encode()),
        Output(out / ALL, "the table of all utterances", "\t".join(_HEADER_OF_ALL).encode()),
        Output(out / PLOT, "the plot", PLOT_BEGINS),
    ]
    refuse_unusable_places(inputs, out, overwrite)
    refuse_archives(out)
    refuse_overwriting(outputs, inputs, overwrite)
    if not overwrite:
        _refuse_to_lose_another_corpus(out, {pair.name for pair in pairs})


def _refuse_to_lose_another_corpus(out: Path, names: set[str]) -> None:
    """Raise UserError if `out` holds a corpus of other recordings, or one corrected by hand."""
    table = out / TABLE
    if not table.is_file():
        if any(path.exists() for path in manifest_paths(out).values()):
            raise UserError(f"{out} holds another corpus: choose another place, or --overwrite")
        return
    content = table.read_bytes()
    written = out / _FOUND / _HASH
    if not written.is_file() or written.read_text() != hashlib.sha256(content).hexdigest():
        raise UserError(
            f"{table} has been changed since it was written: 'sorigeul prepare table' makes a "
            "corpus of it as it is; --overwrite writes it anew"
        )
    rows = content.decode("utf-8").splitlines()[1:]
    others = sorted({row.split("\t")[_HEADER.index("recording")] for row in rows} - names)
    if others:
        raise UserError(
            f"{out} holds the utterances of {others[0]}: choose another place, align both from one "
            "folder, or --overwrite"
        )


def _refuse_models_that_cannot_align(run: str, recognizer: Recognizer) -> None:
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
    (out / _AUDIO / alignment.name).mkdir(parents=True, exist_ok=True)
    paths = [out / _audio(alignment, one) for one in alignment.utterances]
    with audio.open_stream(recording) as stream:
        pieces = _pieces((block[0] for block in stream), alignment.utterances)
        for path, samples in zip(paths, pieces, strict=True):
            with replacing(path) as temporary:
                temporary.write_bytes(_encoded(samples))


def _encoded(samples: Samples) -> bytes:
    """In memory, since libsndfile says of a full disk only "System error", or nothing."""
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


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


def _audio(alignment: Alignment, one: AlignedUtterance) -> Path:
    """Where an utterance is, from the folder of the corpus.

    Its times in milliseconds are in its name, so that no other cut takes its place.
    """
    start, end = round(1000 * one.start), round(1000 * one.end)
    return Path(_AUDIO, alignment.name, f"{alignment.name}-{start:08}-{end:08}.flac")


def _write_tables(out: Path, alignments: Sequence[Alignment], min_score: float) -> None:
    """Write the table of the corpus, and one of all utterances, for whoever looks them through."""
    table, everything = [_HEADER], [_HEADER_OF_ALL]
    for alignment in alignments:
        for one in alignment.utterances:
            times = f"{one.start:.3f}", f"{one.end:.3f}", f"{one.score:.2f}"
            row = (str(_audio(alignment, one)), one.text, alignment.name, alignment.name, *times)
            is_kept = one.score >= min_score
            everything.append(("yes" if is_kept else "no", *row))
            if is_kept:
                table.append(row)
    table_text, all_text = (
        "".join("\t".join(row) + "\n" for row in rows) for rows in (table, everything)
    )
    write_text(out / ALL, all_text)
    write_text(out / _FOUND / _HASH, hashlib.sha256(table_text.encode()).hexdigest())
    write_text(out / TABLE, table_text)


# What was found in a recording, kept for the next call.


def _key(model: str, pair: Pair, script: Script, options: AlignOptions) -> str:
    """Hash of everything that decides how a recording is cut."""
    status = pair.recording.stat()
    cut = (options.max_seconds, options.lines, options.numbers)
    content = [_VERSION, model, cut, status.st_size, status.st_mtime_ns]
    content += [(word.text, word.ends_line) for word in script.words]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _known(path: Path, key: str) -> Alignment | None:
    """What an earlier call found with the same key."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["key"] != key:
            return None
        fields = content["alignment"]
        utterances = [build(AlignedUtterance, one) for one in fields.pop("utterances")]
        return Alignment(utterances=utterances, **fields)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it is found anew


def _remember(path: Path, key: str, alignment: Alignment) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"key": key, "alignment": asdict(alignment)}
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")
