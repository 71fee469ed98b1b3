"""Hostile values of the options and places of every command, and options that contradict.

The property: exit status 0, or one printable `error:` line that names the option or the value and
status 2; no input is changed, and no unfinished file is left.
"""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import soundfile
from helpers import tones
from helpers.commands import Command, Done
from helpers.option_help import option_help
from helpers.trees import file_contents, read_cuts, write_table

from sorigeul.base.printable import LAYOUT, printable
from sorigeul.cli.entry import COMMANDS, main
from sorigeul.sound.audio import SAMPLE_RATE

_NUMBERS = (
    *("nan", "inf", "-inf", "-1", "-0.0", "0", "1e30", "1" + 30 * "0", "1e-320", "1.5"),
    *("0x10", "1_000", "٣", "1,5", "1 2", "--", "", "NaN", "1e", "½"),
)
_TEXTS = (
    *("", " ", "가", "\u202e가\u200b", "x" * 5_000, "\x1b[2J", "\n", "1,5", "None", "True", "[]"),
    *("{}", "*", "~", "-", "(", "a\udcff", "nan", "-1", "=", "가=나", "a:b", ":", "%s", "'"),
)
_PLACES = (
    *("CORPUS", "CORPUS/train.jsonl", "RUN", "RUN/config.json", "RECORDING", "PLACE/gone"),
    *("PLACE/gone/deeper", "PLACE/pipe", "PLACE/dangling", "PLACE/empty", "PLACE/own.txt"),
    *("/dev/null", "/dev/full", "/dev/zero", "RECORDING/below", ".", "/proc", "TEXT"),
)

_COMMANDS = {
    "prepare": "prepare table TABLE PLACE/out --jobs 1",
    "prepare demo": "prepare demo PLACE/out --utterances 100 --jobs 1",
    "data stats": "data stats CORPUS --jobs 1",
    "data merge": "data merge CORPUS OTHER PLACE/out",
    "data filter": "data filter CORPUS PLACE/out",
    "data split": "data split CORPUS PLACE/out",
    "data head": "data head CORPUS",
    "data check": "data check CORPUS --jobs 1",
    "train": "train CORPUS PLACE/out --config CONFIG",
    "doctor": "doctor",
    "tune": "tune PLACE/run CORPUS --beam 2",
    "evaluate": "evaluate RUN CORPUS",
    "evaluate texts": "evaluate --hyp TEXTS --ref CORPUS",
    "compare": "compare CORPUS --engine file:TEXTS --out PLACE/out",
    "transcribe": "transcribe RUN RECORDING --out PLACE/out",
    "transcribe corpus": "transcribe RUN --manifest CORPUS/dev.jsonl --out PLACE/out.jsonl",
    "listen": "listen RUN --file RECORDING --fast",
    "align": "align RUN LONG SAID PLACE/out --min_score -100",
    "serve": "serve RUN --port PORT",
    "export": "export RUN PLACE/out",
    "label": "label RUN RECORDING PLACE/out --min_confidence 0 --min_agreement 0",
    "splice": "splice RUN CORPUS PLACE/out --jobs 1",
    "info": "info RUN",
    "card": "card RUN --out PLACE/out.md",
    "lm train": "lm train TEXT PLACE/out --vocabulary RUN --hidden_size 8 --max_steps 2",
    "lm score": "lm score LM TEXT",
    "lm sample": "lm sample LM --lines 2",
    "recipe": "recipe RECIPE CORPUS PLACE/out",
}
"""commands that succeed in a moment; of `serve`, that the port is taken"""
_NAMES = (
    *("CORPUS", "OTHER", "RUN", "RECORDING", "LONG", "PLACE", "TABLE", "TEXTS", "TEXT", "SAID"),
    *("LM", "CONFIG", "RECIPE"),
)
"""what stands for a path in these lines"""

