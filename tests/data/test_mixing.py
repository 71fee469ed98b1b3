"""Several corpora as one: shares, turns, order; resumable in the middle of an epoch."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers.cuts import cuts_without_audio, loader
from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.data import manifests
from sorigeul.data.mixing import Mixture, by_name, mix
from sorigeul.data.statistics import manifest_statistics


def corpus(folder: Path, utterances: int, seconds: float = 2.0) -> CutSet:
    """A corpus whose texts are the name of its folder."""
    folder.mkdir(exist_ok=True)
    return cuts_without_audio(folder, [seconds] * utterances, [folder.name] * utterances)


def mixture(folder: Path, weights: Sequence[float] = ()) -> Mixture:
    """600 utterances of 가, and 60 twice as long ones of 나."""
    return mix(
        {"가": corpus(folder / "가", 600), "나": corpus(folder / "나", 60, 4.0)}, weights, seed=3
    )


class Epoch:
    """Stands for a sampler in an epoch."""

    seed = 0

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch


def read(cuts: CutSet, epoch: int) -> list[tuple[str, str]]:
    """Text and id of each utterance of an epoch; the number of its turn is taken off."""
    manifests.as_lazy_cuts(cuts).sampler = Epoch(epoch)  # type: ignore[assignment]
    return [(manifests.transcript(cut), cut.id.partition("~")[0]) for cut in cuts]


def test_without_weights_an_epoch_reads_each_utterance_once_and_all_corpora_throughout(
    tmp_path: Path,
) -> None:
    mixed = mixture(tmp_path)
    order = read(mixed.cuts, 0)
    assert len(order) == len(set(order)) == mixed.utterances == 660
    for start in range(0, 600, 150):
        assert 5 <= [text for text, _ in order[start : start + 150]].count("나") <= 25
    assert read(mixed.cuts, 0) == order


def test_weights_are_shares_of_the_speech_and_every_utterance_has_its_turn(tmp_path: Path) -> None:
    mixed = mixture(tmp_path, (1, 1))
    assert [share.passes for share in mixed.shares] == pytest.approx([0.6, 3.0])
    assert mixed.utterances == pytest.approx(540)
    assert list(mixed.lines())[1] == "나: 50.0% of the speech of an epoch; 0.07 h, read 3 times"
    read_so_far: Counter[tuple[str, str]] = Counter()
    for epoch in range(5):
        order = read(mixed.cuts, epoch)
        texts = [text for text, _ in order]
        assert texts.count("나") == 180
        assert texts.count("가") == pytest.approx(360, rel=0.15)
        assert 50 <= texts[:180].count("나") <= 70
        read_so_far.update(order)
    assert {times for (text, _), times in read_so_far.items() if text == "가"} == {3}
    assert {times for (text, _), times in read_so_far.items() if text == "나"} == {15}
    assert len(read_so_far) == 660


def test_an_utterance_that_is_read_again_has_other_augmentation(tmp_path: Path) -> None:
    ids = [cut.id for cut in mixture(tmp_path, (1, 9)).cuts if manifests.transcript(cut) == "나"]
    assert len(ids) == len(set(ids)) > 5 * 60


def test_its_statistics_are_those_of_all_utterances(tmp_path: Path) -> None:
    mixed = mixture(tmp_path, (1, 9))
    statistics = manifest_statistics(mixed.cuts)
    assert mixed.statistics == statistics
    assert statistics.characters == {"가": 600, "나": 60}
    assert (statistics.utterances, statistics.seconds, statistics.longest) == (660, 1440.0, 4.0)
    chosen = manifests.as_lazy_cuts(mixed.cuts).select({599, 600, 659})
    assert [(manifests.transcript(cut), cut.id) for cut in chosen] == [
        ("가", "c0599"),
        ("나", "c0000"),
        ("나", "c0059"),
    ]


def test_one_corpus_stays_as_it_is(tmp_path: Path) -> None:
    cuts = corpus(tmp_path / "가", 3)
    alone = mix({"가": cuts}, (), seed=0)
    assert alone.cuts is cuts
    assert alone.statistics == manifest_statistics(cuts)
    assert alone.utterances == 3


@pytest.mark.parametrize("weights", [(1,), (1, 2, 3)])
def test_there_must_be_a_weight_for_each_corpus(tmp_path: Path, weights: Sequence[float]) -> None:
    with pytest.raises(UserError, match=r"weights are 1.*, but there are 2 corpora: give one"):
        mixture(tmp_path, weights)


def test_sampling_resumes_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    whole, stopped, resumed = (loader(mixture(tmp_path, (1, 2)).cuts).sampler for _ in range(3))
    whole.set_epoch(1)
    batches = [[cut.id for cut in batch] for batch in whole]
    stopped.set_epoch(1)
    remaining = iter(stopped)
    for _ in range(40):
        next(remaining)
    resumed.load_state_dict(dict(stopped.state_dict()))
    assert [[cut.id for cut in batch] for batch in resumed] == batches[40:]
    whole.set_epoch(2)
    assert [[cut.id for cut in batch] for batch in whole] != batches


def test_corpora_are_told_apart_by_the_names_of_their_folders(tmp_path: Path) -> None:
    folders = [Path("a") / "data", Path("b") / "data", Path("c") / "x|y"]
    assert by_name(folders) == dict(zip(("data", "data-2", "x_y"), folders, strict=True))
    with pytest.raises(UserError, match=r"a/data is given twice: give --weights"):
        by_name([folders[0], folders[0].absolute()])
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(UserError, match="link is given twice"):
        by_name([tmp_path / "there", tmp_path / "link"])
