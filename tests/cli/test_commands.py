"""The commands as users give them: what is printed where, in how many lines, with which status."""

import json
import re
import shutil
from pathlib import Path

import pytest
from helpers import tones
from helpers.commands import Command, in_a_process

from sorigeul.cli.entry import COMMANDS
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.training import checkpoints
from sorigeul.training.metrics import read_metrics
from sorigeul.training.settings import Settings

CONTRACT = {
    "crr",
    "cer",
    "cer_no_space",
    "wer",
    "swer",
    "utterances",
    "reference_characters",
    "normalizer",
}
"""Keys of `evaluate --json`."""

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
"""Help of the seed's hyperparameters, in its own words, and a word of each of its features'."""


# Help


def test_without_a_command_all_are_listed() -> None:
    alone, helped = in_a_process(), in_a_process("--help")
    assert (alone.status, helped.status, alone.err) == (0, 0, "")
    assert alone.out == helped.out
    for name in COMMANDS:
        assert re.search(rf"(?m)^  {name} +\w.*\.$", alone.out), name


def test_the_version_is_told(sorigeul: Command) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", sorigeul("--version").out)


def options(text: str) -> dict[str, str]:
    """Option -> what a help text says of it, the box and its line breaks taken away."""
    lines = [line.strip("│╭╮╰╯─ ") for line in text.splitlines()]
    joined = " ".join(line for line in lines if line)
    parts = re.split(r"(?:^| )--([a-z_]+) (?=[A-Z{])", joined)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_every_option(sorigeul: Command, name: str) -> None:
    done = sorigeul(name, "--help")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"usage: sorigeul {name} ")
    for option, said in options(done.out).items():
        words = re.sub(r"^(\{[^}]*\}\S*|\S+)|\((default|required).*", "", said).split()
        assert len(words) >= 2, option


def test_train_explains_every_setting(sorigeul: Command) -> None:
    said = options(sorigeul("train", "--help").out)
    assert set(Settings().flat()) | {"preset", "config"} == set(said)
    for name, words in SEED_HELP.items():
        assert words in said[name], name
    contract = "max_epochs max_steps max_seconds seed checkpoint_every ctc_weight precision devices"
    assert {*contract.split(), "num_workers"} <= said.keys()


def test_train_tells_the_defaults_of_the_preset(sorigeul: Command) -> None:
    assert (
        "(default: 256)"
        in options(sorigeul("train", "--preset", "seed", "--help").out)["hidden_size"]
    )


