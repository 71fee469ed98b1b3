"""What users call engines."""

from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.evaluation.engines.openai_server import OpenAIServer
from sorigeul.evaluation.engines.run import Run
from sorigeul.evaluation.engines.specification import open_engines
from sorigeul.evaluation.engines.text_file import TextFile


def test_each_kind_of_engine_with_and_without_a_name(run: Path, tmp_path: Path) -> None:
    texts = tmp_path / "a=b.tsv"
    texts.write_text("u0\t가\n", encoding="utf-8")
    given = [
        str(run),
        f"ours={run}",
        f"file:{texts}",
        f"their texts=file:{texts}",
        "openai:http://localhost:8000/v1#whisper-1",
        "qwen=openai:http://localhost:8000/v1#Qwen/Qwen3-ASR",
    ]
    engines = open_engines(given, "test")
    assert [type(one.engine) for one in engines] == [
        kind for kind in (Run, TextFile, OpenAIServer) for _ in range(2)
    ]
    assert [one.name for one in engines] == [
        str(run),
        "ours",
        f"file:{texts}",
        "their texts",
        given[4],
        "qwen",
    ]
    assert engines[5].specification == "openai:http://localhost:8000/v1#Qwen/Qwen3-ASR"
    fingerprint = engines[5].engine.fingerprint
    assert fingerprint == "http://localhost:8000/v1/audio/transcriptions#Qwen/Qwen3-ASR"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("openai:http://localhost:8000", "names no model: give openai:URL#MODEL"),
        ("openai:http://localhost:8000#", "names no model"),
        ("openai:localhost#m", "address"),
        ("openai:", "nothing follows openai:"),
        ("file:", "nothing follows file:: give file:TEXTS"),
        ("file:nowhere.tsv", "nowhere.tsv: cannot be read"),
        ("nowhere", "nowhere"),
    ],
)
def test_what_cannot_be_opened_is_refused(given: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        open_engines([given], "test")


def test_two_engines_of_the_same_name_are_refused() -> None:
    with pytest.raises(UserError, match="two engines are called a: give each a name"):
        open_engines(["a=vosk", "a=nowhere"], "test")


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    (one,) = open_engines(["openai:http://localhost#m"], "test")
    assert "s3cret" not in repr(one)
    assert isinstance(one.engine, OpenAIServer)
