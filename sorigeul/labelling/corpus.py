"""`sorigeul label`: from recordings without texts to a prepared corpus of pseudo-labels.

Reads top to bottom: find the recordings, hear each one, write its utterances, prepare a corpus of
those that are trusted. All of it is for training: what a model has heard is nothing to judge by.
"""

import json
import logging
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.base.locks import locked_folder
from sorigeul.base.records import build
from sorigeul.corpora.cut_corpus import (
    CutCorpus,
    hearing,
    piece_path,
    refuse_unwritable_name,
    write_piece,
)
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.report import Report
from sorigeul.labelling.options import LabelOptions
from sorigeul.labelling.utterances import LabelledRecording, LabelledUtterance, label_recording
from sorigeul.recognition.fingerprints import model_fingerprint, search_fingerprint
from sorigeul.recognition.folders import FoundRecording, find_recordings
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.search.options import SearchRequest

log = logging.getLogger(__name__)

TABLE, ALL, PLOT = "labels.tsv", "heard.tsv", "confidence.png"
_VERSION = 1  # increases whenever the same recording would be cut in another way


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
    places = _places(one for one in found if one.fault is None)
    faults = [one.fault for one in found if one.fault is not None]
    if len(found) == len(faults) == 1:
        raise UserError(faults[0])
    for fault in faults:
        log.warning("%s", fault)
    corpus = CutCorpus(out, TABLE, ALL, PLOT, ".labels", ("confidence", "agreement"))
    corpus.refuse_unusable_places(list(places.values()), places, overwrite)
    recognizer = Recognizer.from_pretrained(run, request=search)
    judge = Recognizer.from_pretrained(second) if second else None
    if judge is None and recognizer.pretrained.model.config.ctc_weight <= 0:
        raise UserError(f"{run} has no CTC head that could disagree: give --second, another run")
    key = _key_of_models(recognizer, judge)

    def find(name: str, recording: Path) -> LabelledRecording:
        heard = LabelledRecording([])
        with hearing(recording, name) as blocks:
            for utterance, samples in label_recording(recognizer, judge, blocks):
                if utterance is None:
                    heard.unusable += 1
                    continue
                write_piece(out / piece_path(name, utterance), samples)
                heard.utterances.append(utterance)
        return heard

    with locked_folder(out):
        everything = dict(corpus.cut(places, lambda _: key, _restored, find))
        log.info("%s", _summary(everything, options))
        utterances = {name: heard.utterances for name, heard in everything.items()}
        marks = {"--min_confidence": options.min_confidence}
        if not corpus.write(utterances, lambda one: one.is_good(options), marks):
            raise UserError(_nothing_trusted(everything, out, options))
    preparation = PrepareOptions.for_normalized(recognizer.pretrained.normalizer, overwrite)
    return corpus.prepare(len(everything), len(found), preparation)


def _nothing_trusted(
    everything: Mapping[str, LabelledRecording], out: Path, options: LabelOptions
) -> str:
    """Why no utterance is good."""
    if count := sum(len(heard.utterances) for heard in everything.values()):
        return (
            f"no utterance of {count} has a confidence of {options.min_confidence:g} and an "
            f"agreement of {options.min_agreement:g}: lower --min_confidence or --min_agreement "
            f"({out / ALL} has them all), or label with a better model"
        )
    if unusable := sum(heard.unusable for heard in everything.values()):
        return f"what was heard in {unusable} utterances says nothing: label with a better model"
    return "no speech was found in the recordings: listen to one of them"


def _places(recordings: Iterable[FoundRecording]) -> dict[str, Path]:
    """The recordings by name, which is also that of their folder and of their speaker."""
    places: dict[str, Path] = {}
    for one in recordings:
        # macOS takes Hangul in names apart, and other systems do not.
        name = unicodedata.normalize("NFC", one.name.as_posix())
        refuse_unwritable_name(one.path, name)
        other = places.setdefault(name, one.path)
        if other is not one.path:
            raise UserError(
                f"{other} and {one.path} have the same name: rename one of them, or give a folder "
                "that has both in folders of their own"
            )
    return places


def _restored(found: Any) -> LabelledRecording:
    """What an earlier call found in a recording, from its JSON."""
    utterances = [build(LabelledUtterance, one) for one in found["utterances"]]
    return build(LabelledRecording, {**found, "utterances": utterances})


def _key_of_models(recognizer: Recognizer, judge: Recognizer | None) -> str:
    """Everything that decides what is heard in a recording, but the recording."""
    recognizers = [one for one in (recognizer, judge) if one is not None]
    models = [model_fingerprint(one.pretrained) for one in recognizers]
    return json.dumps([_VERSION, models, [search_fingerprint(one.setup) for one in recognizers]])


def _summary(everything: Mapping[str, LabelledRecording], options: LabelOptions) -> str:
    heard = [one for each in everything.values() for one in each.utterances]
    kept = [one for one in heard if one.is_good(options)]
    minutes = sum(one.end - one.start for one in kept) / 60
    unusable = sum(each.unusable for each in everything.values())
    return (
        f"{len(everything):,} recordings: {len(kept):,} utterances are trusted, {minutes:.1f} "
        f"minutes; {len(heard) - len(kept):,} are not; the texts of {unusable:,} say nothing"
    )
