"""A small Hugging Face hub on this machine: it takes models, checks their cards, and gives them.

It speaks what the library `huggingface_hub` asks of the real one to create a repository, to commit
to it, by Git LFS where a file is binary, and to download it.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

TOKEN = "hf_of_a_test"
OWNER = "somebody"
_BINARY = (".safetensors", ".onnx", ".npz", ".bin")


@dataclass
class Repository:
    """A model on the hub."""

    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"\n"})
    commits: int = 0

    @property
    def sha(self) -> str:
        return hashlib.sha1(str(self.commits).encode()).hexdigest()


@dataclass
class Hub:
    """A hub that runs."""

    url: str
    folder: Path
    """for what the client keeps"""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    """what was uploaded by Git LFS, by its SHA-256"""

    def environment(self, token: str = TOKEN) -> dict[str, str]:
        """Variables by which a process finds the hub, and none other."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(self.folder),
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_XET": "1",  # a protocol of its own beside Git LFS
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }


def card_faults(text: str) -> list[str]:
    """What the hub says is wrong with the first lines of a card (docs: Model Cards)."""
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    if found is None:
        return ["there is no metadata"]
    data = yaml.safe_load(found[1])
    faults = []
    if data.get("license") == "other" and not data.get("license_name"):
        faults.append('"license_name" is required where "license" is other')
    for model in data.get("model-index", []):
        for result in model["results"]:
            wanted = [("task", "type"), ("dataset", "type"), ("dataset", "name")]
            faults += [
                f'"{one}.{key}" is required' for one, key in wanted if not result[one].get(key)
            ]
            for metric in result["metrics"]:
                if not isinstance(metric.get("type"), str) or "value" not in metric:
                    faults.append('"metrics" need a type and a value')
    for key, type_ in (("tags", list), ("metrics", list), ("library_name", str)):
        if key in data and not isinstance(data[key], type_):
            faults.append(f'"{key}" must be a {type_.__name__}')
    return faults


@contextmanager
def hub_server(folder: Path) -> Iterator[Hub]:
    """Run a hub with nothing on it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}", folder)
    server.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        return hub

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is printed."""

    def _reply(self, status: int, content: Any = b"", **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _may_write(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._reply(401, {"error": "Invalid username or password."})
        return False

    def do_POST(self) -> None:
        body, path = self._body(), unquote(urlsplit(self.path).path)
        if path == "/api/validate-yaml":
            faults = card_faults(json.loads(body)["content"])
            errors = [{"message": fault} for fault in faults]
            self._reply(400 if errors else 200, {"errors": errors, "warnings": []})
        elif self._may_write():
            if path == "/api/repos/create":
                self._create(json.loads(body))
            elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", path):
                repository = self.hub.repositories[found[1]]
                if found[2] == "commit":
                    self._commit(found[1], repository, body)
                else:
                    self._preupload(json.loads(body))
            elif path.endswith(".git/info/lfs/objects/batch"):
                self._batch(json.loads(body))
            else:
                self._reply(404, {"error": "not found"})

    def _create(self, wanted: dict[str, Any]) -> None:
        owner = wanted["organization"] or OWNER
        name = f"{owner}/{wanted['name']}"
        if owner != OWNER:
            self._reply(
                403, {"error": f"You don't have the rights to create a model under {owner}"}
            )
        elif name in self.hub.repositories:
            url = f"{self.hub.url}/{name}"
            self._reply(409, {"error": "You already created this model repo", "url": url})
        else:
            is_private = wanted.get("private") is True or wanted.get("visibility") == "private"
            self.hub.repositories[name] = Repository(is_private)
            self._reply(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def _preupload(self, wanted: dict[str, Any]) -> None:
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(_BINARY) else "regular",
                "shouldIgnore": False,
            }
            for file in wanted["files"]
        ]
        self._reply(200, {"files": files})

    def _batch(self, wanted: dict[str, Any]) -> None:
        objects = [
            {
                "oid": one["oid"],
                "size": one["size"],
                "actions": {"upload": {"href": f"{self.hub.url}/objects/{one['oid']}"}},
            }
            for one in wanted["objects"]
        ]
        self._reply(200, {"transfer": "basic", "objects": objects})

    def do_PUT(self) -> None:
        body = self._body()
        self.hub.objects[hashlib.sha256(body).hexdigest()] = body
        self._reply(200)

    def _commit(self, name: str, repository: Repository, body: bytes) -> None:
        for line in body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                repository.files[value["path"]] = self.hub.objects[value["oid"]]
            elif operation["key"] == "deletedFile":
                del repository.files[value["path"]]
        repository.commits += 1
        url = f"{self.hub.url}/{name}/commit/{repository.sha}"
        self._reply(200, {"commitUrl": url, "commitOid": repository.sha, "success": True})

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        model = re.fullmatch(r"/(?:api/models/)?([^/]+/[^/]+)(/.*)?", path)
        repository = self.hub.repositories.get(model[1]) if model else None
        authorized = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if model is None or repository is None or (repository.private and not authorized):
            self._reply(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            return
        rest = model[2] or ""
        if rest.startswith("/resolve/"):
            self._file(repository, rest.split("/", 3)[3])
        elif rest.startswith("/tree/"):
            assert parse_qs(parts.query).get("recursive")
            self._reply(200, [_entry(*item) for item in repository.files.items()])
        else:
            self._reply(
                200,
                {
                    "id": model[1],
                    "sha": repository.sha,
                    "private": repository.private,
                    "tags": [],
                    "siblings": [{"rfilename": name} for name in repository.files],
                },
            )

    do_HEAD = do_GET

    def _file(self, repository: Repository, name: str) -> None:
        if name not in repository.files:
            self._reply(404, {"error": "not found"}, X_Error_Code="EntryNotFound")
            return
        content = repository.files[name]
        digest = hashlib.sha256(content).hexdigest()
        self._reply(200, content, ETag=f'"{digest}"', X_Repo_Commit=repository.sha)


def _entry(name: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": digest}
    if name.endswith(_BINARY):
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
    return entry
