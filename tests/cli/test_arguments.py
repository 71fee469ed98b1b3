"""Arguments of the commands: their help, and complaints of the parser in one line."""

import re

import pytest
from helpers.commands import Command, in_a_process
from helpers.option_help import joined_lines, option_help

from sorigeul.cli.arguments import positionals, training_corpora
from sorigeul.cli.entry import COMMANDS
from sorigeul.training.settings import Settings

SEED_HELP = {
    "use_bidirectional": "if True, becomes a bidirectional encoder",
    "use_attention": "flag indication whether to use attention mechanism or not",
    "score_function": "which attention to use",
    "use_label_smoothing": "flag indication whether to use label smoothing or not",
    "input_reverse": "flag indication whether to reverse input feature or not",
    "use_augment": "flag indication whether to use spec-augmentation or not",
    "use_pyramidal": "flag indication whether to use pLSTM or not",
    "pack_by_length": "flag indication whether to pack batch by similar sequence lengths",
    "augment_ratio": "ratio of spec-augmentation applied data",
    "listener_layer_size": "number of listener's RNN layer",
    "speller_layer_size": "number of speller's RNN layer",
    "hidden_size": "size of hidden state of RNN",
    "batch_size": "mini-batch size",
    "dropout": "dropout probability",
    "teacher_forcing": "The probability that teacher forcing will be used",
    "lr": "learning rate",
    "frame_length": "milliseconds",
    "stride": "milliseconds",
    "n_fft": "Fourier transform",
    "hop_length": "samples",
    "n_mels": "number of mel bands",
    "window": "analysis window",
}
"""Help of the seed's hyperparameters, in its own words; a word from the help of its features'."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_every_option(sorigeul: Command, name: str) -> None:
    done = sorigeul(name, "--help")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"usage: sorigeul {name} ")
    for option, text in option_help(done.out).items():
        words = re.sub(r"^(\{[^}]*\}\S*|\S+)|\((default|required).*", "", text).split()
        assert len(words) >= 2, option


def test_train_explains_every_setting(sorigeul: Command) -> None:
    explained = option_help(sorigeul("train", "--help").out)
    assert set(Settings().flat()) | {"preset", "config"} == set(explained)
    for name, words in SEED_HELP.items():
        assert words in explained[name], name
    contract = "max_epochs max_steps max_seconds seed checkpoint_every ctc_weight precision devices"
    assert {*contract.split(), "num_workers"} <= explained.keys()


def test_train_shows_the_defaults_of_the_preset(sorigeul: Command) -> None:
    explained = option_help(sorigeul("train", "--preset", "seed", "--help").out)
    assert "(1 to 16384; default: 256)" in explained["hidden_size"]
    assert "(0 to below 1; default: 0.5)" in explained["dropout"]


RANGED = re.compile(
    r"\((above )?-?[\d.]+ to (below )?[\d.]+(, or auto)?(; (default: .*?|repeatable))?\)"
)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_number_has_its_range(sorigeul: Command, name: str) -> None:
    commands = ("lm train", "lm score", "lm sample") if name == "lm" else (name,)
    for command in commands:
        explained = option_help(sorigeul(*command.split(), "--help").out)
        numbers = {
            option for option, text in explained.items() if re.match(r"\[?(INT|FLOAT)\b", text)
        }
        without = {option for option in numbers if not RANGED.search(explained[option])}
        assert without <= {"time_reduction"}, without


@pytest.mark.parametrize(
    "arguments",
    [
        *("train DATA RUN --hidden_size nan", "train DATA RUN --hidden_size", "serve RUN --port x"),
        *("transcribe RUN FILE --ctc_weight one", "prepare table DATA OUT --seed 1.5"),
    ],
)
def test_of_what_is_no_number_the_range_is_told(sorigeul: Command, arguments: str) -> None:
    done = sorigeul(*arguments.split())
    assert done.status == 2
    assert re.search(r" must be at least \d+ and at most [\d,]+ \(sorigeul", done.error())


def test_help_breaks_full_lines_and_shows_no_empty_defaults() -> None:
    text = in_a_process("transcribe", "--help", COLUMNS="80").out
    assert (
        """
│ --out OUT        folder for the transcripts of FILE…, named like the         │
│                  recordings; if not given they are printed. With --manifest: │
│                  the file to write, a line of JSON for each recording        │
"""
        in text
    )
    assert "torchrun --nproc-per-node 8 -m sorigeul transcribe RUN --manifest DATA" in text
    defaults = re.findall(r"default: (.*?)\)", joined_lines(text))
    assert defaults == [
        *("False", "False", "False", "False", "20", "0.0", "0", "float32", "1"),
        *("False", "auto", "16000", "1", "0"),
    ]


def test_a_terminal_without_line_drawing_gets_the_same_line() -> None:
    done = in_a_process("prepare", "table", "a", "b", "--dev_shar", "2", PYTHONIOENCODING="ascii")
    assert done.status == 2
    assert done.error() == (
        "Unrecognized options: --dev_shar, 2; perhaps --dev_share (sorigeul prepare --help)"
    )


def test_positional_arguments_are_found_among_options() -> None:
    arguments = ["data", "--lr", "0.1", "--seed=3", "run", "--preset", "small"]
    assert positionals(arguments) == ["data", "run"]


@pytest.mark.parametrize(
    ("arguments", "corpora"),
    [
        ("data run", ["data"]),
        ("a b c run --lr 0.1", ["a", "b", "c"]),
        ("a b --weights 0.7 0.3 --seed 1", ["a"]),
        ("--restart a b run --weights 0.7 0.3", ["a", "b"]),
        ("--config", []),
    ],
)
def test_the_corpora_of_a_training_are_found(arguments: str, corpora: list[str]) -> None:
    assert training_corpora(arguments.split()) == corpora
