"""docs/results.md: each kept run has its row, and the page agrees with docs/runs."""

import json
import shutil
from pathlib import Path

import pytest
from helpers import tones
from helpers.commands import Command
from helpers.paths import ROOT, SHARED
from helpers.scripts import load_benchmark

from sorigeul.base.files import write_text
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare

results = load_benchmark("results")


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, recorded as started from the command line."""
    from sorigeul.base import provenance
    from sorigeul.training.run import train

    run = tmp_path_factory.mktemp("results") / "run"
    settings = tones.TINY.changed({"max_epochs": 2, "augment_ratio": 1.0}, "test")
    command = provenance.command_line(["sorigeul", "train", str(corpus), str(run)])
    train(corpus, run, settings, command)
    return run


@pytest.fixture
def evaluated(trained: Path, corpus: Path, sorigeul: Command) -> Path:
    """The run with its scores on test, of both heads and of the speller alone."""
    for options, file in (((), "test.json"), (("--beam", "1"), "test_speller.json")):
        if not (trained / file).exists():
            done = sorigeul("evaluate", trained, corpus, *options, "--json", trained / file)
            assert done.status == 0, done.err
    return trained


def run_script(docs: Path, *arguments: str | Path) -> None:
    results.main(["--docs", str(docs), *map(str, arguments)])


def error_of(capsys: pytest.CaptureFixture[str], docs: Path, *arguments: str | Path) -> str:
    """The only line of standard error of a call that fails."""
    with pytest.raises(SystemExit) as end:
        run_script(docs, *arguments)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return str(line)


def test_a_kept_run_has_its_row_and_writing_again_changes_nothing(
    evaluated: Path, corpus: Path, tmp_path: Path
) -> None:
    note = "a note | with a bar"
    run_script(tmp_path, "keep", evaluated, "first", "--group", "ablation", "--note", note)
    run_script(tmp_path, "keep", evaluated, "second", "--group", "presets")
    run_script(tmp_path, "corpus", corpus)
    run_script(tmp_path, "write")
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    test = json.loads((evaluated / "test.json").read_text(encoding="utf-8"))
    row, command_row = (line for line in page.splitlines() if line.startswith("| first |"))
    speller = json.loads((evaluated / "test_speller.json").read_text(encoding="utf-8"))
    rates = [test[name] for name in ("crr", "cer", "wer")]
    rates += [speller[name] for name in ("crr", "cer", "wer", "ctc_crr", "ctc_cer", "ctc_wer")]
    assert " | ".join(f"{rate:.2f}" for rate in rates) in row
    for words in ("`hidden_size 16`", " 2 of 2 ", "a note \\| with a bar"):
        assert words in row
    assert "alignment_by" not in row
    record = json.loads((evaluated / "run.json").read_text(encoding="utf-8"))
    assert f"`{record['command']}`" in command_row
    assert record["machine"] in command_row
    assert page.index("## Presets") < page.index("## Ablation")
    assert f"manifests, {test['utterances']} utterances" in page
    plots = [tmp_path / "images" / f"results_{group}.png" for group in ("presets", "ablation")]
    before = [path.read_bytes() for path in plots]
    run_script(tmp_path, "write")
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == page
    assert [path.read_bytes() for path in plots] == before
    kept = tmp_path / "runs" / "first" / "metrics.jsonl"
    assert {json.loads(line)["kind"] for line in kept.read_text().splitlines()} == {"epoch"}


def test_a_run_is_compared_with_the_kept_run_that_it_names(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_script(tmp_path, "keep", evaluated, "old", "--group", "ablation")
    run_script(tmp_path, "keep", evaluated, "new", "--group", "ablation", "--like", "old")
    config = tmp_path / "runs" / "new" / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("hidden_size: 16", "hidden_size: 24"), encoding="utf-8")
    run_script(tmp_path, "write")
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "| new | `old`, `hidden_size 24` | " in page
    shutil.rmtree(tmp_path / "runs" / "old")
    assert "compared with old, which is not kept" in error_of(capsys, tmp_path, "write")


def test_keeping_a_run_again_keeps_its_group_and_note(evaluated: Path, tmp_path: Path) -> None:
    run_script(tmp_path, "keep", evaluated, "one", "--group", "ablation", "--note", "what it shows")
    run_script(tmp_path, "keep", evaluated, "one")
    about = json.loads((tmp_path / "runs" / "one" / "about.json").read_text(encoding="utf-8"))
    assert about == {"group": "ablation", "note": "what it shows", "like": ""}


def test_scores_of_an_earlier_model_do_not_stay(evaluated: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(evaluated, tmp_path / "run"))
    further = shutil.copy(run / "test.json", run / "test_lm.json")
    run_script(tmp_path, "keep", run, "one")
    kept = tmp_path / "runs" / "one"
    assert (kept / "test_lm.json").exists()
    Path(further).unlink()
    run_script(tmp_path, "keep", run, "one")
    assert {path.name for path in kept.glob("test*.json")} == {"test.json", "test_speller.json"}


def test_a_run_without_a_ctc_head_has_no_figures_of_both(evaluated: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(evaluated, tmp_path / "run"))
    scores = json.loads((run / "test_speller.json").read_text(encoding="utf-8"))
    alone = {name: value for name, value in scores.items() if not name.startswith("ctc_")}
    for name in ("test.json", "test_speller.json"):
        write_text(run / name, json.dumps(alone))
    run_script(tmp_path, "keep", run, "one")
    (kept,) = results.runs(tmp_path)
    assert (kept.both, kept.speller["crr"]) == ({}, scores["crr"])


def test_the_path_has_a_line_for_each_change(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(evaluated, run)
    scores = json.loads((run / "test.json").read_text(encoding="utf-8"))
    intervals = {"crr": [87.1, 88.9]}
    further = {**scores, "crr": 88.25, "intervals": intervals, "failures": {"a": "/of/a/machine"}}
    write_text(run / "test_lm.json", json.dumps(further))
    run_script(tmp_path, "keep", run, "one", "--group", "presets")
    kept = json.loads((tmp_path / "runs" / "one" / "test_lm.json").read_text(encoding="utf-8"))
    assert (kept["crr"], kept["failures"]) == (88.25, 1)
    measured = {"way": "a wide beam", "crr": 89.5, "cer": 10.5, "wer": 30.25}
    write_text(tmp_path / "runs" / "found.json", json.dumps({"rows": [measured]}))
    steps = """
