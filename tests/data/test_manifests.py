"""Reading manifests: lazily, from archives in an order that changes, and refusing damaged ones."""

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from helpers import tones
from helpers.commands import Command
from helpers.cuts import VOCABULARY, cuts_without_audio, loader
from lhotse import CutSet, MonoCut

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.config import DataConfig
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.sampling import training_batches
from sorigeul.data.statistics import manifest_statistics
from sorigeul.training.run import train


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    """The message of an error, which has only one line."""
    assert "\n" not in str(error.value)
    return str(error.value)


# Archives


def archive_names(cuts: CutSet) -> list[str]:
    """The archive of each cut, in the order in which the cuts are read."""
    return [Path(cut.recording.sources[0].source).name for cut in cuts]


def test_archives_contain_the_same_utterances_as_the_files(
    prepared: Path, archived_cuts: CutSet
) -> None:
    file_cuts = manifests.required_manifest(prepared / "files", "train", str(prepared / "moved"))
    assert [cut.id for cut in archived_cuts] == [cut.id for cut in file_cuts]
    assert manifest_statistics(archived_cuts) == manifest_statistics(file_cuts)
    assert manifests.normalizer(archived_cuts) == manifests.normalizer(file_cuts) == "plain/2"
    for archived, file_cut in zip(archived_cuts, file_cuts, strict=True):
        assert (load_cut_audio(archived) == load_cut_audio(file_cut)).all()
        assert archived.duration == file_cut.duration
        assert manifests.transcript(archived) == manifests.transcript(file_cut)


def test_every_epoch_reads_the_archives_in_another_order(
    prepared: Path, archived_cuts: CutSet
) -> None:
    original_order = archive_names(archived_cuts)
    assert original_order == sorted(original_order)
    batches = loader(archived_cuts)
    orders = {}
    for epoch in (0, 1, 2):
        batches.sampler.set_epoch(epoch)
        order = orders[epoch] = archive_names(archived_cuts)
        assert Counter(order) == Counter(original_order)
        changes = sum(name != following for name, following in pairwise(order))
        assert changes == 11  # all cuts of an archive follow each other
    assert len({tuple(order) for order in [original_order, *orders.values()]}) == 4
    again = loader(manifests.required_manifest(prepared / "archives", "train"))
    again.sampler.set_epoch(2)
    assert archive_names(again.sampler.cuts[0]) == orders[2]
    other_seed = training_batches(archived_cuts, VOCABULARY, DataConfig(use_augment=False), seed=1)
    other_seed.sampler.set_epoch(2)
    assert archive_names(archived_cuts) != orders[2]


@pytest.mark.parametrize("damage", ["cut off", "overwritten", "not JSON", "no cut"])
def test_a_damaged_manifest_of_an_archive_is_refused(
    prepared: Path, tmp_path: Path, damage: str
) -> None:
    out = shutil.copytree(prepared / "archives", tmp_path / "out")
    path = out / "train.shar" / "cuts.000007.jsonl.gz"
    content = path.read_bytes()
    lines = gzip.decompress(content)
    path.write_bytes(
        {
            "cut off": content[:-30],
            "overwritten": content[:50] + bytes(20) + content[70:],
            "not JSON": gzip.compress(lines + b"{"),
            "no cut": gzip.compress(lines + b"{}\n"),
        }[damage]
    )
    cuts = manifests.required_manifest(out, "train")
    message = r"^\S+cuts.000007.jsonl.gz:\d+ .*copy the manifest again"
    with pytest.raises(UserError, match=message) as error:
        manifest_statistics(cuts)
    one_line(error)


def test_a_missing_archive_is_refused(prepared: Path, tmp_path: Path) -> None:
    out = shutil.copytree(prepared / "archives", tmp_path / "out")
    (out / "train.shar" / "cuts.000007.jsonl.gz").unlink()
    with pytest.raises(UserError, match=r"train.shar has no cuts.000007.jsonl.gz: copy or make"):
        manifests.required_manifest(out, "train")


def test_training_and_evaluation_need_only_the_archives(
    prepared: Path, tmp_path: Path, sorigeul: Command
) -> None:
    out = shutil.copytree(prepared / "archives", tmp_path / "out")
    for path in out.glob("*.jsonl"):
        path.unlink()
    settings = tones.TINY.changed({"max_epochs": 1, "augment_ratio": 0.0}, "test")
    train(out, tmp_path / "run", settings)
    done = sorigeul("evaluate", tmp_path / "run", out, "--json", "-")
    assert done.status == 0
    scores = json.loads(done.out)
    assert (scores["utterances"], scores["failures"]) == (4, {})
    manifest = prepared / "archives" / "test.jsonl"  # the recordings that it names have moved
    by_path = sorigeul("evaluate", tmp_path / "run", manifest, "--json", "-")
    others = {"rtf": 0, "data": {}}  # the time it took, and the folder
    assert json.loads(by_path.out) | others == scores | others


# Lazy reading


