"""Manifests at scale: archives in their place, recordings that moved, what one pass finds out."""

import copy
import json
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tones
from helpers.commands import Command
from lhotse import CutSet
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.items import Utterance
from sorigeul.corpora.lhotse_cuts import cut_line
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.data import manifests
from sorigeul.data.batches import Batch
from sorigeul.data.config import DataConfig
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.sampling import training_batches
from sorigeul.data.statistics import manifest_statistics, too_fast_for_ctc
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.run import train

VOCABULARY = Vocabulary.from_texts(["가나다라"])
UTTERANCES = 120


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus in archives of ten, its recordings gone. To be read only."""
    folder = tmp_path_factory.mktemp("archived")
    splits = ["dev"] * 4 + ["test"] * 4 + ["train"] * UTTERANCES
    table = tones.record(folder / "audio", tones.texts(len(splits)), splits)
    prepare(CORPORA["table"], table, folder / "files")
    prepare(CORPORA["table"], table, folder / "archives", PrepareOptions(shards=10))
    (folder / "audio").rename(folder / "moved")
    return folder


def loader(cuts: CutSet, **options: Any) -> StatefulDataLoader:
    config = DataConfig(**{"batch_size": 4, "use_augment": False, **options})
    return training_batches(cuts, VOCABULARY, config, seed=0)


def train_cuts(archived: Path) -> CutSet:
    return manifests.required_manifest(archived / "archives", "train")


def epoch(batches: StatefulDataLoader, number: int) -> list[list[str]]:
    batches.sampler.set_epoch(number)
    return [batch.ids for batch in batches]


def origin(cuts: CutSet) -> list[str]:
    """The archive of each cut, in the order in which they are read."""
    return [Path(cut.recording.sources[0].source).name for cut in cuts]


# Archives


def test_archives_hold_what_the_files_held(archived: Path) -> None:
    from_archives = train_cuts(archived)
    files = manifests.required_manifest(archived / "files", "train", str(archived / "moved"))
    assert [cut.id for cut in from_archives] == [cut.id for cut in files]
    assert manifest_statistics(from_archives) == manifest_statistics(files)
    assert manifests.normalizer(from_archives) == manifests.normalizer(files) == "plain/1"
    for one, other in zip(from_archives, files, strict=True):
        assert (load_cut_audio(one) == load_cut_audio(other)).all()
        assert (one.duration, manifests.text(one)) == (other.duration, manifests.text(other))


def test_every_epoch_takes_the_archives_in_another_order(archived: Path) -> None:
    cuts = train_cuts(archived)
    in_order = origin(cuts)
    assert in_order == sorted(in_order)
    batches = loader(cuts)
    orders = {}
    for number in (0, 1, 2):
        batches.sampler.set_epoch(number)
        orders[number] = origin(cuts)
        assert Counter(orders[number]) == Counter(in_order)
        changes = sum(a != b for a, b in zip(orders[number], orders[number][1:], strict=False))
        assert changes == 11  # one archive after the other
    assert len({tuple(order) for order in [in_order, *orders.values()]}) == 4
    again = loader(train_cuts(archived))
    again.sampler.set_epoch(2)
    assert origin(again.sampler.cuts[0]) == orders[2]
    other = training_batches(cuts, VOCABULARY, DataConfig(use_augment=False), seed=1)
    other.sampler.set_epoch(2)
    assert origin(cuts) != orders[2]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("pack_by_length", [True, False])
def test_a_stopped_epoch_goes_on_bit_for_bit(
    archived: Path, num_workers: int, pack_by_length: bool
) -> None:
    options: dict[str, Any] = {
        "use_augment": True,
        "augment_ratio": 0.5,
        "num_workers": num_workers,
        "pack_by_length": pack_by_length,
    }
    uninterrupted = loader(train_cuts(archived), **options)
    epoch(uninterrupted, 0)
    uninterrupted.sampler.set_epoch(1)
    whole: list[Batch] = list(uninterrupted)

    stopped = loader(train_cuts(archived), **options)
    stopped.sampler.set_epoch(1)
    batches = iter(stopped)
    for _ in range(17):
        next(batches)
    state = copy.deepcopy(stopped.state_dict())
    del batches, stopped

    resumed = loader(train_cuts(archived), **options)
    resumed.sampler.set_epoch(1)
    resumed.load_state_dict(state)
    rest = list(resumed)
    assert len(rest) == len(whole) - 17 > 20
    for one, other in zip(rest, whole[17:], strict=True):
        assert (one.ids, one.texts, one.failures) == (other.ids, other.texts, [])
        for name, part in vars(one).items():
            if isinstance(part, torch.Tensor):
                assert torch.equal(part, vars(other)[name]), name
    assert epoch(resumed, 2) == epoch(uninterrupted, 2)


def test_the_sampler_holds_no_audio(archived: Path) -> None:
    """Twenty thousand utterances in its buffer would be two gigabytes."""
    for batch in loader(train_cuts(archived)).sampler:
        for cut in batch:
            assert len(json.dumps(cut.to_dict())) < 1500


@pytest.mark.parametrize("num_workers", [0, 1])
def test_damaged_recordings_in_archives_are_named_and_counted(
    archived: Path, tmp_path: Path, num_workers: int
) -> None:
    out = shutil.copytree(archived / "archives", tmp_path / "out")
    tars = sorted((out / "train.shar").glob("*.tar"))
    members = {cut.id: cut.custom["member"] for cut in manifests.required_manifest(out, "train")}
    ids = list(members)
    flipped = bytearray(tars[0].read_bytes())
    flipped[members[ids[3]]["offset"] + 60] ^= 1
    tars[0].write_bytes(flipped)
    tars[1].write_bytes(tars[1].read_bytes()[: members[ids[17]]["offset"] + 100])
    tars[2].unlink()
    shutil.copy(tars[4], tars[3])
    batches = list(loader(manifests.required_manifest(out, "train"), num_workers=num_workers))
    failures = {one.id: one.reason for batch in batches for one in batch.failures}
    assert sorted(failures) == sorted([ids[3], *ids[17:40]])
    read = sorted(name for batch in batches for name in batch.ids)
    assert read == sorted(set(ids) - set(failures))
    assert "damaged, its checksum differs" in failures[ids[3]]
    for name in (ids[3], ids[17], ids[25], ids[35]):
        assert failures[name].startswith(f"{name} in {tars[ids.index(name) // 10]}: ")
        assert "\n" not in failures[name]
    assert "No such file" in failures[ids[25]]


@pytest.mark.parametrize("damage", ["cut off", "overwritten", "not JSON", "no cut"])
def test_damaged_cuts_of_an_archive_are_an_error(
    archived: Path, tmp_path: Path, damage: str
) -> None:
    import gzip

    out = shutil.copytree(archived / "archives", tmp_path / "out")
    path = out / "train.shar" / "cuts.000007.jsonl.gz"
    whole = path.read_bytes()
    lines = gzip.decompress(whole)
    path.write_bytes(
        {
            "cut off": whole[:-30],
            "overwritten": whole[:50] + bytes(20) + whole[70:],
            "not JSON": gzip.compress(lines + b"{"),
            "no cut": gzip.compress(lines + b"{}\n"),
        }[damage]
    )
    cuts = manifests.required_manifest(out, "train")
    with pytest.raises(
        UserError, match=r"^\S+cuts.000007.jsonl.gz:\d+ .*copy the manifest again"
    ) as e:
        manifest_statistics(cuts)
    assert "\n" not in str(e.value)


def test_an_archive_that_was_not_copied_is_missed(archived: Path, tmp_path: Path) -> None:
    out = shutil.copytree(archived / "archives", tmp_path / "out")
    (out / "train.shar" / "cuts.000007.jsonl.gz").unlink()
    with pytest.raises(UserError, match=r"train.shar has no cuts.000007.jsonl.gz: copy or make"):
        manifests.required_manifest(out, "train")


def test_a_run_trains_and_is_evaluated_from_archives_alone(
    archived: Path, tmp_path: Path, sorigeul: Command
) -> None:
    out = shutil.copytree(archived / "archives", tmp_path / "out")
    for path in out.glob("*.jsonl"):
        path.unlink()
    train(out, tmp_path / "run", tones.TINY.changed({"max_epochs": 1, "augment_ratio": 0.0}, "it"))
    done = sorigeul("evaluate", tmp_path / "run", out, "--json", "-")
    assert done.status == 0
    figures = json.loads(done.out)
    assert (figures["utterances"], figures["failures"]) == (4, {})
    manifest = archived / "archives" / "test.jsonl"  # whose recordings are gone
    one = sorigeul("evaluate", tmp_path / "run", manifest, "--json", "-")
    assert json.loads(one.out) == figures


# Recordings that moved


def test_recordings_that_moved_are_found_again(archived: Path, tmp_path: Path) -> None:
    here = archived / "moved"
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "audio").symlink_to(here, target_is_directory=True)
    for root in (here, tmp_path / "mounted"):
        cuts = manifests.required_manifest(archived / "files", "train", str(root))
        assert len([load_cut_audio(cut) for cut in cuts]) == UTTERANCES
    batches = list(loader(cuts, num_workers=1))
    assert sum(map(len, batches)) == UTTERANCES


def test_folders_below_the_root_stay(tmp_path: Path) -> None:
    """The same name in another folder is another recording."""
    paths = [Path(f"a/{split}/{name}.wav") for split in ("train", "x/train") for name in "123"]
    for number, path in enumerate(paths):
        (tmp_path / "new" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / path).write_bytes(bytes(number))
    (tmp_path / "new" / "1.wav").touch()  # a shorter end of the path exists too
    place = manifests.relocate([f"/old/b/{path}" for path in paths], tmp_path / "new", tmp_path)
    for path in paths:
        assert place(f"/old/b/{path}") == str(tmp_path / "new" / path)
    assert place("/elsewhere/1.wav") == "/elsewhere/1.wav"
    missing = manifests.relocate(
        ["/old/b/gone.wav", f"/old/b/{paths[1]}"], tmp_path / "new", tmp_path
    )
    assert missing("/old/b/gone.wav") == str(tmp_path / "new" / "gone.wav")


def test_a_root_that_holds_none_of_them_is_refused(archived: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^audio_root {tmp_path}: holds no recording") as error:
        manifests.required_manifest(archived / "files", "train", str(tmp_path))
    assert "audio/u08.wav" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_has_moved_is_said_with_the_remedy(archived: Path, sorigeul: Command) -> None:
    batches = list(loader(manifests.required_manifest(archived / "files", "dev")))
    (failures,) = [batch.failures for batch in batches]
    assert len(failures) == 4
    for one in failures:
        assert one.reason.startswith(str(archived / "audio" / one.id))
        assert one.reason.endswith("--audio_root")
        assert "\n" not in one.reason


def test_a_damaged_file_has_not_moved(tmp_path: Path) -> None:
    folder = tones.manifests(tmp_path, tones.texts(3), ["train", "dev", "test"])
    (tmp_path / "audio" / "u00.wav").write_bytes(b"")
    (batch,) = loader(manifests.required_manifest(folder, "train"))
    assert "audio_root" not in batch.failures[0].reason


def test_commands_take_the_root(archived: Path, tmp_path: Path, sorigeul: Command) -> None:
    options = {"max_steps": 2, "augment_ratio": 0.0, "audio_root": str(archived / "moved")}
    run, moved = tmp_path / "run", archived / "moved"
    train(archived / "files", run, tones.TINY.changed(options, "it"))
    assert f"audio_root: {moved}" in (run / "config.yaml").read_text("utf-8")
    evaluated = ("evaluate", run, archived / "files", "--json", "-")
    figures = json.loads(sorigeul(*evaluated, "--audio-root", moved).out)
    assert (figures["utterances"], figures["failures"]) == (4, {})
    assert len(json.loads(sorigeul(*evaluated).out)["failures"]) == 4
    assert "audio_root" in sorigeul(*evaluated, "--audio_root", tmp_path).error()


def test_the_root_holds_in_another_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert DataConfig(audio_root="corpora/x").audio_root == "/corpora/x"
    assert DataConfig().audio_root == ""


# What one pass finds out


def imagined(path: Path, texts: list[str], seconds: float = 1.0) -> CutSet:
    """A manifest of recordings that do not exist."""
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            utterance = Utterance(f"c{number}", path.parent / "x.wav", text, duration=seconds)
            file.write(cut_line(utterance, "plain/1"))
    return manifests.open_manifest(path)


@pytest.mark.parametrize("kind", ["syllable", "jamo"])
@pytest.mark.parametrize("min_count", [1, 2])
def test_a_survey_is_enough_for_a_vocabulary(tmp_path: Path, kind: Any, min_count: int) -> None:
    texts = ["가각 값이", "가\u1112\u1161나", "Ａ가 é e\u0301 \uac00\u11a8", "ㅋㅋ_ 가", ""]
    cuts = imagined(tmp_path / "train.jsonl", texts)
    found = manifest_statistics(cuts)
    assert (found.utterances, found.seconds) == (5, 5.0)
    vocabulary = Vocabulary.from_characters(found.characters, kind, min_count)
    assert vocabulary == Vocabulary.from_texts(texts, kind, min_count)


def test_few_utterances_are_looked_up_for_ctc_but_none_is_missed(tmp_path: Path) -> None:
    """Leaving out what is unknown can join equal neighbours, and still never needs more."""
    texts = ["가나다", "가가나", "가힣가나", "힣힣힣힣힣힣", "가나다라", "나힣나힣나"]
    cuts = imagined(tmp_path / "train.jsonl", texts, 0.4)
    found = dict(too_fast_for_ctc(cuts, VOCABULARY, 10.0))
    assert found == {"c5": "5 CTC frames needed for its text, 4 there"}


def test_a_line_that_is_no_cut_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    imagined(path, ["가"] * 3)
    for line in ("{}", "[]", '{"id": 1, "duration": "x", "supervisions": [{}]}', "{", "null"):
        whole = path.read_text(encoding="utf-8").splitlines()[:3]
        path.write_text("\n".join([*whole, line, *whole, ""]), encoding="utf-8")
        with pytest.raises(UserError, match=r"train\.jsonl:4 ") as error:
            manifest_statistics(manifests.open_manifest(path))
        assert "\n" not in str(error.value)


def test_a_survey_takes_a_third_of_the_time_of_cuts(tmp_path: Path) -> None:
    cuts = imagined(tmp_path / "train.jsonl", ["가나다 라마바사 아자차카 타파하"] * 4000)

    def seconds(work: Any) -> float:
        times = []
        for _ in range(3):
            began = time.process_time()
            work()
            times.append(time.process_time() - began)
        return min(times)

    assert seconds(lambda: manifest_statistics(cuts)) < 0.6 * seconds(lambda: list(cuts))
