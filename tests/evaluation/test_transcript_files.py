"""Files of texts: formats, what is missing on either side, and mistakes."""

import json
import logging
import unicodedata
from pathlib import Path

import pytest
from helpers import tones

from sorigeul.base.errors import UserError
from sorigeul.evaluation.scores import TextPair
from sorigeul.evaluation.transcript_files import match_transcripts, read_transcripts

TEXTS = {"a/1.wav": "나는 밥을 먹었다", "b-2": "", "다": "3(세) 개"}
FORMATS = {
    "tsv": "".join(f"{id_}\t{text}\n" for id_, text in TEXTS.items()),
    "tsv with a header": "id\ttext\n" + "".join(f"{id_}\t{text}\n" for id_, text in TEXTS.items()),
    "trn": ";; a comment\n" + "".join(f"{text} ({id_})\n" for id_, text in TEXTS.items()),
    "jsonl": "".join(
        json.dumps({"audio" if id_.endswith("wav") else "id": id_, "text": text}) + "\n"
        for id_, text in TEXTS.items()
    ),
    "cuts": "".join(
        json.dumps({"id": id_, "supervisions": [{"text": text}]}, ensure_ascii=False) + "\n"
        for id_, text in TEXTS.items()
    ),
}


def file(folder: Path, content: str, name: str = "texts", encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(content.encode(encoding))
    return folder / name


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_every_format_is_read(tmp_path: Path, format_name: str, encoding: str) -> None:
    content = FORMATS[format_name].replace("\n", "\r\n") + "\r\n"
    read = read_transcripts(file(tmp_path, content, encoding=encoding))
    assert read.texts == TEXTS
    assert (read.speakers, read.normalizer, read.failures) == ({}, "unknown", {})


def test_a_prepared_corpus_has_speakers_and_a_normaliser(corpus: Path) -> None:
    for read in (read_transcripts(corpus, "dev"), read_transcripts(corpus / "dev.jsonl")):
        assert list(read.texts.values()) == tones.texts(48)[4:8]
        assert read.speakers == {f"u0{number}.wav": f"s{number % 4}" for number in range(4, 8)}
        assert read.normalizer == "plain/2"


def test_ids_and_texts_are_composed(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "가\t밥을\n")
    assert read_transcripts(file(tmp_path, decomposed)).texts == {"가": "밥을"}


def test_what_is_on_one_side_only_is_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    references = file(tmp_path, "1\t가\n2\t나\n3\t다\n", "ref")
    hypotheses = file(tmp_path, '{"id": "3", "text": "라"}\n{"id": "4", "text": "마"}\n', "hyp")
    with caplog.at_level(logging.WARNING):
        matched = match_transcripts(read_transcripts(references), read_transcripts(hypotheses))
    assert matched.pairs == [
        TextPair("1", "가", ""),
        TextPair("2", "나", ""),
        TextPair("3", "다", "라"),
    ]
    assert (matched.missing, matched.without_reference) == (["1", "2"], ["4"])
    assert [record.getMessage() for record in caplog.records] == [
        f"utterances that count as recognised as nothing: no line in {hypotheses}: 2 (1, 2)",
        f"utterances that are not scored: no reference in {references}: 1 (4)",
    ]


def test_recordings_that_could_not_be_read_count_as_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As `transcribe --manifest` writes them."""
    lines = '{"id": "1", "audio": "x", "text": "가"}\n{"id": "2", "audio": "y", "error": "empty"}\n'
    hypotheses = read_transcripts(file(tmp_path, lines))
    assert hypotheses.texts == {"1": "가", "2": ""}
    assert hypotheses.failures == {"2": "empty"}
    references = read_transcripts(file(tmp_path, "1\t가\n2\t나\n", "ref"))
    with caplog.at_level(logging.WARNING):
        assert match_transcripts(references, hypotheses).missing == []
    assert f"count as recognised as nothing: an error in {hypotheses.path}: 1 (2)" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no text"),
        ("1\t가\n2 나\n", ":2 is no line of id<TAB>text"),
        ("1\t가\t나\n", ":1 has more than two columns"),
        ("1\t가\n1\t나\n", ":2 has the id 1 again"),
        ("가 나\n", ":1 is neither id<TAB>text nor JSON nor 'text (id)'"),
        ('{"id": "1", "text": "가"}\n{"id": "2"}\n', ':2 is no JSON with "id" or "audio" and'),
        ('{"text": "가"}\n', ":1 is no JSON"),
        ('{"id": "1", "text": "가"\n', ":1 is no JSON"),
        ('{"id": "1", "text": 3}\n', ":1 is no JSON"),
        ('{"id": "1", "supervisions": []}\n', ":1 is no JSON"),
        ('{"id": ' + "[" * 100_000, ":1 is no JSON"),
    ],
)
def test_mistakes_are_said_with_their_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        read_transcripts(file(tmp_path, content))
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "texts"))


def test_files_without_a_common_id_are_refused(tmp_path: Path) -> None:
    references = read_transcripts(file(tmp_path, "1\t가\n", "ref"))
    hypotheses = read_transcripts(file(tmp_path, "1.wav\t가\n", "hyp"))
    with pytest.raises(
        UserError, match=r"no id of .*hyp \(such as 1.wav\) is in .*ref \(such as 1"
    ):
        match_transcripts(references, hypotheses)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_transcripts(tmp_path / "none")
    with pytest.raises(UserError, match=r"has no manifest test\.jsonl"):
        read_transcripts(tmp_path)
