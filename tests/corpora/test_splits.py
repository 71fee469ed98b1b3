"""Splits that a corpus lacks are drawn from train, by speaker if possible."""

import random
from pathlib import Path

import pytest
from helpers.trees import file_contents, read_cuts, texts_by_id, write_speakers, write_table
from hypothesis import given
from hypothesis import strategies as st

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.splits import SplitAssignment, assign_splits, hold_out
from sorigeul.corpora.utterances import Utterance


def test_splits_by_speaker_share_no_speaker_and_depend_on_the_seed(tmp_path: Path) -> None:
    table = write_speakers(tmp_path / "in", speakers=20)
    report = prepare(CORPORA["table"], table, tmp_path / "out")
    speakers = [
        {
            cut["supervisions"][0]["speaker"]
            for cut in read_cuts(tmp_path / "out" / f"{split}.jsonl")
        }
        for split in ("train", "dev", "test")
    ]
    assert [len(names) for names in speakers] == [16, 2, 2]
    assert len(set().union(*speakers)) == 20
    assert report.split_by == "speaker"
    other = prepare(CORPORA["table"], table, tmp_path / "other", PrepareOptions(seed=1))
    assert other.seed == 1
    assert texts_by_id(tmp_path / "other", "test") != texts_by_id(tmp_path / "out", "test")
    assert texts_by_id(tmp_path / "other") == texts_by_id(tmp_path / "out")


@pytest.mark.parametrize(("speakers", "split_by"), [(3, "speaker"), (2, "utterance")])
def test_a_corpus_with_too_few_speakers_is_split_by_utterance(
    tmp_path: Path, speakers: int, split_by: str
) -> None:
    table = write_speakers(tmp_path / "in", speakers, utterances=10)
    report = prepare(CORPORA["table"], table, tmp_path / "out")
    assert report.split_by == split_by
    assert set(report.splits) == {"train", "dev", "test"}
    warned = any("voices of dev and test" in warning for warning in report.warnings)
    assert warned == (split_by == "utterance")
    assert sum(counts["utterances"] for counts in report.splits.values()) == 10 * speakers


def utterances_of(texts: dict[str, list[str]]) -> list[Utterance]:
    """An utterance of a second for each text of each speaker."""
    return [
        Utterance(f"{speaker}-{number}", Path("u.wav"), text, speaker or None, duration=1.0)
        for speaker, speaker_texts in texts.items()
        for number, text in enumerate(speaker_texts)
    ]


def by_split(utterances: list[Utterance], assignment: SplitAssignment) -> dict[str, set[str]]:
    """Speakers and sentences of each split."""
    found: dict[str, set[str]] = {"train": set(), "dev": set(), "test": set()}
    for utterance in utterances:
        (split,) = assignment.splits_of(utterance)
        found[split] |= {f"speaker {utterance.speaker}", utterance.text.rstrip(".?")}
    return found


def are_apart(found: dict[str, set[str]]) -> bool:
    return len(set().union(*found.values())) == sum(map(len, found.values()))


@pytest.mark.parametrize("seed", range(5))
def test_speakers_who_read_the_same_sentences_stay_together(seed: int) -> None:
    """Twenty groups of two or three speakers: each group has a list of its own."""
    utterances = utterances_of(
        {
            f"{group}-{speaker}": [
                f"{group}의 문장 {number}{'.?'[speaker % 2]}" for number in "가나다"
            ]
            for group in range(20)
            for speaker in range(2 + group % 2)
        }
    )
    assignment = assign_splits(utterances, {""}, PrepareOptions(seed=seed))
    assert assignment.split_by == "speaker and sentence"
    found = by_split(utterances, assignment)
    assert are_apart(found)
    sizes = list(assignment.drawn.values())
    assert all(0.05 < sizes.count(split) / len(utterances) < 0.2 for split in ("dev", "test"))
    shuffled = random.Random(seed).sample(utterances, len(utterances))
    assert by_split(utterances, assign_splits(shuffled, {""}, PrepareOptions(seed=seed))) == found


@pytest.mark.parametrize("speaker", ["", "한 사람"])
def test_sentences_that_one_speaker_repeats_stay_together(speaker: str) -> None:
    utterances = utterances_of({speaker: [f"문장 {number % 50}" for number in range(150)]})
    assignment = assign_splits(utterances, {""}, PrepareOptions())
    assert assignment.split_by == "sentence"
    sentences = by_split(utterances, assignment)
    for split in sentences.values():
        split.discard(f"speaker {speaker or None}")
    assert are_apart(sentences)


def test_where_everybody_reads_the_same_the_voices_are_kept_apart() -> None:
    texts = [f"문장 {number}" for number in range(10)]
    utterances = utterances_of({f"화자{number}": texts for number in range(20)})
    assignment = assign_splits(utterances, {""}, PrepareOptions())
    assert assignment.split_by == "speaker"
    found = by_split(utterances, assignment)
    assert are_apart({split: items - set(texts) for split, items in found.items()})


