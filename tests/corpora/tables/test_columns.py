"""Columns are found by the names that people give them."""

import unicodedata

import pytest

from sorigeul.base.errors import UserError
from sorigeul.corpora.tables.columns import Columns, Values


@pytest.mark.parametrize(
    "names",
    [
        ["audio", "text", "speaker", "split"],
        ["파일", "전사", "화자", "분할"],
        ["File Name", "Transcription", "speaker_id", "Split"],
        ["audio_filepath", "sentence", "client_id", "subset"],
        [unicodedata.normalize("NFD", name) for name in ("음성 파일", "문장", "화자", "분할")],
    ],
)
def test_obvious_names_are_known(names: list[str]) -> None:
    columns = Columns(["id", *names], "t.csv")
    assert columns.select(["7", "a.wav", "가", "나", "dev"]) == Values("a.wav", "가", "나", "dev")


def test_what_is_not_there_is_none() -> None:
    columns = Columns(["text", "duration", "audio"], "t.csv")
    assert columns.select(["가", "1.5", "a.wav"]) == Values("a.wav", "가", None, None)


def test_our_own_name_goes_before_another_one() -> None:
    """As in Common Voice and FLEURS on the Hugging Face hub."""
    columns = Columns(["path", "audio", "sentence"], "t.parquet")
    assert columns.select(["x.mp3", b"bytes", "가"]).audio == b"bytes"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["audio", "text", "text"], r"^t\.csv: 2 columns for text \(text, text\): call the right"),
        (["파일", "경로", "전사"], r"2 columns for audio \(파일, 경로\): call the right one audio"),
        (["wav", "words"], "no column text; it has to have audio and text, .* and has wav, words"),
        ([], "no column audio and no column text; .* and has nothing"),
    ],
)
def test_columns_that_are_missing_or_there_twice_are_refused(
    names: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Columns(names, "t.csv")
