"""KsponSpeech (AI Hub; Bang et al. 2020), in three layouts.

Does not know about the marks in its transcripts: the normaliser handles them.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import (
    Recordings,
    lines,
    relative,
    source_folder,
    walk,
    without_audio,
)
from sorigeul.corpora.splits import EVALUATION_SPLITS
from sorigeul.corpora.utterances import Layout, Rejected, Utterance

LAYOUTS = (
    "KsponSpeech_scripts/{train,dev,eval_clean,eval_other}.trn (or .txt) with lines "
    "'....pcm :: text', or train_list.csv and test_list.csv with rows 'pcm,txt', "
    "or .pcm files with a .txt of the same name beside each"
)
STEM = re.compile(r"K(spon|ai)Speech_E?\d+")
SCRIPTS = ("train", "dev", *EVALUATION_SPLITS)
LISTS = {"train_list.csv": "train", "test_list.csv": "test"}
PUBLISHED = {"train": 620_000, "dev": 2_545, "eval_clean": 3_000, "eval_other": 3_000}
"""Published numbers of utterances."""


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Recognise the layout and yield its utterances; folders may have been moved or renamed.

    If several layouts are present, ``KsponSpeech_scripts`` is preferred, then lists, then
    transcripts beside the recordings.
    """
    del out, options
    source = source_folder(source, LAYOUTS)
    scripts: dict[str, list[Path]] = {}
    lists: list[Path] = []
    has_pairs = False
    for folder, names in walk(source):
        for name in names:
            stem, _, suffix = name.rpartition(".")
            if stem in SCRIPTS and suffix in ("trn", "txt"):
                scripts.setdefault(stem, []).append(folder / name)
            elif name in LISTS:
                lists.append(folder / name)
        has_pairs = has_pairs or bool(_by_stem(names, ".pcm").keys() & _by_stem(names, ".txt"))
    if scripts:
        yield from _read_scripts(source, scripts)
    elif lists:
        yield from _read_lists(source, lists)
    elif has_pairs:
        yield from _read_pairs(source)
    else:
        raise UserError(f"{source}: not KsponSpeech; it should hold {LAYOUTS}")


def _read_scripts(
    source: Path, scripts: dict[str, list[Path]]
) -> Iterator[Utterance | Rejected | Layout]:
    """Read the current distribution: one script for each split, one line for each utterance."""
    notes = [f"there is no {split}.trn" for split in SCRIPTS if split not in scripts]
    for files in scripts.values():
        files.sort(key=lambda path: path.suffix != ".trn")  # stable: .trn first, then by folder
        notes += [f"{relative(path, source)} left aside for {files[0].name}" for path in files[1:]]
    published = {split: {"utterances": PUBLISHED[split]} for split in SCRIPTS if split in scripts}
    chosen = {split: scripts[split][0] for split in SCRIPTS if split in scripts}
    for script in chosen.values():
        check_regular(script)
    line_count = sum(script.read_bytes().count(b"\n") for script in chosen.values())
    yield Layout("KsponSpeech_scripts", published, tuple(notes), line_count)

    recordings = Recordings(_pcm_files(source), source)
    yield from recordings.rejected
    for split, script in chosen.items():
        for where, line in lines(script, source):
            path, separator, text = line.partition("::")
            name = PureWindowsPath(path.strip()).name  # accepts both kinds of slash
            if not separator or not _is_pcm(name):
                yield Rejected(where, "malformed line; expected '....pcm :: text'", where)
                continue
            try:
                audio = recordings.find(name)
            except UserError as error:
                yield without_audio(name[:-4], error, where)
                continue
            yield Utterance(name[:-4], audio, text, None, split, where=where)
    yield from recordings.reject_untranscribed()


def _read_lists(source: Path, lists: list[Path]) -> Iterator[Utterance | Rejected | Layout]:
    """Read the flat folder of this project's ancestor: two lists of pairs, cleaned transcripts.

    A pair may name the file of vocabulary ids (``KaiSpeech_label_000001.txt``); the transcript is
    then the file without ``label_``.
    """
    note = "the transcripts of this layout are cleaned already: the option text changes nothing"
    yield Layout("train_list.csv, test_list.csv", _published_total(), (note,))
    recordings = Recordings(_pcm_files(source), source)
    yield from recordings.rejected
    for path in lists:
        for where, line in lines(path, source):
            pair = [PureWindowsPath(field.strip()).name for field in _fields(line)]
            if len(pair) != 2 or not _is_pcm(pair[0]) or not pair[1].endswith(".txt"):
                is_header = where.endswith(":1") and ".pcm" not in line
                if not is_header:
                    yield Rejected(where, "malformed line; expected 'pcm-file,txt-file'", where)
                continue
            name, text_name = pair[0], pair[1].replace("_label_", "_")
            try:
                audio = recordings.find(name)
            except UserError as error:
                yield without_audio(name[:-4], error, where)
                continue
            transcript = audio.with_name(text_name)
            yield Utterance(audio.stem, audio, "", None, LISTS[path.name], where, transcript)
    yield from recordings.reject_untranscribed()


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line]))
    except csv.Error:  # a field that is longer than any path
        return []


def _read_pairs(source: Path) -> Iterator[Utterance | Rejected | Layout]:
    """Read the first distribution: a transcript beside each recording."""
    has_evaluation, recordings = False, 0
    for folder, names in walk(source):
        has_evaluation = has_evaluation or (folder.name in EVALUATION_SPLITS and bool(names))
        recordings += sum(map(_is_pcm, names))
    yield Layout(".pcm with .txt beside it", _published_total(has_evaluation), items=recordings)
    for folder, names in walk(source):
        split = folder.name if folder.name in EVALUATION_SPLITS else None
        with_audio, with_text = _by_stem(names, ".pcm"), _by_stem(names, ".txt")
        for stem in sorted({*with_audio, *(stem for stem in with_text if STEM.fullmatch(stem))}):
            audio = folder / with_audio.get(stem, f"{stem}.pcm")
            transcript = folder / with_text.get(stem, f"{stem}.txt")
            where = relative(transcript if stem in with_text else audio, source)
            yield Utterance(stem, audio, "", None, split, where, transcript)


def _by_stem(names: list[str], suffix: str) -> dict[str, str]:
    """The names that end with a suffix, in upper case or lower, by what precedes it."""
    return {name[: -len(suffix)]: name for name in names if name[-len(suffix) :].lower() == suffix}


def _is_pcm(name: str) -> bool:
    return name.lower().endswith(".pcm")


def _pcm_files(source: Path) -> Iterator[tuple[Path, str]]:
    for folder, names in walk(source):
        yield from ((folder, name) for name in names if _is_pcm(name))


def _published_total(has_evaluation: bool = False) -> dict[str, dict[str, int]]:
    splits = SCRIPTS if has_evaluation else ("train", "dev")
    return {"all": {"utterances": sum(PUBLISHED[split] for split in splits)}}


def normalizer_name(options: PrepareOptions) -> str:
    """Return the normaliser for the side of dual transcriptions that ``options.text`` selects."""
    return f"kspon-{options.text or 'pronunciation'}"
