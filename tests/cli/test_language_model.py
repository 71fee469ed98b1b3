"""`sorigeul lm train`, `lm score` and `lm sample`: from a text file to bits and lines."""

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import Command
from helpers.texts import corpus_of
from helpers.trees import file_contents

from sorigeul.base.locks import locked_folder
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.metrics import read_metrics

pytestmark = pytest.mark.usefixtures("undrawn")

TINY = [
    *("--hidden_size", "16"),
    *("--batch_characters", "256"),
    *("--max_epochs", "2"),
    *("--heldout_share", "0.2"),
]


@pytest.fixture(scope="module")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lines of the four syllables that the recogniser of the fixture `run` knows."""
    random = np.random.default_rng(0)
    lines = ["".join(random.choice(["가나", "다라", "다가"], 8)) for _ in range(150)]
    path = tmp_path_factory.mktemp("text") / "lines.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def language_model(sorigeul: Command, text_file: Path, run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "lm"
    done = sorigeul("lm", "train", text_file, folder, "--vocabulary", run, *TINY)
    assert done.status == 0, done.err
    assert done.out.startswith("|Step|Epochs|")
    return folder


def test_help_shows_the_three_commands(sorigeul: Command) -> None:
    for arguments in (["lm"], ["lm", "--help"]):
        done = sorigeul(*arguments)
        assert done.status == 0
        for name in ("train", "score", "sample"):
            assert re.search(rf"(?m)^  {name} +\w.*\.$", done.out), name
    for name in ("train", "score", "sample"):
        assert f"usage: sorigeul lm {name}" in sorigeul("lm", name, "--help").out


def test_a_training_begins_again_only_at_the_users_word_and_alone(
    sorigeul: Command, language_model: Path, text_file: Path, run: Path
) -> None:
    again = ("lm", "train", text_file, language_model, "--vocabulary", run, *TINY)
    with locked_folder(language_model):
        assert f"is being written by process {os.getpid()} on " in sorigeul(*again).error()
    for checkpoint in (language_model / "checkpoints").glob("step-*.pt"):
        checkpoint.write_bytes(b"lost")
    assert "no checkpoint in" in sorigeul(*again).err
    before = file_contents(language_model)
    assert "give --restart to begin again from step 0" in sorigeul(*again).error()
    assert file_contents(language_model) == before
    done = sorigeul("lm", "train", "--restart", *again[2:])
    assert done.status == 0, done.err
    assert file_contents(language_model / "earlier-1") == before
    assert (language_model / "model.safetensors").is_file()


def test_a_model_is_trained_scored_and_sampled(
    sorigeul: Command, language_model: Path, text_file: Path, run: Path, tmp_path: Path
) -> None:
    vocabulary = (language_model / "vocabulary.json").read_text(encoding="utf-8")
    assert vocabulary == (run / "vocabulary.json").read_text(encoding="utf-8")
    config = json.loads((language_model / "config.json").read_text(encoding="utf-8"))
    few = tmp_path / "few.txt"
    few.write_text("가나다라가\n\n바가나\n", encoding="utf-8")
    done = sorigeul("lm", "score", language_model, few, "--per_line")
    assert done.status == 0
    *lines, bits, perplexity, characters, unknown = done.out.splitlines()
    assert [line.partition("\t")[2] for line in lines] == ["가나다라가", "바가나"]
    total = sum(float(line.partition("\t")[0]) for line in lines)
    assert (characters, unknown) == ("characters: 9", "unknown characters: 1")
    bits_per_character = float(bits.removeprefix("bits a character: "))
    assert bits_per_character == pytest.approx(-total / 9 / math.log(2), abs=1e-3)
    assert float(perplexity.removeprefix("perplexity: ")) == pytest.approx(
        2**bits_per_character, 1e-3
    )

    whole = sorigeul("lm", "score", language_model, text_file).out
    found = float(whole.splitlines()[0].removeprefix("bits a character: "))
    assert found == pytest.approx(config["heldout_bits_per_character"], abs=0.2)

    sample = ["lm", "sample", language_model, "--lines", "3", "--start", "가나", "--seed", "7"]
    written = sorigeul(*sample)
    assert len(written.out.splitlines()) == 3
    assert all(line.startswith("가나") for line in written.out.splitlines())
    assert sorigeul(*sample).out == written.out


def test_a_transformer_is_trained_scored_and_sampled(
    sorigeul: Command, text_file: Path, run: Path, tmp_path: Path
) -> None:
    folder, few = tmp_path / "lm", tmp_path / "few.txt"
    few.write_text("가나다라\n", encoding="utf-8")
    tiny = (*TINY[2:], "--transformer_width", "16", "--transformer_layers", "1")
    command = ("lm", "train", text_file, folder, "--vocabulary", run, "--preset", "transformer")
    assert sorigeul(*command, *tiny).status == 0
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["kind"], config["model"]["transformer_width"]) == ("transformer", 16)
    assert sorigeul("lm", "score", folder, few).out.startswith("bits a character: ")
    assert len(sorigeul("lm", "sample", folder, "--lines", "2").out.splitlines()) == 2
    done = sorigeul("lm", "train", text_file, folder, "--kind", "recurrent")
    assert done.status == 2
    assert f"{folder} holds a model of kind transformer" in done.error()


def test_a_training_goes_on_with_its_own_settings_and_vocabulary(
    sorigeul: Command, language_model: Path, text_file: Path
) -> None:
    before = read_metrics(language_model, "evaluation")
    done = sorigeul("lm", "train", text_file, language_model)
    assert (done.status, done.out) == (0, "")
    assert f"{language_model} is finished; raise --max_epochs" in done.err
    done = sorigeul("lm", "train", text_file, language_model, "--max_epochs", "3")
    assert done.status == 0
    after = read_metrics(language_model, "evaluation")
    assert after[: len(before)] == before
    assert after[-1]["epochs"] == pytest.approx(3)
    done = sorigeul("lm", "train", text_file, language_model, "--hidden_size", "8")
    assert done.status == 2
    assert "was begun with hidden_size 16, not 8" in done.error()


def test_a_training_goes_on_with_no_other_text(
    sorigeul: Command, text_file: Path, run: Path, tmp_path: Path
) -> None:
    folder, other = tmp_path / "lm", tmp_path / "other.txt"
    kept_out = corpus_of(tmp_path / "kept_out", train=["가나"], dev=["다라"])
    begin = ["lm", "train", text_file, folder, "--exclude", kept_out]
    done = sorigeul(*begin, *TINY, "--vocabulary", run, "--max_steps", "1")
    assert done.status == 0, done.err
    before = file_contents(folder)
    other.write_text("가나다라\n마바사\n", encoding="utf-8")
    excluded = ["--exclude", corpus_of(tmp_path / "more", train=["가나"], test=["마바"])]
    for arguments, changes in (
        ([other, folder], "sources"),
        ([text_file, other, folder], "sources"),
        ([text_file, folder, *excluded], "--exclude"),
        ([text_file, folder, "--heldout_share", "0.5"], "--heldout_share"),
        ([tmp_path / "missing.txt", folder], "sources"),
    ):
        done = sorigeul("lm", "train", *arguments, "--max_steps", "2")
        assert done.status == 2
        assert f"{folder} was begun with other text ({changes})" in done.error()
        assert file_contents(folder) == before
    text_file_again = text_file.rename(tmp_path / "moved.txt")  # its ids are in the folder
    done = sorigeul("lm", "train", text_file, folder, "--max_steps", "2")
    assert done.status == 0, done.err
    text_file_again.rename(text_file)


def test_transcripts_of_excluded_corpora_stay_out(
    sorigeul: Command, text_file: Path, run: Path, tmp_path: Path
) -> None:
    lines = text_file.read_text(encoding="utf-8").splitlines()
    one = corpus_of(tmp_path / "one", train=lines[:2], dev=lines[2:4], test=lines[4:5])
    other = corpus_of(tmp_path / "other", train=lines[:2], test=lines[5:8])
    arguments = ["lm", "train", text_file, tmp_path / "lm", "--vocabulary", run]
    done = sorigeul(*arguments, *TINY, "--exclude", one, "--exclude", other)
    assert done.status == 0, done.err
    report = json.loads((tmp_path / "lm" / "text" / "report.json").read_text(encoding="utf-8"))
    assert report["left_out"]["excluded transcript"] == 6
    assert "left out, excluded transcript : 6" in (tmp_path / "lm" / "results.md").read_text(
        "utf-8"
    )


def test_an_ngram_model_has_the_same_folder(
    sorigeul: Command, text_file: Path, run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "lm"
    options = ["--kind", "ngram", "--order", "3", "--prune", "0", "--heldout_share", "0.2"]
    done = sorigeul("lm", "train", text_file, folder, "--vocabulary", run, *options)
    assert done.status == 0, done.err
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["kind"], config["model"]["order"]) == ("ngram", 3)
    bits = config["heldout_bits_per_character"]
    assert f"|{bits:.4f}|" in (folder / "results.md").read_text(encoding="utf-8")
    for name in ("config.yaml", "text/report.json", "run.json", "metrics.jsonl"):
        assert (folder / name).is_file()
    found = sorigeul("lm", "score", folder, text_file).out.splitlines()[0]
    assert float(found.removeprefix("bits a character: ")) == pytest.approx(bits, abs=0.2)
    assert len(sorigeul("lm", "sample", folder, "--lines", "2").out.splitlines()) == 2
    before = file_contents(folder)
    done = sorigeul("lm", "train", text_file, folder, "--vocabulary", run, *options)
    assert done.status == 2
    assert "--restart" in done.error()
    assert file_contents(folder) == before


def test_a_vocabulary_may_come_from_a_corpus_or_a_file(
    sorigeul: Command, text_file: Path, corpus: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(
        "id,char,freq\n0,다,1\n1,나,1\n2,가,1\n3,라,1\n4,<s>,0\n5,</s>,0\n6,_,0\n", encoding="utf-8"
    )
    words = Vocabulary.from_texts(["가나다라 "])
    (tmp_path / "units.json").write_text(words.to_json(), encoding="utf-8")
    sizes = {}
    for source in (corpus, table, tmp_path / "units.json"):
        folder = tmp_path / f"lm-{source.stem}"
        options = ["--vocabulary", source, *TINY, "--max_steps", "1"]
        done = sorigeul("lm", "train", text_file, folder, *options)
        assert done.status == 0, done.err
        path = folder / "vocabulary.json"
        sizes[source.stem] = len(Vocabulary.from_json(path.read_text("utf-8"), str(path)))
    assert sizes == {corpus.stem: sizes[corpus.stem], "table": 7, "units": 8}
    assert sizes[corpus.stem] >= 4 + 3


def test_another_model_is_not_overwritten(
    sorigeul: Command, language_model: Path, copied_run: Path, text_file: Path
) -> None:
    for folder, message in (
        (copied_run, "config.json is damaged, or not of a language model"),
        (language_model, "holds a model of kind recurrent: train into a new folder"),
    ):
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        options = ["--preset", "cpu", "--kind", "ngram", "--vocabulary", folder]
        done = sorigeul("lm", "train", text_file, folder, *options)
        assert done.status == 2
        assert message in done.error()
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (copied_run / "config.json").unlink()  # as before the first epoch
    done = sorigeul("lm", "train", text_file, copied_run, *options)
    assert "holds the training of a recogniser" in done.error()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("tarin a b", "'lm tarin' is no command; perhaps lm train"),
        ("train a", "Missing from sorigeul lm train: TEXT… and LM"),
        ("train a b", "--vocabulary RUN"),
        ("train a b --vocabulary ./nowhere", "./nowhere"),
        ("train nowhere.txt b --vocabulary units.json", "nowhere.txt"),
        ("train a b --hiden_size 4", "--hiden_size, 4; perhaps --hidden_size"),
        ("train a b --preset tpu", "preset 'tpu' is none of cpu, gpu"),
        ("train a b --preset cpu --config c.yaml", "exclude each other"),
        ("train a b --lr -1", "lr is -1.0, but must be above 0"),
        ("score ./nowhere a.txt", "./nowhere is neither the folder of a language model nor"),
        ("score a", "Missing from sorigeul lm score: FILE"),
        ("sample . --lines 3", "holds no finished language model"),
    ],
)
def test_a_mistake_is_reported_in_one_line(
    sorigeul: Command,
    arguments: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "units.json").write_text(Vocabulary.from_texts(["가나"]).to_json(), "utf-8")
    done = sorigeul("lm", *arguments.split())
    assert done.status == 2
    assert done.out == ""
    assert message in done.error()
    assert [path.name for path in tmp_path.iterdir()] == ["units.json"]