def test_a_sentence_that_people_share_by_chance_changes_nothing() -> None:
    """Splits drawn before stay what they were."""
    texts = {f"화자{one}": [f"{one}의 말 {number}" for number in range(100)] for one in range(20)}
    drawn = assign_splits(utterances_of(texts), {""}, PrepareOptions())
    thanks = {speaker: ["감사합니다", *own[1:]] for speaker, own in texts.items()}
    assert assign_splits(utterances_of(thanks), {""}, PrepareOptions()) == drawn


def test_a_split_of_the_corpus_is_kept_and_the_others_are_drawn_from_train(tmp_path: Path) -> None:
    rows = [(f"{n}.wav", f"말 {n}", f"화자{n % 5}", "train") for n in range(20)]
    rows += [(f"{n}.wav", f"말 {n}", "시험", "test") for n in range(20, 23)]
    rows += [(f"{n}.wav", f"말 {n}", "", "") for n in range(23, 25)]
    report = prepare(CORPORA["table"], write_table(tmp_path / "in", rows), tmp_path / "out")
    assert set(texts_by_id(tmp_path / "out", "test")) == {"20.wav", "21.wav", "22.wav"}
    assert report.splits["dev"]["utterances"] + report.splits["train"]["utterances"] == 22
    assert report.splits["dev"]["utterances"] > 0
    assert "2 utterances name no speaker; they were kept together as one" in report.warnings


def test_from_a_test_set_alone_nothing_is_drawn(tmp_path: Path) -> None:
    table = write_speakers(tmp_path / "in", speakers=3, utterances=1, split="test")
    report = prepare(CORPORA["table"], table, tmp_path / "out")
    assert sorted(file_contents(tmp_path / "out")) == ["report.json", "test.jsonl"]
    assert {"no utterance in train", "no utterance in dev"} <= set(report.warnings)


def test_evaluation_sets_of_kspon_are_also_test() -> None:
    assignment = SplitAssignment("corpus")
    for split, splits in (
        ("eval_clean", ("eval_clean", "test")),
        ("eval_other", ("eval_other", "test")),
        ("dev", ("dev",)),
        (None, ("train",)),
    ):
        assert assignment.splits_of(Utterance("u", Path("u.wav"), "말", split=split)) == splits


def test_no_test_is_drawn_beside_an_evaluation_set() -> None:
    utterances = [
        Utterance(f"{speaker}", Path("u.wav"), "말", f"{speaker}", "train", duration=1.0)
        for speaker in range(10)
    ]
    assignment = assign_splits(utterances, {"train", "eval_clean"}, PrepareOptions())
    assert assignment.split_by == "speaker"
    assert list(assignment.drawn.values()) == ["dev"]


SECONDS = st.dictionaries(st.text(max_size=3), st.floats(0.1, 1000), min_size=1, max_size=40)


@given(SECONDS, st.integers(0, 9))
def test_hold_out_leaves_train_something_whatever_the_order(
    seconds: dict[str, float], seed: int
) -> None:
    shares = {"dev": 0.1, "test": 0.1}
    held_out = hold_out(seconds, shares, seed)
    assert set(held_out) <= set(seconds)
    shuffled = list(seconds.items())
    random.Random(seed + 1).shuffle(shuffled)
    assert hold_out(dict(shuffled), shares, seed) == held_out
    assert len(held_out) < len(seconds)
    if len(seconds) >= 3:
        assert set(held_out.values()) == {"dev", "test"}


def test_hold_out_comes_close_to_the_shares() -> None:
    rng = random.Random(0)
    seconds = {str(number): rng.uniform(1, 20) for number in range(300)}
    held_out = hold_out(seconds, {"dev": 0.1, "test": 0.2}, seed=0)

    def share(split: str) -> float:
        drawn = (seconds[unit] for unit, unit_split in held_out.items() if unit_split == split)
        return sum(drawn) / sum(seconds.values())

    assert share("dev") == pytest.approx(0.1, abs=0.002)
    assert share("test") == pytest.approx(0.2, abs=0.002)


def test_a_share_of_nothing_draws_no_split(tmp_path: Path) -> None:
    table = write_speakers(tmp_path / "in", speakers=10)
    options = PrepareOptions(dev_share=0.0, test_share=0.2)
    assert set(prepare(CORPORA["table"], table, tmp_path / "out", options).splits) == {
        *("train", "test")
    }
    whole = PrepareOptions(dev_share=0.0, test_share=0.0)
    report = prepare(CORPORA["table"], table, tmp_path / "out", whole)
    assert set(report.splits) == {"train"}
    assert not any("no utterance in" in warning for warning in report.warnings)
    assert not (tmp_path / "out" / "test.jsonl").exists()  # of the call before
