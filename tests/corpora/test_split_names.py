"""What tables call their splits."""

import unicodedata
from pathlib import PurePath

import pytest

from sorigeul.base.errors import UserError
from sorigeul.corpora.split_names import SplitNames


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("훈련", "train"),
        (" DEV ", "dev"),
        ("Validation", "dev"),
        ("VALID", "dev"),
        ("eval", "dev"),
        (unicodedata.normalize("NFD", "검증"), "dev"),
        ("test", "test"),
        ("평가", "test"),
        ("뉴스", None),
        ("eval_clean", None),
    ],
)
def test_names_in_english_and_korean_are_known_in_any_case(name: str, split: str | None) -> None:
    assert SplitNames().split(name) == split


def test_an_eval_besides_another_dev_is_refused() -> None:
    """In Kaldi's recipes it is the test set."""
    for names in (("eval", "train", "dev"), ("검증", "eval")):
        splits = SplitNames()
        for name in names[:-1]:
            splits.split(name)
        with pytest.raises(UserError, match=r"eval and \w+ are both there: call eval either"):
            splits.split(names[-1])


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("data/validation-00000-of-00001.parquet", "dev"),
        ("test/data-00000-of-00001.arrow", "test"),
        ("default/train/0000.parquet", "train"),
        ("zeroth_korean-test.arrow", "test"),
        ("test_data/train.100-0.parquet", "train"),
        ("data.parquet", None),
    ],
)
def test_files_of_a_dataset_tell_their_split(path: str, split: str | None) -> None:
    assert SplitNames().split_of_file(PurePath(path)) == split
