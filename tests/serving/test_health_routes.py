"""What monitors ask a server: whether it lives, and whether it takes work."""

import httpx2 as httpx
import pytest
from helpers.servers import Server


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_monitor_may_ask_without_wanting_a_body(server: Server, path: str) -> None:
    head = httpx.head(server.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert server.get(path).status_code == 200
