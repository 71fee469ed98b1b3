"""Merged, filtered and newly split corpora: complete, with nothing lost or made up."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.trees import file_contents, read_cuts, texts_by_id, write_speakers
from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.data import manifests
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.prepared.checks import check_corpus
from sorigeul.prepared.corpus import PreparedCorpus
from sorigeul.prepared.derivation import FilterOptions, filter_corpus, merge, split_corpus

from .conftest import ROWS, write_corpus


def test_filtering_for_nothing_copies_every_line(prepared: PreparedCorpus, tmp_path: Path) -> None:
    report = filter_corpus(prepared, tmp_path / "new", FilterOptions())
    before, after = file_contents(prepared.folder), file_contents(tmp_path / "new")
    original = json.loads(before.pop("report.json"))
    copied = json.loads(after.pop("report.json"))
    assert after == before
    assert (report.corpus, report.rejected) == ("filtered", ())
    assert copied["source"] == str(prepared.folder)
    for name in ("overlap", "leaks", "normalizer", "total", "splits", "sentence_ends"):
        assert copied[name] == original[name], name


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"min_duration": 1.2, "max_duration": 2.5}, "bcd"),
        ({"max_rate": 3.0}, "bcdf"),
        ({"min_rate": 3.0}, "ae"),
        ({"text": "안녕", "not_text": r"\.$"}, "ae"),
        ({"speakers": ("나", "라")}, "cdf"),
        ({"splits": ("dev", "test")}, "ef"),
        ({"ids": "a.wav\nf.wav\n"}, "af"),
        ({"not_ids": "a.wav\r\nf.wav"}, "bcde"),
    ],
)
def test_each_filter_keeps_what_it_says_and_the_report_names_the_rest(
    prepared: PreparedCorpus, tmp_path: Path, options: dict[str, Any], kept: str
) -> None:
    for name in {"ids", "not_ids"} & options.keys():
        (tmp_path / "ids.txt").write_text(options[name], encoding="utf-8")
        options = {name: str(tmp_path / "ids.txt")}
    report = filter_corpus(prepared, tmp_path / "new", FilterOptions(**options))
    assert sorted(texts_by_id(tmp_path / "new")) == [f"{letter}.wav" for letter in kept]
    left_out = {item.item for item in report.rejected}
    assert left_out == {row[0] for row in ROWS} - set(texts_by_id(tmp_path / "new"))
    assert all(item.reason and item.where.endswith(".jsonl") for item in report.rejected)
    assert not check_corpus(PreparedCorpus(tmp_path / "new"), 1).faults


def test_names_that_the_corpus_does_not_have_are_told(
    prepared: PreparedCorpus, tmp_path: Path
) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("a.wav\nz.wav\n\n", encoding="utf-8")
    options = FilterOptions(speakers=("가", "없는이"), ids=str(ids))
    warnings = filter_corpus(prepared, tmp_path / "new", options).warnings
    assert f"speakers: 1 of them are not in {prepared.folder}: 없는이" in warnings
    assert f"ids: 1 of them are not in {prepared.folder}: z.wav" in warnings
    names = FilterOptions(speakers=("가",))
    warnings = filter_corpus(prepared, tmp_path / "other", names).warnings
    assert not any("are not in" in warning for warning in warnings)


def test_what_cannot_be_filtered_by_is_refused(prepared: PreparedCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="text \\(: is no regular expression"):
        FilterOptions(text="(")
    with pytest.raises(UserError, match="min_rate is 9, but must be at most max_rate, which is 1"):
        FilterOptions(min_rate=9, max_rate=1)
    with pytest.raises(UserError, match="splits: tset is none of train, dev"):
        FilterOptions(splits=("tset",))
    for options, message in (
        (FilterOptions(ids=str(tmp_path / "none")), "no such file of ids"),
        (FilterOptions(text="없는 글"), "not one utterance is as asked for, by text 없는 글"),
    ):
        with pytest.raises(UserError, match=message):
            filter_corpus(prepared, tmp_path / "new", options)
    assert not (tmp_path / "new").exists()
    with pytest.raises(UserError, match="which this command reads"):
        filter_corpus(prepared, prepared.folder, FilterOptions(splits=("train",)))


def test_merged_corpora_keep_their_splits_and_get_ids_of_their_own(
    prepared: PreparedCorpus, tmp_path: Path
) -> None:
    rows = [("a.wav", "다른 말", "마", "train", 1.0), ("z.wav", "또 다른 말", "가", "test", 1.0)]
    other = PreparedCorpus(write_corpus(tmp_path / "other", rows))
    report = merge([prepared, other], tmp_path / "new")
    assert len(texts_by_id(tmp_path / "new")) == 8
    assert texts_by_id(tmp_path / "new", "train")["data/a.wav"] == "다른 말"
    assert texts_by_id(tmp_path / "new", "test") == {
        "f.wav": "똠방각하",
        "data/z.wav": "또 다른 말",
    }
    assert report.total == {"utterances": 8, "hours": 0.0, "speakers": 5}
    assert "1 of 2 speakers are in train too" in report.overlap
    assert any("1 speakers of" in warning and "가" in warning for warning in report.warnings)
    *_, last = CutSet.from_file(str(tmp_path / "new" / "train.jsonl"))
    assert last.id == last.supervisions[0].id == "data/a.wav"
    assert len(load_cut_audio(last)) == 16000
    assert not check_corpus(PreparedCorpus(tmp_path / "new"), 1).faults
    copy = PreparedCorpus(shutil.copytree(other.folder, tmp_path / "data"))
    smaller = merge([other, copy], tmp_path / "new")  # what was there before is removed
    assert sorted(smaller.splits) == ["test", "train"]
    assert not (tmp_path / "new" / "dev.jsonl").exists()
    assert sorted(texts_by_id(tmp_path / "new", "test")) == ["data/z.wav", "z.wav"]


def test_a_corpus_is_not_merged_with_itself(prepared: PreparedCorpus, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(prepared.folder)
    names = (prepared.folder, tmp_path / "link", prepared.folder / ".." / prepared.folder.name)
    for name in names:
        with pytest.raises(UserError, match=f"{name} is given twice"):
            merge([prepared, PreparedCorpus(name)], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_split_is_drawn_as_prepare_draws_it(tmp_path: Path) -> None:
    table = write_speakers(tmp_path / "in", speakers=20)
    prepare(CORPORA["table"], table, tmp_path / "data", PrepareOptions(seed=5))
    expected = prepare(CORPORA["table"], table, tmp_path / "expected", PrepareOptions(seed=1))
    options = PrepareOptions(seed=1)
    report = split_corpus(PreparedCorpus(tmp_path / "data"), tmp_path / "new", options)
    assert (report.split_by, report.seed) == ("speaker", 1)
    for split in ("train", "dev", "test"):
        new, wanted = (
            sorted(cut["id"] for cut in read_cuts(tmp_path / folder / f"{split}.jsonl"))
            for folder in ("new", "expected")
        )
        assert new == wanted
    assert report.splits == expected.splits


def test_a_corpus_with_faults_is_not_split(
    prepared: PreparedCorpus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = prepared.folder / "train.jsonl"
    lines = train.read_text(encoding="utf-8").splitlines(keepends=True)
    train.write_text("".join([*lines, lines[0]]), encoding="utf-8")
    with pytest.raises(UserError, match="has 2 faults, named above"):
        split_corpus(PreparedCorpus(prepared.folder), tmp_path / "new", PrepareOptions())
    assert "1 x id more than once in train: a.wav" in caplog.text
    assert not (tmp_path / "new").exists()


def test_recordings_that_moved_or_lie_in_archives_are_found(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", ROWS)
    table = tmp_path / "in" / "audio" / "table.csv"
    prepare(CORPORA["table"], table, tmp_path / "archives", PrepareOptions(shards=2))
    (tmp_path / "in" / "audio").rename(tmp_path / "moved")
    moved = PreparedCorpus(tmp_path / "in" / "data", str(tmp_path / "moved"))
    archived = PreparedCorpus(tmp_path / "archives")
    for number, source in enumerate((moved, archived)):
        new = tmp_path / f"new{number}"
        filter_corpus(source, new, FilterOptions(splits=("train",)))
        assert not check_corpus(PreparedCorpus(new), 1).faults
        cuts = manifests.required_manifest(new, "train")
        assert [len(load_cut_audio(cut)) for cut in cuts] == [16000, 32000, 24000, 24000]
    shutil.rmtree(tmp_path / "archives")
    (result,) = check_corpus(PreparedCorpus(tmp_path / "new1"), 1).faults.values()
    assert len(result) == 4


def test_archives_are_found_by_a_path_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "in", ROWS)
    monkeypatch.chdir(tmp_path)
    prepare(CORPORA["table"], Path("in/audio/table.csv"), Path("data"), PrepareOptions(shards=2))
    filter_corpus(PreparedCorpus(Path("data")), Path("deep/new"), FilterOptions())
    assert not check_corpus(PreparedCorpus(Path("deep/new")), 1).faults


def test_what_a_killed_command_has_left_is_removed(
    prepared: PreparedCorpus, tmp_path: Path
) -> None:
    left = tmp_path / "new" / ".train.a1b2c3d4.jsonl"
    left.parent.mkdir()
    left.touch()
    filter_corpus(prepared, tmp_path / "new", FilterOptions())
    assert not left.exists()
