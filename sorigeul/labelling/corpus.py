"""`sorigeul label`: from recordings without texts to a prepared corpus of pseudo-labels.

Reads top to bottom: find the recordings, hear each one, write its utterances, prepare a corpus of
those that are trusted. All of it is for training: what a model has heard is nothing to judge by.
"""

import hashlib
import json
import logging
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sorigeul.base import plots
from sorigeul.base.errors import UserError
from sorigeul.base.locks import locked_folder
from sorigeul.base.printable import printable
from sorigeul.base.progress import progress_bar
from sorigeul.base.records import build
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.cut_corpus import (
    CutCorpus,
    file_version,
    piece_path,
    refuse_unwritable_name,
    write_piece,
)
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.report import Report
from sorigeul.labelling.options import LabelOptions
from sorigeul.labelling.utterances import LabelledRecording, LabelledUtterance, label_recording
from sorigeul.recognition.fingerprints import model_fingerprint, search_fingerprint
from sorigeul.recognition.folders import FoundRecording, find_recordings
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.search.options import SearchRequest
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, AudioError

log = logging.getLogger(__name__)

TABLE, ALL, PLOT = "labels.tsv", "heard.tsv", "confidence.png"
_VERSION = 1  # increases whenever the same recording would be cut in another way
_HEADER = (
    *("audio", "text", "speaker", "recording"),
    *("start", "end", "confidence", "agreement"),
)


def label(
    run: str,
    recordings: Sequence[Path],
    out: Path,
    options: LabelOptions,
    second: str = "",
    search: SearchRequest | None = None,
    overwrite: bool = False,
) -> Report:
    """Label recordings, and those in folders, by a run; prepare a corpus of them in `out`.

    `second` is the run that must agree; without one it is the CTC head of `run`. Raises UserError
    if something cannot be used, if nothing is trusted, and, after everything else, for recordings
    that could not be read.
    """
    own = os.path.realpath(out)
    found = [
        one
        for one in find_recordings(recordings, recursive=True)
        # Path.resolve raises for a link to itself.
        if not Path(os.path.realpath(one.path)).is_relative_to(own)
    ]
    if not found:
        raise UserError(
            f"there is no recording but those in {out}, which is the folder for the pieces: give "
            "another one for them"
        )
    names = _names(found)
    files = CutCorpus(out, TABLE, ALL, PLOT, ".labels", _HEADER)
    files.refuse_unusable_places([one.path for one in found], names, overwrite)
    recognizer = Recognizer.from_pretrained(run, request=search)
    judge = Recognizer.from_pretrained(second) if second else None
    if judge is None and recognizer.pretrained.model.config.ctc_weight <= 0:
        raise UserError(f"{run} has no CTC head that could disagree: give --second, another run")
    key = _key_of_models(recognizer, judge)
    everything: dict[str, LabelledRecording] = {}
    with locked_folder(out):
        for name, recording in zip(names, found, strict=True):
            try:
                if recording.fault is not None:
                    raise AudioError(str(recording.fault))
                everything[name] = _hear(files, recognizer, judge, name, recording.path, key)
            except AudioError as error:
                log.warning("%s", error)
                continue
        heard = [one for each in everything.values() for one in each.utterances]
        if not everything:
            raise UserError(f"none of the {len(found)} recordings could be read")
        log.info("%s", _summary(everything, options))
        confidences = [one.confidence for one in heard]
        marks = {"--min_confidence": options.min_confidence}
        plots.histogram(out / PLOT, "Utterances by confidence", "confidence", confidences, marks)
        if not any(one.is_good(options) for one in heard):
            raise UserError(
                f"no utterance of {len(heard)} has a confidence of {options.min_confidence:g} and "
                f"an agreement of {options.min_agreement:g}: lower --min_confidence or "
                f"--min_agreement ({out / PLOT} shows where they lie), or label with a better model"
            )
        files.write_tables(_rows(everything, options))
    report = prepare(CORPORA["table"], out / TABLE, out, _preparation(recognizer, overwrite))
    if failed := len(found) - len(everything):
        raise UserError(
            f"{failed} of {len(found)} recordings could not be read, as said above; the corpus in "
            f"{out} has all the others"
        )
    return report


