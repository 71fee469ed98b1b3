"""The entry point: commands, help, version, exit statuses, and errors in one line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import Command, in_a_process

from sorigeul.cli.entry import COMMANDS


def test_without_a_command_all_are_listed() -> None:
    alone, helped = in_a_process(), in_a_process("--help")
    assert (alone.status, helped.status, alone.err) == (0, 0, "")
    assert alone.out == helped.out
    for name in COMMANDS:
        assert re.search(rf"(?m)^  {name} +\w.*\.$", alone.out), name


def test_help_does_not_load_torch() -> None:
    code = "import sys; from sorigeul.cli import main; main(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = done.stdout.splitlines()[-1]
    assert "'sorigeul.cli.entry'" in modules
    for slow in ("torch", "numpy", "lhotse"):
        assert f"'{slow}'" not in modules


def test_the_version_is_printed(sorigeul: Command) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", sorigeul("--version").out)


def test_debug_shows_where_an_error_arose(sorigeul: Command) -> None:
    plain, shown = sorigeul("info", "./nowhere"), sorigeul("info", "./nowhere", "--debug")
    assert (plain.status, shown.status) == (2, 2)
    assert shown.err.startswith("Traceback (most recent call last):")
    assert shown.err.splitlines()[-1] == plain.err.splitlines()[-1]
    assert "Traceback" not in plain.err


def test_an_output_that_is_a_folder_is_refused(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    done = sorigeul("evaluate", run, corpus, "--json", tmp_path / "results")
    assert done.status == 2
    assert done.error() == f"{tmp_path / 'results'}: is a folder; give a regular file"
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_removed_working_directory_is_said_in_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); from sorigeul.cli import main; main(['--help'])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=gone)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the working directory has been removed: change to another\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("trian a b", "'trian' is no command; perhaps train"),
        ("frobnicate", "'frobnicate' is no command; there are prepare, data, train, "),
        ("--verbose", "'--verbose' is no command; there are prepare, data, train, "),
        ("train a b --hiden_size 4", "--hiden_size, 4; perhaps --hidden_size"),
        ("train a b --hidden_size four", "hidden_size is 'four', but must be at least 1"),
        ("train a b --hidden_size", "Missing value for argument '--hidden_size'"),
        ("train a b --use_augment maybe", "Expected one of ('True', 'False')"),
        ("train a b --window square", "('hamming', 'hann', 'blackman', 'rectangular')"),
        ("evaluate a b c d", "Unrecognized options: d"),
        ("train a", "Missing from sorigeul train: RUN"),
        ("train", "Missing from sorigeul train: DATA…, RUN"),
        ("train a b --preset smal", "preset 'smal' is none of"),
        ("train a b --config a.yaml --preset seed", "exclude each other"),
        ("train a b --config nowhere.yaml", "nowhere.yaml: there is no such file"),
        ("train a b --lr -1", "lr is -1.0, but must be above 0"),
        (
            "train a b --devices many",
            "devices is 'many', but must be at least 1 and at most 1,024, or auto (",
        ),
        ("train a b --n_mels 3", "n_mels is 3, but must be at least 4"),
        ("train a b --ctc_weight 0.3 --input_reverse True", "set input_reverse False"),
        ("prepare", "SOURCE its folder or table"),
        (
            "prepare librispeech a b",
            "('kspon', 'aihub', 'zeroth', 'pansori', 'clovacall', 'commonvoice', 'fleurs', ",
        ),
        ("prepare table a", "SOURCE, then OUT"),
        ("prepare demo nowhere out", "leave it out"),
        ("prepare kspon nowhere out", "nowhere"),
        ("prepare table nowhere.csv out", "nowhere.csv: no such file"),
        ("prepare table nowhere.csv out --dev_share 2", "dev_share is 2.0"),
        ("evaluate run", "too few arguments: sorigeul evaluate RUN [RUN_B] DATA"),
        ("evaluate a/b/c data", "a/b/c is neither a run folder nor a Hugging Face id"),
        ("evaluate a b --wurst 3", "perhaps --worst"),
        ("transcribe", "Missing from sorigeul transcribe: RUN"),
        ("transcribe ./nowhere a.wav", "./nowhere is neither a run folder"),
        ("transcribe run a.wav --format doc", "there are txt, json, srt, vtt, tsv"),
        ("info", "Missing from sorigeul info: RUN"),
        ("info ./nowhere", "./nowhere is neither a run folder"),
        ("bench speed", "features"),
        ("bench features --report .", ".: is a folder; give a regular file"),
        (f"info {'x' * 5_000}", "File name too long; choose another place"),
        ("evaluate --hyp a --ref b --beam 3", "leave out --beam"),
        ("tune . data --ctc_weight 0.1", "--ctc_weight: of the search options 'tune' takes"),
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
    done = sorigeul(*arguments.split())
    assert done.status == 2
    assert done.out == ""
    assert message in done.error()
    assert len(done.err) < 2_100
    assert not list(tmp_path.iterdir())