def test_only_selected_cuts_are_made(
    archived_cuts: CutSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most lines are only read, which takes a fraction of the time."""
    cuts = list(archived_cuts)
    made = []
    from_dict = MonoCut.from_dict

    def recording_from_dict(fields: dict[str, object]) -> MonoCut:
        made.append(fields["id"])
        return from_dict(fields)

    monkeypatch.setattr(MonoCut, "from_dict", recording_from_dict)
    selected = manifests.as_lazy_cuts(archived_cuts).select({3, 57})
    assert [cut.id for cut in selected] == [cuts[3].id, cuts[57].id] == made


def test_an_id_that_is_not_utf_8_becomes_readable(corpus: Path, tmp_path: Path) -> None:
    """As in manifests of folders with names in CP949; with it, a batch could not be drawn."""
    line = json.loads((corpus / "train.jsonl").read_text(encoding="utf-8").splitlines()[0])
    line["id"] = "\udcb0\udca1/1"
    (tmp_path / "train.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    cuts = manifests.lazy_cuts(tmp_path / "train.jsonl")
    assert [cut.id for cut in cuts] == ["가/1"]
    assert [fields["id"] for fields in cuts.fields()] == ["가/1"]
    assert [id_ for id_, _, _ in cuts.transcripts()] == ["가/1"]


# Manifests that are refused


def test_a_missing_manifest_is_reported_with_the_existing_ones(
    corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no folder of manifests") as error:
        manifests.required_manifest(tmp_path / "nowhere", "train")
    assert str(tmp_path / "nowhere") in one_line(error)
    with pytest.raises(UserError, match=r"no manifest eval_clean\.jsonl") as error:
        manifests.required_manifest(corpus, "eval_clean")
    assert "dev, test, train" in one_line(error)
    assert "sorigeul prepare" in one_line(error)
    with pytest.raises(UserError, match="found: none"):
        manifests.required_manifest(tmp_path, "train")
    assert manifests.manifest(corpus, "eval_clean") is None


CUT_WITHOUT_SUPERVISION = {
    "id": "c",
    "start": 0,
    "duration": 1,
    "channel": 0,
    "supervisions": [],
    "type": "MonoCut",
}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"audio,text\na.wav,hello\n",
        b'{"audio": "a.wav", "text": "hello"}\n',
        b"[1, 2]\n",
        b"null\n",
        b"\xff\xfe\x00\x01\x02",
        json.dumps(CUT_WITHOUT_SUPERVISION).encode(),
    ],
    ids=["empty", "blank", "csv", "other-json", "list", "null", "binary", "no-supervision"],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match="empty or no manifest") as error:
        manifests.required_manifest(tmp_path, "train")
    assert str(path) in one_line(error)
    assert "sorigeul prepare" in one_line(error)


def test_a_manifest_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no manifest of cuts with text"):
        cuts_without_audio(tmp_path, [1.0], [""])
    path = tmp_path / "train.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"text": ""', '"text": null'))
    assert "null" in path.read_text(encoding="utf-8")
    with pytest.raises(UserError, match="no manifest of cuts with text"):
        manifests.open_manifest(path)


def test_a_manifest_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    cuts_without_audio(tmp_path, [1.0, 2.0, 3.0])
    path = tmp_path / "train.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="cut off in its last line"):
        manifests.open_manifest(path)


DAMAGED_LINES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "empty object": lambda cut: {},
    "number": lambda cut: 5,
    "list": lambda cut: [],
    "null": lambda cut: None,
    "no id": lambda cut: cut | {"id": None},
    "no supervision": lambda cut: cut | {"supervisions": []},
    "supervisions null": lambda cut: cut | {"supervisions": None},
    "no object as supervision": lambda cut: cut | {"supervisions": ["가나"]},
    "number as text": lambda cut: cut | {"supervisions": [cut["supervisions"][0] | {"text": 5}]},
    "text as duration": lambda cut: cut | {"duration": "1.0"},
    "endless": lambda cut: cut | {"duration": float("inf")},
    "longer than any number": lambda cut: cut | {"duration": 10**400},
    "no number as duration": lambda cut: cut | {"duration": float("nan")},
    "before the start": lambda cut: cut | {"start": -1},
    "recording null": lambda cut: cut | {"recording": None},
    "no recording": lambda cut: {name: cut[name] for name in cut if name != "recording"},
    "no source": lambda cut: cut | {"recording": cut["recording"] | {"sources": []}},
    "list as custom": lambda cut: cut | {"custom": [1]},
    "text as place in an archive": lambda cut: cut | {"custom": {"member": "x"}},
    "half a place in an archive": lambda cut: cut | {"custom": {"member": {"offset": 1}}},
}


@pytest.mark.parametrize("damage", DAMAGED_LINES)
def test_whoever_reads_a_damaged_line_says_which_it_is(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "train.jsonl"
    cuts_without_audio(tmp_path, [1.0] * 3)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1] = json.dumps(DAMAGED_LINES[damage](json.loads(lines[1])))
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    cuts = manifests.as_lazy_cuts(manifests.open_manifest(path))
    for read in (lambda: cuts, lambda: cuts.select({1}), cuts.fields):
        with pytest.raises(UserError, match=r"train\.jsonl:2 is no cut with text: make") as error:
            list(read())
        one_line(error)
    assert [cut.id for cut in cuts.select({0, 2})] == ["c0000", "c0002"]


def test_a_custom_field_of_any_name_is_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    cuts_without_audio(tmp_path, [1.0])
    cut = json.loads(path.read_text(encoding="utf-8")) | {"custom": {"part": 2, "other": 3}}
    path.write_text(json.dumps(cut) + "\n", encoding="utf-8")
    (read,) = manifests.open_manifest(path)
    assert manifests.part_of(read) is None
    assert read.custom["other"] == 3


def test_a_line_that_is_no_cut_is_reported_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    cuts_without_audio(tmp_path, [1.0] * 3)
    for line in ("{}", "[]", '{"id": 1, "duration": "x", "supervisions": [{}]}', "{", "null"):
        good_lines = path.read_text(encoding="utf-8").splitlines()[:3]
        path.write_text("\n".join([*good_lines, line, *good_lines, ""]), encoding="utf-8")
        with pytest.raises(UserError, match=r"train\.jsonl:4 ") as error:
            manifest_statistics(manifests.open_manifest(path))
        one_line(error)