def _names(recordings: Sequence[FoundRecording]) -> list[str]:
    """A name for each recording, which is also that of its folder and of its speaker."""
    names: dict[str, Path] = {}
    for one in recordings:
        # macOS takes Hangul in names apart, and other systems do not.
        name = unicodedata.normalize("NFC", one.name.as_posix())
        refuse_unwritable_name(one.path, name)
        other = names.setdefault(name, one.path)
        if other is not one.path:
            raise UserError(
                f"{other} and {one.path} have the same name: rename one of them, or give a folder "
                "that has both in folders of their own"
            )
    return list(names)


def _hear(
    files: CutCorpus,
    recognizer: Recognizer,
    judge: Recognizer | None,
    name: str,
    path: Path,
    key: str,
) -> LabelledRecording:
    """What is heard in a recording, now or by an earlier call; its utterances are written."""
    size, modified = file_version(path)
    key = hashlib.sha256(f"{key} {size} {modified}".encode()).hexdigest()
    heard = _heard(files.known(name, key))
    if heard is not None and all(
        (files.out / piece_path(name, one.start, one.end)).is_file() for one in heard.utterances
    ):
        return heard
    heard = LabelledRecording([])
    with (
        audio.open_stream(path) as stream,
        progress_bar("hearing", audio.probe(path), counted=False) as advance,
    ):

        def blocks() -> Iterator[Any]:
            for block, *_ in stream:
                yield block
                advance(len(block) / SAMPLE_RATE, printable(name, keep=""))

        for utterance, samples in label_recording(recognizer, judge, blocks()):
            if utterance is None:
                heard.unusable += 1
                continue
            write_piece(files.out / piece_path(name, utterance.start, utterance.end), samples)
            heard.utterances.append(utterance)
    files.remember(name, key, asdict(heard))
    return heard


def _heard(found: Any) -> LabelledRecording | None:
    """What an earlier call found in a recording, from its JSON."""
    try:
        return LabelledRecording(
            [build(LabelledUtterance, one) for one in found["utterances"]], int(found["unusable"])
        )
    except (KeyError, TypeError, ValueError):
        return None  # it is heard anew


def _key_of_models(recognizer: Recognizer, judge: Recognizer | None) -> str:
    """Everything that decides what is heard in a recording, but the recording."""
    recognizers = [one for one in (recognizer, judge) if one is not None]
    models = [model_fingerprint(one.pretrained) for one in recognizers]
    return json.dumps([_VERSION, models, [search_fingerprint(one.setup) for one in recognizers]])


def _summary(everything: dict[str, LabelledRecording], options: LabelOptions) -> str:
    heard = [one for each in everything.values() for one in each.utterances]
    kept = [one for one in heard if one.is_good(options)]
    minutes = sum(one.end - one.start for one in kept) / 60
    unusable = sum(each.unusable for each in everything.values())
    return (
        f"{len(everything):,} recordings: {len(kept):,} utterances are trusted, {minutes:.1f} "
        f"minutes; {len(heard) - len(kept):,} are not; the texts of {unusable:,} say nothing"
    )


def _rows(
    everything: dict[str, LabelledRecording], options: LabelOptions
) -> Iterator[tuple[bool, Sequence[str]]]:
    """Whether an utterance is trusted, and its row, in the order of `_HEADER`."""
    for name, heard in everything.items():
        for one in heard.utterances:
            place = str(piece_path(name, one.start, one.end))
            figures = (one.start, one.end, one.confidence, one.agreement)
            row = (place, one.text, name, name, *(f"{figure:.3f}" for figure in figures))
            yield one.is_good(options), row


def _preparation(recognizer: Recognizer, overwrite: bool) -> PrepareOptions:
    """Texts as the model writes them, under the name of the same normaliser where that is one."""
    options = PrepareOptions(dev_share=0.0, test_share=0.0, overwrite=overwrite, punctuation="keep")
    normalizer = recognizer.pretrained.normalizer
    if "unpunctuated" in normalizer:
        options = replace(options, punctuation="drop")
    return replace(options, numbers="spoken") if "spoken" in normalizer else options