_CONTRADICTIONS = """
train CORPUS PLACE/out --config CONFIG --preset small
train CORPUS PLACE/out --config CONFIG --input_reverse True --ctc_weight 0.5
train CORPUS PLACE/out --config CONFIG --use_attention False --guide_weight 1
train CORPUS PLACE/out --config CONFIG --n_fft 64 --frame_length 25
train CORPUS PLACE/out --config CONFIG --weights 0.5 0.5
train CORPUS OTHER PLACE/out --config CONFIG --weights 1
train CORPUS CORPUS PLACE/out --config CONFIG
train CORPUS PLACE/out --config CONFIG --n_mels 1000 --n_fft 128
train CORPUS PLACE/out --config CONFIG --noise_low 20 --noise_high 10
train CORPUS PLACE/out --config CONFIG --hidden_size 16384 --listener_layer_size 64
train CORPUS PLACE/out --config CONFIG --vocabulary jamo --share_letters True
train CORPUS PLACE/out --config CONFIG --hidden_size 15 --score_function multi-head
train CORPUS CORPUS
train CORPUS
doctor --config CONFIG --preset small
prepare table TABLE PLACE/out --dev_share 0.6 --test_share 0.6
prepare table TABLE PLACE/out --layout freetalk
prepare table TABLE PLACE/out --text TEXT
prepare table TABLE PLACE/out --hours 3
prepare table TABLE PLACE/out --shard 3/2 --shards 10
prepare table TABLE PLACE/out --shard 1/2 --shards 0 --overwrite --jobs -1
prepare zeroth CORPUS PLACE/out --audio_root CORPUS
prepare demo PLACE/out OTHER
prepare table TABLE
data filter CORPUS PLACE/out --min_duration 9 --max_duration 1
data filter CORPUS PLACE/out --min_rate 9 --max_rate 1
data filter CORPUS CORPUS
data split CORPUS PLACE/out --dev_share 0.9 --test_share 0.9
data split CORPUS CORPUS
data merge CORPUS CORPUS PLACE/out
data merge CORPUS OTHER CORPUS
data merge CORPUS PLACE/out
data head CORPUS --split eval_clean
evaluate --hyp TEXTS
evaluate --ref CORPUS
evaluate RUN CORPUS --hyp TEXTS --ref CORPUS
evaluate --hyp TEXTS --hyp TEXTS --hyp TEXTS --ref CORPUS
evaluate --hyp TEXTS --ref CORPUS --beam 3
evaluate --hyp TEXTS --ref CORPUS --reliability PLACE/a.png
evaluate RUN CORPUS --numerals equal --policy spacing-free
evaluate RUN CORPUS --json PLACE/a --report PLACE/a
evaluate RUN CORPUS --json CORPUS/test.jsonl
evaluate RUN CORPUS --lm_weight 0.3
evaluate RUN CORPUS --lm LM --lm_weight 0.3 --lm_weight 0.4
evaluate RUN CORPUS --term_weight 2
evaluate RUN CORPUS --rescore_weight 2
evaluate RUN CORPUS --degrade noise
evaluate RUN
tune RUN CORPUS --split test
tune RUN CORPUS/test.jsonl
tune RUN CORPUS --ctc_weight 0.1
transcribe RUN RECORDING --manifest CORPUS --out PLACE/a.jsonl
transcribe RUN --manifest CORPUS
transcribe RUN --manifest CORPUS --out PLACE/a.jsonl --nbest 2
transcribe RUN --manifest CORPUS --out PLACE/a.jsonl --channel left
transcribe RUN --manifest CORPUS --out CORPUS/dev.jsonl
transcribe RUN RECORDING --resume
transcribe RUN RECORDING --split dev
transcribe RUN RECORDING --nbest 3 --format srt
transcribe RUN RECORDING --format srt,json
transcribe RUN RECORDING --attention RECORDING
transcribe RUN RECORDING RECORDING --out PLACE/out --attention RECORDING
transcribe RUN RECORDING --track 2
transcribe RUN - RECORDING -
transcribe RUN
listen RUN --fast
listen RUN --file RECORDING --device 0
listen
serve RUN RUN --port PORT
serve RUN --port 8000 --wyoming 8000
serve RUN --port PORT --lm_weight 1
compare CORPUS
compare CORPUS --engine a=file:TEXTS --engine a=file:TEXTS --out PLACE/out
compare CORPUS --engine file:TEXTS --json TEXTS --out PLACE/out
align RUN RECORDING TEXT CORPUS
lm train TEXT PLACE/out
lm train TEXT PLACE/out --vocabulary RUN --kind ngram --prune 1 0
lm train TEXT PLACE/out --vocabulary RUN --kind ngram --order 63
lm train TEXT PLACE/out --vocabulary RUN --preset small --config CONFIG
lm train TEXT TEXT
lm train TEXT
bench nothing
bench features --report RECORDING
bench features --report PLACE
export RUN RUN
export RUN CORPUS
card CORPUS
card RUN --out TEXT
card RUN --evaluation TEXT
card RUN --evaluation CORPUS/report.json
card RUN --data RUN
push CORPUS somebody/model
push RUN model
recipe RECIPE PLACE/out
recipe RECIPE CORPUS OTHER PLACE/out
recipe RECIPE CORPUS OTHER
recipe CONFIG CORPUS PLACE/out
recipe pansori PLACE/gone PLACE/out
"""
"""each is a mistake"""


