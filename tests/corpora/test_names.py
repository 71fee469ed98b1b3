"""Names of utterances and speakers: those of CP949, and the many ways to write the same one."""

import math
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from helpers.aihub import ONE_BY_ONE, to_bytes, wav

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.names import speaker_name, utf8_name
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.manifests import lazy_cuts


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("화자/똠.wav".encode(), "화자/똠.wav"),
        ("화자/똠.wav".encode("cp949"), "화자/똠.wav"),
        ("화자/".encode() + "똠".encode("cp949"), "화자/똠"),
        (b"a/\xff.wav", "a/\\udcff.wav"),
    ],
)
def test_a_name_is_one_that_utf_8_can_hold(name: bytes, expected: str) -> None:
    assert utf8_name(os.fsdecode(name)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("김철수", "김철수"),
        (" 김  철수\t", "김 철수"),
        (unicodedata.normalize("NFD", "김철수"), "김철수"),
        (3.0, "3"),
        (3, "3"),
        *((nothing, None) for nothing in (None, "", " ", math.nan)),
    ],
)
def test_a_speaker_has_one_name(value: Any, expected: str | None) -> None:
    assert speaker_name(value) == expected


def test_recordings_in_folders_with_names_in_cp949_can_be_used(tmp_path: Path) -> None:
    shape = ONE_BY_ONE["freetalk"]
    folder = tmp_path / "in" / os.fsdecode("화자들".encode("cp949"))
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"u{number}.wav").write_bytes(wav(1.5, number))
        label = shape.make(f"u{number}.wav", shape.text, "화자")
        (folder / f"u{number}.json").write_bytes(to_bytes(label))
    for shards in (0, 2):
        out = tmp_path / f"out{shards}"
        options = PrepareOptions(layout="freetalk", dev_share=0, test_share=0, shards=shards)
        prepare(CORPORA["aihub"], tmp_path / "in", out, options)
        cuts = list(lazy_cuts(out / "train.jsonl"))
        assert [cut.id for cut in cuts] == [f"화자들/u{number}" for number in range(3)]
        assert [len(load_cut_audio(cut)) for cut in cuts] == [24_000] * 3