steps:
  - {change: as it was, scores: one/test.json}
  - {change: n-grams, scores: one/test_lm.json}
  - {change: a wide beam, scores: found.json, way: a wide beam}
did_not_help: [a narrow beam]
"""
    write_text(tmp_path / "runs" / "path.yaml", steps)
    run_script(tmp_path, "write")
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert f"| as it was | {scores['crr']:.2f} (" in page
    assert "| n-grams | 88.25 (87.1 to 88.9) |" in page
    assert "| a wide beam | 89.50 | 10.50 | 30.25 | - |" in page
    assert "\n- a narrow beam\n" in page
    write_text(tmp_path / "runs" / "path.yaml", "# nothing yet")
    assert "has no steps" in error_of(capsys, tmp_path, "write")
    write_text(tmp_path / "runs" / "path.yaml", steps.replace("way: a wide", "way: no"))
    assert "names scores of 'no beam' in found.json" in error_of(capsys, tmp_path, "write")
    write_text(tmp_path / "runs" / "path.yaml", steps.replace("one/test_lm", "two/test_lm"))
    assert "names scores in two/test_lm.json" in error_of(capsys, tmp_path, "write")


def test_what_the_splits_share_is_counted(tmp_path: Path) -> None:
    texts = ["가나다라가나", "나나나나나나", "가나다라가나", "가나다라가다", "라라라라라라라"]
    folder = tones.manifests(tmp_path / "five", texts, ["train", "train", "test", "test", "dev"])
    run_script(tmp_path, "corpus", folder)
    corpora = json.loads((tmp_path / "runs" / "corpus.json").read_text(encoding="utf-8"))
    splits = corpora[folder.name]
    assert splits["train"]["utterances"] == 2
    assert splits["train"]["characters"] == 12
    test = splits["test"]
    assert test["texts_in_train"] == 0.5
    # Of 가나다라가, 나다라가나 and 나다라가다, train has the first two.
    assert test["character_ngrams_in_train"] == pytest.approx(2 / 3)
    assert test["word_ngrams_in_train"] is None  # no text has five words
    assert test["speakers_in_train"] == 0
    assert splits["dev"]["speakers_in_train"] == 1  # s0, who also speaks the first
    assert splits["dev"]["character_ngrams_in_train"] == 0


def test_a_missing_file_is_named_in_one_line(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(evaluated, old)
    (old / "run.json").unlink()
    assert "has no run.json" in error_of(capsys, tmp_path, "keep", old, "old")
    shutil.copy(evaluated / "run.json", old)
    (old / "test.json").unlink()
    assert f"sorigeul evaluate {old} DATA" in error_of(capsys, tmp_path, "keep", old, "old")
    write_text(old / "test.json", "{}")
    assert "no scores in" in error_of(capsys, tmp_path, "keep", old, "old")
    shutil.copy(evaluated / "test.json", old)
    (old / "test_speller.json").unlink()
    assert "DATA --beam 1 --json" in error_of(capsys, tmp_path, "keep", old, "old")
    assert "is no name" in error_of(capsys, tmp_path, "keep", evaluated, "../old")
    assert not (tmp_path / "runs").exists()
    assert "keeps no run" in error_of(capsys, tmp_path, "write")
    assert "has no train.jsonl" in error_of(capsys, tmp_path, "corpus", tmp_path / "nowhere")


def test_the_split_of_pansori_is_that_of_the_results(tmp_path: Path) -> None:
    corpus = SHARED / "corpora" / "pansori-tedxkr"
    kept = ROOT / "docs" / "runs" / "corpus.json"
    if not corpus.is_dir():
        pytest.skip("Pansori TEDxKR is not here")
    headers_only = PrepareOptions(check="header")  # the split does not depend on how they sound
    prepare(CORPORA["pansori"], corpus, tmp_path / "pansori", headers_only)
    run_script(tmp_path, "corpus", tmp_path / "pansori")
    now = json.loads((tmp_path / "runs" / "corpus.json").read_text(encoding="utf-8"))
    assert now["pansori"] == json.loads(kept.read_text(encoding="utf-8"))["pansori"]


def test_the_page_agrees_with_the_kept_runs() -> None:
    """After a run is kept or a preset changed, the page is written again by `make results`."""
    docs = ROOT / "docs"
    page = results.page(docs, results.runs(docs))
    assert (docs / "results.md").read_text(encoding="utf-8") == page, "make results"
    for name in results.READMES:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert results.readme(ROOT / name, results.runs(docs)) == text, "make results"


def test_scores_on_degraded_copies_have_a_table(
    evaluated: Path, corpus: Path, tmp_path: Path, sorigeul: Command
) -> None:
    run = Path(shutil.copytree(evaluated, tmp_path / "run"))
    degrade = ("--degrade", "level:-20", "white:30")
    assert sorigeul("evaluate", run, corpus, *degrade, "--json", run / "test.json").status == 0
    run_script(tmp_path, "keep", run, "degraded", "--group", "robustness")
    run_script(tmp_path, "keep", evaluated, "plain", "--group", "robustness")
    run_script(tmp_path, "write")
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    _, table = page.split("| run | as recorded | level:-20 | white:30 |")
    test = json.loads((run / "test.json").read_text(encoding="utf-8"))
    rates = [test["crr"], *(test["degraded"][name]["crr"] for name in degrade[1:])]
    row = " | ".join(["| degraded", *(f"{rate:.2f}" for rate in rates)]) + " |"
    assert table.splitlines()[2] == row
    assert "| plain |" not in table.split("\n\n")[0]


def test_all_corpora_of_a_run_are_named(evaluated: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(evaluated, tmp_path / "run"))
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    record["command"] = "sorigeul train data/a data/b runs/mixed --weights 0.7 0.3"
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    run_script(tmp_path, "keep", run, "mixed", "--group", "mixtures")
    run_script(tmp_path, "write")
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "On test, in %: a and b, 4 utterances" in page