@dataclass(frozen=True)
class Try:
    """A command with one thing that is wrong, or may be."""

    arguments: tuple[str, ...]
    wrong: str = ""
    """the option whose value is hostile, or the place"""
    value: str = ""
    """the hostile value; empty if there is none"""


@pytest.fixture(scope="module")
def places(
    corpus: Path, run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """What the commands read, by the names in their lines; nothing may change it."""
    folder = tmp_path_factory.mktemp("places")
    config = tones.TINY.changed({"max_steps": 1, "augment_ratio": 0.0, "max_epochs": 1}, "test")
    (folder / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    lines = tones.texts(80)
    (folder / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    said = {cut["id"]: cut["supervisions"][0]["text"] for cut in read_cuts(corpus / "test.jsonl")}
    soundfile.write(folder / "long.flac", tones.synthesize(" ".join(lines[:20])), SAMPLE_RATE)
    (folder / "said.txt").write_text("\n".join(lines[:20]), encoding="utf-8")
    rows = "".join(f"{name}\t{text}\n" for name, text in said.items())
    (folder / "texts.tsv").write_text(rows, encoding="utf-8")
    # Without steps: they are commands, whose own errors come before that of the recipe.
    recipe = "corpora: [a corpus]\nsteps: {}\nfigures: {}\n"
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    (folder / "own.txt").write_text("mine\n", encoding="utf-8")
    names = [(f"o{number}.wav", f"{text} 말", "s", "") for number, text in enumerate(lines[:4])]
    table = write_table(folder / "table", names)
    main(["prepare", "table", str(table), str(folder / "other"), "--jobs", "1"])
    main(["lm", "train", str(folder / "text.txt"), str(folder / "lm"), "--vocabulary", str(run),
          "--kind", "ngram"])  # fmt: skip
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield {
            "CORPUS": str(corpus),
            "OTHER": str(folder / "other"),
            "RUN": str(run),
            "RECORDING": str(corpus.parent / "audio" / "u00.wav"),
            "TABLE": str(table),
            "LONG": str(folder / "long.flac"),
            "SAID": str(folder / "said.txt"),
            "TEXTS": str(folder / "texts.tsv"),
            "TEXT": str(folder / "text.txt"),
            "LM": str(folder / "lm"),
            "CONFIG": str(folder / "config.yaml"),
            "RECIPE": str(folder / "recipe.yaml"),
            "PORT": str(taken.getsockname()[1]),
            "FOLDER": str(folder),
        }


class Trials:
    """Tries commands, each in a folder of its own, and checks the property."""

    def __init__(self, sorigeul: Command, places: dict[str, str], folder: Path) -> None:
        self.sorigeul, self.places, self.folder = sorigeul, places, folder
        read = {Path(places[name]) for name in ("CORPUS", "RUN", "FOLDER")}
        read.add(Path(places["RECORDING"]).parent)
        self._read = sorted(read)
        self._before = self._inputs()
        self._options: dict[str, dict[str, str]] = {}
        self.statuses: list[int | str | None] = []

    def hostile(self, number: int) -> Try:
        """A command with a hostile value for one option, or in one place."""
        random = Random(number)
        name = [*_COMMANDS][number % len(_COMMANDS)]
        line = _COMMANDS[name].split()
        options = self._options_of(line)
        spots = [place for place, word in enumerate(line) if word.split("/")[0] in _NAMES]
        if spots and (random.random() < 0.3 or not options):
            value, spot = random.choice(_PLACES + _TEXTS), random.choice(spots)
            return Try((*line[:spot], value, *line[spot + 1 :]), line[spot], value)
        option = random.choice([*options])
        kind = options[option].split()[0].strip("[")
        if kind in ("INT", "FLOAT"):
            values = _NUMBERS
        elif kind.startswith("{"):
            values = _TEXTS
        else:
            values = (*_PLACES, *_TEXTS)
        value = random.choice(values)
        given = (f"--{option}={value}",) if random.random() < 0.5 else (f"--{option}", value)
        return Try((*line, *given), option, value)

    def _options_of(self, line: list[str]) -> dict[str, str]:
        command = " ".join(line[: 2 if line[0] in ("data", "lm") else 1])
        if command not in self._options:
            done = self.sorigeul(*command.split(), "--help")
            assert done.status == 0
            self._options[command] = option_help(done.out)
        return self._options[command]

    def run(self, one: Try, number: int) -> Done:
        """Run it in a new folder, and check the property."""
        place = self.folder / f"{number}"
        place.mkdir()
        (place / "empty").mkdir()
        (place / "dangling").symlink_to("nowhere")
        (place / "own.txt").write_text("mine\n", encoding="utf-8")
        os.mkfifo(place / "pipe")
        if "PLACE/run" in one.arguments:
            shutil.copytree(self.places["RUN"], place / "run")
        arguments = [self._real(argument, place) for argument in one.arguments]
        cwd = Path.cwd()
        os.chdir(place)
        try:
            done = self.sorigeul(*arguments)
        finally:
            os.chdir(cwd)
        self.statuses.append(done.status)
        label = (number, " ".join(arguments)[:1_000], done.status, done.err[-3_000:])
        lines = done.err.splitlines()
        assert done.out.translate(dict.fromkeys(map(ord, LAYOUT))).isprintable(), label
        assert all(text.isprintable() for text in lines), label
        errors = [text for text in lines if text.startswith("error: ")]
        assert (done.status, len(errors)) in ((0, 0), (2, 1)), label
        assert all(len(text) < 2_500 for text in lines), label
        value = self._real(one.value, place)
        shown = printable(value).strip()[:20]
        port_is_taken = arguments[0] == "serve" and "Address already in use" in done.err
        if errors and shown not in ("", "-") and not port_is_taken:
            # A value that means "nothing", such as None, is missed under the name of its option.
            before = arguments[arguments.index(value) - 1] if value in arguments else ""
            option = before.lstrip("-") if before.startswith("--") else ""
            names = (one.wrong.lstrip("-"), shown, Path(value).name, option)
            assert any(name and name in errors[0] for name in names), label
        assert self._inputs() == self._before, label
        assert (place / "own.txt").read_text(encoding="utf-8") == "mine\n", label
        kept = (".alignment", ".labels", ".splices")  # what a command has done so far
        left = [path for path in place.rglob(".*") if path.name not in kept]
        assert not left, (label, left)
        shutil.rmtree(place)
        return done

    def _real(self, argument: str, place: Path) -> str:
        """The argument with the paths that stand for the names in it."""
        paths = {**self.places, "PLACE": str(place)}
        return re.sub(rf"\b({'|'.join(paths)})\b", lambda name: paths[name[0]], argument)

    def _inputs(self) -> dict[Path, object]:
        return {folder: file_contents(folder) for folder in self._read}


def test_every_command_is_tried() -> None:
    tried = {line.split()[0] for line in _COMMANDS.values()}
    # These would work for minutes, and ask the hub.
    assert tried == COMMANDS.keys() - {"bench", "push"}


@pytest.mark.prove
def test_commands_succeed_as_long_as_nothing_is_wrong(
    sorigeul: Command, places: dict[str, str], tmp_path: Path
) -> None:
    trials = Trials(sorigeul, places, tmp_path)
    for number, line in enumerate(_COMMANDS.values()):
        done = trials.run(Try(tuple(line.split())), number)
        assert done.status == (2 if "PORT" in line else 0), (line, done)


def test_contradictions(sorigeul: Command, places: dict[str, str], tmp_path: Path) -> None:
    trials = Trials(sorigeul, places, tmp_path)
    for number, line in enumerate(_CONTRADICTIONS.strip().splitlines()):
        done = trials.run(Try(tuple(line.split())), number)
        assert done.status == 2, (line, done)


def test_hostile_values(sorigeul: Command, places: dict[str, str], tmp_path: Path) -> None:
    _try_values(sorigeul, places, tmp_path, tries=40)


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_hundreds_of_hostile_values(
    sorigeul: Command, places: dict[str, str], tmp_path: Path
) -> None:
    _try_values(sorigeul, places, tmp_path, tries=300)


def _try_values(sorigeul: Command, places: dict[str, str], folder: Path, tries: int) -> None:
    trials = Trials(sorigeul, places, folder)
    for number in range(tries):
        trials.run(trials.hostile(number), number)
    assert tries / 2 < trials.statuses.count(2) < tries
