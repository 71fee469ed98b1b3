"""Tests of API keys."""

from pathlib import Path

import pytest
from starlette.datastructures import Headers

from sorigeul.base.errors import UserError
from sorigeul.serving.api_errors import ApiError
from sorigeul.serving.authentication import VARIABLE, ApiKeys


def status(keys: ApiKeys, **headers: str) -> int:
    try:
        keys.check(Headers({name.replace("_", "-"): value for name, value in headers.items()}))
    except ApiError as error:
        return error.status
    return 200


def test_keys_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# ours\nfirst\n\n  second \n", encoding="utf-8")
    keys = ApiKeys.load(path)
    assert [keys.accepts(key) for key in (b"first", b"second", b"", b"# ours", b"firs")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "first, second,")
    keys = ApiKeys.load(None)
    assert keys.accepts(b"first")
    assert keys.accepts(b"second")
    assert not keys.accepts(b"")
    monkeypatch.delenv(VARIABLE)
    assert not ApiKeys.load(None)


@pytest.mark.parametrize("content", [None, b"", b"# none\n", b"\xff\xfe\x00"])
def test_a_file_without_keys_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="keys"):
        ApiKeys.load(path)


def test_without_keys_everybody_is_accepted() -> None:
    assert status(ApiKeys([])) == 200


def test_a_key_is_sent_as_openai_s_clients_do() -> None:
    keys = ApiKeys(["secret", "or another"])
    assert status(keys, authorization="Bearer secret") == 200
    assert status(keys, authorization="bearer  secret ") == 200
    assert status(keys, authorization="Bearer wrong") == 401
    assert status(keys, authorization="Bearer ") == 401
    assert status(keys, authorization="Basic secret") == 401
    assert status(keys) == 401


def test_a_browser_sends_it_as_a_subprotocol() -> None:
    keys = ApiKeys(["secret"])
    names = "realtime, openai-insecure-api-key.secret"
    assert status(keys, sec_websocket_protocol=names) == 200
    assert status(keys, sec_websocket_protocol="realtime, openai-insecure-api-key.x") == 401
    assert status(keys, sec_websocket_protocol="secret") == 401
