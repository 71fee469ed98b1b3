"""`sorigeul data`: what its commands print and refuse."""

import json
import signal
from pathlib import Path

import pytest
from helpers.commands import Command
from helpers.damaged_corpora import copy_corpus, rows
from helpers.processes import Forked, Pause

from sorigeul.corpora.counts import SplitCounts


def test_stats_are_a_table_and_a_page(sorigeul: Command, corpus: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = sorigeul("data", "stats", corpus, "--report", page, "--sample", "8", "--jobs", "1")
    assert done.status == 0
    assert "| utterances " in done.out
    assert page.read_bytes().startswith(b"<!doctype html>")
    again = sorigeul("data", "stats", corpus, "--report", page, "--sample", "8", "--jobs", "1")
    assert again.out == done.out  # its own page may be replaced
    page.write_text("mine", encoding="utf-8")
    done = sorigeul("data", "stats", corpus, "--report", page)
    assert (done.status, page.read_text(encoding="utf-8")) == (2, "mine")
    assert f"{page} exists, and --report would overwrite it" in done.error()


def test_stats_count_recordings_that_cannot_be_read(
    sorigeul: Command, corpus: Path, tmp_path: Path
) -> None:
    train = rows(corpus)
    for row in train[:7]:
        row["recording"]["sources"][0]["source"] = str(tmp_path / f"{row['id']}.wav")
    copy, page = copy_corpus(corpus, tmp_path / "copy", train=train), tmp_path / "page.html"
    done = sorigeul("data", "stats", copy, "--report", page, "--sample", "0", "--jobs", "1")
    assert done.status == 2
    assert "| utterances " in done.out
    assert page.is_file()  # everything else is done
    _, *named, more = done.err.splitlines()[:-1]  # the first is about dev and test
    assert len(named) == 5
    assert all("cannot be opened" in line for line in named)
    assert more == "warning: and 2 more"
    assert done.error().startswith("7 of 48 recordings could not be read: 'sorigeul data check'")


def test_new_corpora_are_made_and_whole(sorigeul: Command, corpus: Path, tmp_path: Path) -> None:
    for command, *places in (
        (
            "filter",
            corpus,
            "filtered",
            "--splits",
            "train",
            "--splits",
            "dev",
            "--max_duration",
            "1.3",
        ),
        ("split", corpus, "split", "--test_share", "0.2", "--seed", "3"),
        ("merge", corpus, "filtered", "merged"),
    ):
        new = [tmp_path / one if one in ("filtered", "split", "merged") else one for one in places]
        done = sorigeul("data", command, *new)
        assert done.status == 0, done.err
        assert "utterances, 0.0" in done.out.splitlines()[-1]
    assert "left out, the reasons are in" not in done.out
    for name in ("filtered", "split", "merged"):
        done = sorigeul("data", "check", tmp_path / name, "--jobs", "1")
        assert done.out.splitlines()[-1].endswith(" utterances: nothing is wrong"), done.err
    report = json.loads((tmp_path / "filtered" / "report.json").read_text(encoding="utf-8"))
    places = {item["where"] for item in report["rejected"]}
    assert places == {"train.jsonl", "test.jsonl", "dev.jsonl"}


def test_a_terminated_command_leaves_nothing(corpus: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    pause = Pause(20, [(SplitCounts, "add")])
    command = Forked(tmp_path / "output", "data", "filter", corpus, new, pause=pause)
    assert command.wait_until_paused()
    command.kill(signal.SIGTERM)
    assert command.done().status == 130
    assert not new.exists()


def test_head_shows_the_first_utterances(sorigeul: Command, corpus: Path) -> None:
    done = sorigeul("data", "head", corpus, "--lines", "2", "--split", "dev")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [row[0] for row in rows] == ["dev", "dev"]
    assert all(len(row) == 5 and set(row[4]) <= set("가나다라") for row in rows)
    assert (
        "has no eval_clean; it has train, dev, test"
        in sorigeul("data", "head", corpus, "--split", "eval_clean").error()
    )


def test_check_names_what_is_wrong(sorigeul: Command, corpus: Path, tmp_path: Path) -> None:
    sorigeul("data", "filter", corpus, tmp_path / "new")
    (tmp_path / "new" / "report.json").unlink()
    done = sorigeul("data", "check", tmp_path / "new", "--jobs", "1")
    assert done.status == 2
    assert "warning: 1 x no report: report.json" in done.err
    assert "has 1 faults, named above: make it again with 'sorigeul prepare'" in done.error()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("statts OUT", "'data statts' is no command; perhaps data stats"),
        ("merge a b", "Missing from sorigeul data merge: OUT, OUT and NEW"),
        ("stats nowhere", "nowhere is no folder of manifests"),
        ("filter a b --min_duration x", "min_duration is 'x', but must be at least 0"),
        ("split a b --dev_share 0.6 --test_share 0.6", "together they must be below 1"),
        *(
            (f"{command} --jobs 1024", "jobs is 1,024, but so many processes would take about 256")
            for command in ("stats OUT", "split OUT NEW", "check OUT")
        ),
        ("head", "Missing from sorigeul data head: OUT"),
    ],
)
def test_a_mistake_is_told_in_a_line(
    sorigeul: Command, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.setattr("sorigeul.base.capacity.machine_gib", lambda: 16.0)
    done = sorigeul("data", *arguments.split())
    assert (done.status, done.out) == (2, "")
    assert message in done.error()


def test_without_a_command_they_are_listed(sorigeul: Command) -> None:
    out = sorigeul("data").out
    for name in ("stats", "merge", "filter", "split", "head", "check"):
        assert f"\n  {name:<8}" in out