# Mistakes in what is asked


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("trian a b", "'trian' is no command; perhaps train"),
        ("frobnicate", "'frobnicate' is no command; there are prepare, train, "),
        ("--verbose", "'--verbose' is no command; there are prepare, train, "),
        ("train a b --hiden_size 4", "--hiden_size, 4; perhaps --hidden_size"),
        ("train a b --hidden_size four", "--hidden_size: invalid literal"),
        ("train a b --hidden_size", "Missing value for argument '--hidden_size'"),
        ("train a b --use_augment maybe", "Expected one of ('True', 'False')"),
        ("train a b --window square", "('hamming', 'hann', 'blackman', 'rectangular')"),
        ("train a b c", "Unrecognized options: c"),
        ("train a", "Missing from sorigeul train: RUN"),
        ("train", "DATA folder of manifests"),
        ("train a b --preset smal", "preset 'smal' is none of"),
        ("train a b --config a.yaml --preset seed", "exclude each other"),
        ("train a b --config nowhere.yaml", "nowhere.yaml: there is no such file"),
        ("train a b --lr -1", "lr is -1.0, but must be above 0"),
        ("train a b --n_mels 3", "n_mels 3 must lie between"),
        ("train a b --ctc_weight 0.3 --input_reverse True", "set input_reverse False"),
        ("prepare", "SOURCE its folder or table"),
        (
            "prepare librispeech a b",
            "('kspon', 'zeroth', 'pansori', 'clovacall', 'commonvoice', 'fleurs', 'table', 'demo')",
        ),
        ("prepare table a", "SOURCE, then OUT"),
        ("prepare demo nowhere out", "leave it out"),
        ("prepare kspon nowhere out", "nowhere"),
        ("prepare table nowhere.csv out", "nowhere.csv: no such file"),
        ("prepare table nowhere.csv out --dev_share 2", "dev_share 2.0"),
        ("evaluate run", "Missing from sorigeul evaluate: DATA"),
        ("evaluate a/b/c data", "a/b/c is neither a run folder nor a Hugging Face id"),
        ("evaluate a b --wurst 3", "perhaps --worst"),
        ("transcribe", "Missing from sorigeul transcribe: RUN"),
        ("transcribe ./nowhere a.wav", "./nowhere is neither a run folder"),
        ("transcribe run a.wav --format doc", "('txt', 'json', 'srt', 'vtt', 'tsv')"),
        ("info", "Missing from sorigeul info: RUN"),
        ("info ./nowhere", "./nowhere is neither a run folder"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    sorigeul: Command, arguments: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sorigeul(*arguments.split())
    assert done.status == 2
    assert done.out == ""
    assert said in done.error()
    assert not list(tmp_path.iterdir())


def test_a_terminal_without_line_drawing_gets_the_same_line() -> None:
    done = in_a_process("prepare", "table", "a", "b", "--dev_shar", "2", PYTHONIOENCODING="ascii")
    assert done.status == 2
    assert done.error() == (
        "Unrecognized options: --dev_shar, 2; perhaps --dev_share (sorigeul prepare --help)"
    )


def test_debug_shows_where(sorigeul: Command) -> None:
    plain, shown = sorigeul("info", "./nowhere"), sorigeul("info", "./nowhere", "--debug")
    assert (plain.status, shown.status) == (2, 2)
    assert shown.err.startswith("Traceback (most recent call last):")
    assert shown.err.splitlines()[-1] == plain.err.splitlines()[-1]
    assert "Traceback" not in plain.err


# prepare


def test_prepare_says_what_it_found(sorigeul: Command, audio: Path, tmp_path: Path) -> None:
    done = sorigeul("prepare", "table", audio / "table.csv", tmp_path / "out")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[0].startswith("train: 40 utterances, 0.01 h, 4 speakers, ")
    assert "48 usable utterances" in done.out
    assert str(tmp_path / "out" / "report.json") in done.out


def test_prepare_warns_of_what_it_rejects(sorigeul: Command, bad: dict[str, Path]) -> None:
    folder = bad["empty"].parent
    tones.record(folder / "corpus", tones.texts(12), ["train"] * 8 + ["dev", "dev", "test", "test"])
    (folder / "corpus" / "u03.wav").write_bytes(b"")
    done = sorigeul("prepare", "table", folder / "corpus" / "table.csv", folder / "out")
    assert done.status == 0
    assert "warning: rejected u03.wav (table.csv:5): " in done.err
    assert "1 rejected" in done.out


def test_a_table_without_the_columns_is_refused(sorigeul: Command, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("audio,words\na.wav,hello\n", encoding="utf-8")
    done = sorigeul("prepare", "table", tmp_path / "table.csv", tmp_path / "out")
    assert done.status == 2
    assert "no column text" in done.error()
    assert "audio, words" in done.error()
    assert not (tmp_path / "out").exists()


# train


def test_train_needs_manifests(sorigeul: Command, tmp_path: Path) -> None:
    done = sorigeul("train", tmp_path / "nowhere", tmp_path / "run")
    assert (done.status, done.out) == (2, "")
    assert "make one with 'sorigeul prepare'" in done.error()
    done = sorigeul("train", tmp_path, tmp_path / "run")
    assert done.status == 2
    assert f"{tmp_path} has no manifest train.jsonl" in done.error()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such vocabulary file"),
        (b"", "the first line must be"),
        (b"\xff\xff", "vocabulary.csv"),
        ("id,char,freq\n0,가,3\n2,나,1\n".encode(), "vocabulary.csv:3"),
        ("id,char,freq\n0,가,3\n1,나,1\n".encode(), "the last three units must be"),
    ],
)
def test_train_needs_a_usable_vocabulary(
    sorigeul: Command, corpus: Path, tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "vocabulary.csv"
    if content is not None:
        path.write_bytes(content)
    done = sorigeul("train", corpus, tmp_path / "run", "--vocabulary", path)
    assert done.status == 2
    assert said in done.error()
    assert str(path) in done.error()
    assert not (tmp_path / "run").exists()


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """A run that may be changed."""
    return Path(shutil.copytree(run, tmp_path / "copied"))


@pytest.mark.parametrize(("setting", "begun", "now"), [("hidden_size", 16, 8), ("n_mels", 16, 20)])
def test_a_run_goes_on_with_the_model_it_was_begun_with(
    sorigeul: Command, corpus: Path, copied: Path, setting: str, begun: int, now: int
) -> None:
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    done = sorigeul("train", corpus, copied, f"--{setting}", str(now))
    assert done.status == 2
    assert f"was begun with {setting} {begun}, not {now}" in done.error()
    for path, content in before.items():
        assert path.read_bytes() == content


@pytest.mark.parametrize("first", [True, False])
def test_a_finished_run_goes_on_where_more_is_asked_for(
    sorigeul: Command, corpus: Path, copied: Path, first: bool
) -> None:
    assert read_metrics(copied, "epoch")[-1]["step"] == 240
    places, more = [corpus, copied], ["--max_epochs", "4", "--max_steps=242"]
    done = sorigeul("train", *(more + places if first else places + more))
    assert done.status == 0
    assert "going on from step 240" in done.err
    epochs = read_metrics(copied, "epoch")
    assert [(row["epoch"], row["step"]) for row in epochs[-2:]] == [(2, 240), (3, 242)]
    assert len(done.out.splitlines()) == 1
    assert done.out.startswith("|3|")
    state = checkpoints.latest_checkpoint(copied)
    assert state is not None
    assert state["position"]["step"] == 242


def test_a_finished_run_says_so(sorigeul: Command, corpus: Path, copied: Path) -> None:
    done = sorigeul("train", corpus, copied)
    assert (done.status, done.out) == (0, "")
    assert f"{copied} is finished; raise --max_epochs" in done.err
    done = sorigeul("train", corpus, copied, "--config", copied / "config.yaml")
    assert done.status == 0


# evaluate


def test_evaluate_counts_what_it_cannot_hear_and_prints_nothing_but_json(
    run: Path, tmp_path: Path
) -> None:
    folder = tones.manifests(tmp_path, tones.texts(6), ["test"] * 6)
    (tmp_path / "audio" / "u02.wav").unlink()
    done = in_a_process("evaluate", run, folder, "--json", "-")
    assert done.status == 0
    figures = json.loads(done.out)
    assert figures.keys() >= CONTRACT
    assert figures["utterances"] == 6
    assert figures["reference_characters"] == len("".join(tones.texts(6)))
    assert figures["normalizer"] == "plain/1"
    assert list(figures["failures"]) == ["u02.wav"]
    assert figures["cer_no_space"] >= 100 * len(tones.texts(6)[2]) / figures["reference_characters"]
    (warning,) = done.err.splitlines()
    assert warning.startswith("warning: u02.wav counts as recognised as nothing: ")


def test_evaluate_prints_figures_and_the_worst(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    done = sorigeul("evaluate", run, corpus, "--worst", "2", "--json", tmp_path / "a" / "b.json")
    assert (done.status, done.err) == (0, "")
    figures = json.loads((tmp_path / "a" / "b.json").read_text(encoding="utf-8"))
    for name in CONTRACT:
        value = figures[name]
        shown = f"{value:.2f}" if isinstance(value, float) else str(value)
        assert f"\n{name}: {shown}\n" in f"\n{done.out}"
    assert done.out.count("\nREF: ") == done.out.count("\nHYP: ") == 2


def test_evaluate_takes_a_split_or_a_manifest(sorigeul: Command, run: Path, corpus: Path) -> None:
    by_split = sorigeul("evaluate", run, corpus, "--split", "dev", "--json", "-")
    by_file = sorigeul("evaluate", run, corpus / "dev.jsonl", "--json", "-")
    assert json.loads(by_split.out) == json.loads(by_file.out)
    done = sorigeul("evaluate", run, corpus, "--split", "eval_clean")
    assert done.status == 2
    assert "found: dev, test, train" in done.error()
    done = sorigeul("evaluate", corpus, run)
    assert done.status == 2
    assert f"{corpus} holds no finished model" in done.error()


def test_evaluate_warns_of_another_normaliser(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    manifest = (corpus / "dev.jsonl").read_text(encoding="utf-8")
    (tmp_path / "dev.jsonl").write_text(manifest.replace("plain/1", "other/2"), encoding="utf-8")
    done = sorigeul("evaluate", run, tmp_path / "dev.jsonl", "--json", "-")
    assert json.loads(done.out)["normalizer"] == "other/2"
    assert done.err == "warning: trained on plain/1 text, evaluated on other/2 text\n"


def test_a_place_that_is_taken_is_told(run: Path, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    done = in_a_process("evaluate", run, corpus, "--json", tmp_path / "figures")
    assert done.status == 2
    assert done.error() == f"{tmp_path / 'figures'}: Is a directory; choose another place"
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]


# info


def test_info_says_what_a_run_is(sorigeul: Command, run: Path) -> None:
    done = sorigeul("info", run)
    assert (done.status, done.err) == (0, "")
    pretrained = load_pretrained(run)
    assert done.out.startswith(f"{pretrained.model}\n")
    assert "(bottom_rnn): GRU(32, 16, " in done.out
    assert f"vocabulary: 7 units (syllable), {pretrained.vocabulary.hash[:12]}" in done.out
    assert f"features: {pretrained.features}" in done.out
    assert "text: plain/1" in done.out
    assert f"valid_crr: {pretrained.results['valid_crr']}" in done.out
    assert (run / "results.md").read_text(encoding="utf-8") in done.out
