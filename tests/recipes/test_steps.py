"""Following a recipe: commands one after the other, each of them once."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.commands import Command
from helpers.trees import write_text

SCORING = """# Scores two files of texts.
corpora: [texts of a recogniser, what was said]
steps:
  look: recipe pansori --show
  score: evaluate --hyp {corpus} --ref {corpus2} --json "{out}/all of them.json"
figures: {test: "{out}/all of them.json"}
"""

LOOKING = """
corpora: [anything]
steps: {first: recipe pansori --show, second: recipe kspon --show}
figures: {}
"""

WITH_PLACES = LOOKING.replace("recipe pansori --show", "'recipe pansori --show {corpus} {out}'")


def test_the_steps_run_in_order_and_the_figures_are_shown(
    sorigeul: Command, tmp_path: Path
) -> None:
    said = "".join(f"{number}\t오늘은 날씨가 좋습니다\n" for number in range(5))
    recipe = write_text(tmp_path / "scoring.yaml", SCORING)
    heard = write_text(tmp_path / "heard.tsv", said.replace("날씨", "날시", 1))
    out = tmp_path / "out"
    done = sorigeul("recipe", recipe, heard, write_text(tmp_path / "said.tsv", said), out)
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert [line for line in lines if line.startswith("==")] == [
        "== 1 of 2: look ==",
        "== 2 of 2: score ==",
    ]
    assert json.loads((out / "all of them.json").read_bytes())["crr"] == pytest.approx(98.0)
    assert any(line.startswith("| test | 98.00") and line.endswith(" 5 |") for line in lines)
    results = (out / "results.md").read_text(encoding="utf-8")
    assert "Scores two files of texts." in results
    assert "all of them.json'`" in results  # as one types it
    assert (out / "recipe.yaml").read_text(encoding="utf-8") == SCORING


def test_what_is_done_is_not_done_again_and_a_changed_step_is_with_all_after_it(
    sorigeul: Command, tmp_path: Path
) -> None:
    recipe, out = write_text(tmp_path / "looking.yaml", LOOKING), tmp_path / "out"
    assert sorigeul("recipe", recipe, tmp_path, out).status == 0
    again = sorigeul("recipe", recipe, tmp_path, out)
    assert again.status == 0
    assert "== 1 of 2: first == done before\n== 2 of 2: second == done before\n" in again.out
    write_text(recipe, LOOKING.replace("kspon", "zeroth"))
    changed = sorigeul("recipe", recipe, tmp_path, out)
    assert "== 1 of 2: first == done before\n== 2 of 2: second ==\n" in changed.out
    write_text(recipe, LOOKING.replace("pansori --show", "zeroth --show"))
    assert "done before" not in sorigeul("recipe", recipe, tmp_path, out).out


def test_steps_are_known_again_however_their_paths_are_spelt(
    sorigeul: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, corpus = write_text(tmp_path / "looking.yaml", WITH_PLACES), tmp_path / "corpus"
    for folder in (corpus, tmp_path / "elsewhere" / "corpus"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert sorigeul("recipe", recipe, "corpus", "out").status == 0
    monkeypatch.chdir(corpus)
    again = sorigeul("recipe", recipe, ".", tmp_path / "out")
    assert "== 1 of 2: first == done before\n== 2 of 2: second == done before\n" in again.out
    monkeypatch.chdir(tmp_path / "elsewhere")
    other = sorigeul("recipe", recipe, "corpus", tmp_path / "out")
    assert "done before" not in other.out
    was = f"$ sorigeul recipe pansori --show {corpus} {tmp_path / 'out'}\n"
    assert f"step first is another now, so it and all after it run; its command was\n{was}" in (
        other.out
    )


def test_what_an_earlier_version_has_done_is_known(sorigeul: Command, tmp_path: Path) -> None:
    """Its record has the commands as they were typed."""
    recipe, out = write_text(tmp_path / "looking.yaml", WITH_PLACES), tmp_path / "out"
    assert sorigeul("recipe", recipe, tmp_path, out).status == 0
    record = json.loads((out / "recipe.json").read_bytes())
    for step in record.values():
        del step["absolute"]
    write_text(out / "recipe.json", json.dumps(record))
    again = sorigeul("recipe", recipe, tmp_path, out)
    assert "== 1 of 2: first == done before\n== 2 of 2: second == done before\n" in again.out


def test_a_step_that_fails_ends_the_recipe_which_goes_on_from_there(
    sorigeul: Command, tmp_path: Path
) -> None:
    recipe = write_text(tmp_path / "looking.yaml", LOOKING.replace("kspon", "nonsense"))
    out = tmp_path / "out"
    failed = sorigeul("recipe", recipe, tmp_path, out)
    assert failed.status == 2
    assert failed.error().startswith("step second ended with status 2, for the reason above")
    assert not (out / "results.md").exists()
    write_text(recipe, LOOKING)
    mended = sorigeul("recipe", recipe, tmp_path, out)
    assert mended.status == 0, mended.err
    assert "first == done before" in mended.out


@pytest.mark.parametrize("in_the_background", [False, True])
def test_ctrl_c_ends_the_running_step_which_then_goes_on(
    tmp_path: Path, in_the_background: bool
) -> None:
    """A shell lets the jobs in its background ignore SIGINT; who sends it to one means it."""
    recipe = write_text(
        tmp_path / "long.yaml",
        "corpora: [anything]\nfigures: {}\n"
        "steps: {synthesise: 'prepare demo {out}/data --utterances 60000'}\n",
    )
    out = tmp_path / "out"
    arguments = [sys.executable, "-m", "sorigeul", "recipe", recipe, tmp_path, out]
    disposition = signal.SIG_IGN if in_the_background else signal.default_int_handler
    before = signal.signal(signal.SIGINT, disposition)  # which the process inherits
    try:
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        deadline = time.monotonic() + 120
        while not list((out / "data").rglob("*.flac")) and time.monotonic() < deadline:
            time.sleep(0.05)
        step = json.loads((out / "recipe.json").read_bytes())["synthesise"]
        assert not step["ended"]  # it is known already, should this process be killed
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    finally:
        process.terminate()  # which goes on to the step
        process.wait()
    assert process.returncode == 130, output.decode()
    step = json.loads((out / "recipe.json").read_bytes())["synthesise"]
    assert not step["ended"]
    assert step["seconds"] > 0
    assert not list(out.rglob(".lock*"))  # nobody works there any more


def test_figures_that_no_step_has_written_are_named(sorigeul: Command, tmp_path: Path) -> None:
    figures = 'figures: {dev: "{out}/dev.json"}'
    recipe = write_text(tmp_path / "looking.yaml", LOOKING.replace("figures: {}", figures))
    out = tmp_path / "out"
    refused = sorigeul("recipe", recipe, tmp_path, out)
    assert refused.status == 2
    assert f"{out / 'dev.json'}: no figures of dev" in refused.error()
    write_text(out / "dev.json", "[" * 100_000)
    assert (
        "no figures of dev (maximum recursion" in sorigeul("recipe", recipe, tmp_path, out).error()
    )
    write_text(out / "dev.json", '{"crr": 1}')
    assert "no figures of dev ('cer')" in sorigeul("recipe", recipe, tmp_path, out).error()


def test_places_that_do_not_fit_are_refused_before_any_work(
    sorigeul: Command, tmp_path: Path
) -> None:
    recipe = write_text(tmp_path / "looking.yaml", LOOKING)
    assert "there are kspon, pansori" in sorigeul("recipe", "pansory", recipe, "out").error()
    assert "give these 2 places, not 1" in sorigeul("recipe", recipe, tmp_path).error()
    missing = sorigeul("recipe", recipe, tmp_path / "gone", tmp_path / "out").error()
    assert missing.endswith("gone: no such file or folder")
    taken = tmp_path / "taken"
    taken.mkdir()
    write_text(taken / "notes.txt", "mine")
    assert "holds something else" in sorigeul("recipe", recipe, tmp_path, taken).error()
    write_text(tmp_path / "out" / "recipe.json", "[1")
    assert "is damaged" in sorigeul("recipe", recipe, tmp_path, tmp_path / "out").error()
