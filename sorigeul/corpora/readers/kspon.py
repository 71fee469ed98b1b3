"""Reader for KsponSpeech (AI Hub; Bang et al. 2020) in three layouts."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import Recordings, folder, lines, relative, walk
from sorigeul.corpora.utterances import Layout, Rejected, Utterance

LOOKED_FOR = (
    "KsponSpeech_scripts/{train,dev,eval_clean,eval_other}.trn (or .txt) with lines "
    "'....pcm :: text', or train_list.csv and test_list.csv with rows 'pcm,txt', "
    "or .pcm files with a .txt of the same name beside each"
)
NAME = re.compile(r"K(spon|ai)Speech_E?\d+")
EVALUATION = ("eval_clean", "eval_other")
SCRIPTS = ("train", "dev", *EVALUATION)
LISTS = {"train_list.csv": "train", "test_list.csv": "test"}
PUBLISHED = {"train": 620_000, "dev": 2_545, "eval_clean": 3_000, "eval_other": 3_000}


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Recognise the layout and yield its utterances; its folders may have moved.

    ``KsponSpeech_scripts`` counts first, then lists, then transcripts beside the recordings.
    """
    del out, options
    source = folder(source, LOOKED_FOR)
    scripts: dict[str, list[Path]] = {}
    lists: list[Path] = []
    paired = False
    for place, names in walk(source):
        for name in names:
            stem, _, suffix = name.rpartition(".")
            if stem in SCRIPTS and suffix in ("trn", "txt"):
                scripts.setdefault(stem, []).append(place / name)
            elif name in LISTS:
                lists.append(place / name)
        texts = {name for name in names if name.endswith(".txt")}
        paired = paired or any(n[:-4] + ".txt" in texts for n in names if n.endswith(".pcm"))
    if scripts:
        yield from _scripts(source, scripts)
    elif lists:
        yield from _lists(source, lists)
    elif paired:
        yield from _beside(source)
    else:
        raise UserError(f"{source}: not KsponSpeech; it should hold {LOOKED_FOR}")


def _scripts(
    source: Path, scripts: dict[str, list[Path]]
) -> Iterator[Utterance | Rejected | Layout]:
    """Read the layout as distributed now: one script a split, a line an utterance."""
    notes = [f"there is no {split}.trn" for split in SCRIPTS if split not in scripts]
    for files in scripts.values():
        files.sort(key=lambda path: path.suffix != ".trn")  # stable: .trn first, then by folder
        notes += [f"{relative(path, source)} left aside for {files[0].name}" for path in files[1:]]
    published = {split: {"utterances": PUBLISHED[split]} for split in SCRIPTS if split in scripts}
    chosen = {split: scripts[split][0] for split in SCRIPTS if split in scripts}
    items = sum(path.read_bytes().count(b"\n") for path in chosen.values())
    yield Layout("KsponSpeech_scripts", published, tuple(notes), items)

    recordings = Recordings(_pcm(source), source)
    yield from recordings.rejected
    for split, path in chosen.items():
        for where, line in lines(path, source):
            head, mark, text = line.partition("::")
            name = PureWindowsPath(head.strip()).name  # takes both kinds of slash
            if not mark or not name.endswith(".pcm"):
                yield Rejected(where, "malformed line; expected '....pcm :: text'", where)
                continue
            audio = recordings.take(name, source / head.strip())
            yield Utterance(name[:-4], audio, text, None, split, where=where)
    yield from recordings.left()


def _lists(source: Path, lists: list[Path]) -> Iterator[Utterance | Rejected | Layout]:
    """Read the ancestor's layout: two lists of pairs, and a flat folder of cleaned transcripts.

    A pair may name the file of vocabulary ids (``_label_``); the transcript is the one without.
    """
    note = "the transcripts of this layout are cleaned already: the option text changes nothing"
    yield Layout("train_list.csv, test_list.csv", _all(), (note,))
    recordings = Recordings(_pcm(source), source)
    yield from recordings.rejected
    for path in lists:
        for where, line in lines(path, source):
            pair = [PureWindowsPath(field.strip()).name for field in next(csv.reader([line]))]
            if len(pair) != 2 or not pair[0].endswith(".pcm") or not pair[1].endswith(".txt"):
                if ".pcm" in line or not where.endswith(":1"):  # else it is a header
                    yield Rejected(where, "malformed line; expected 'pcm-file,txt-file'", where)
                continue
            name, text = pair[0], pair[1].replace("_label_", "_")
            audio = recordings.take(name, path.parent / name)
            transcript = audio.with_name(text)
            yield Utterance(audio.stem, audio, "", None, LISTS[path.name], where, transcript)
    yield from recordings.left()


def _beside(source: Path) -> Iterator[Utterance | Rejected | Layout]:
    """Read the layout as distributed first: a transcript beside each recording."""
    evaluation, items = False, 0
    for place, names in walk(source):
        evaluation = evaluation or (place.name in EVALUATION and bool(names))
        items += sum(name.endswith(".pcm") for name in names)
    yield Layout(".pcm with .txt beside it", _all(evaluation), items=items)
    for place, names in walk(source):
        split = place.name if place.name in EVALUATION else None
        audio = {name[:-4] for name in names if name.endswith(".pcm")}
        texts = {name[:-4] for name in names if name.endswith(".txt")}
        for stem in sorted(audio | {stem for stem in texts if NAME.fullmatch(stem)}):
            path, text = place / f"{stem}.pcm", place / f"{stem}.txt"
            where = relative(text if stem in texts else path, source)
            yield Utterance(stem, path, "", None, split, where, text)


def _pcm(source: Path) -> Iterator[tuple[Path, str]]:
    for place, names in walk(source):
        yield from ((place, name) for name in names if name.endswith(".pcm"))


def _all(evaluation: bool = False) -> dict[str, dict[str, int]]:
    counted = SCRIPTS if evaluation else ("train", "dev")
    return {"all": {"utterances": sum(PUBLISHED[split] for split in counted)}}


def normalizer_name(options: PrepareOptions) -> str:
    """Return the normaliser for the side of dual transcriptions that ``options.text`` asks for."""
    return f"kspon-{options.text}"
