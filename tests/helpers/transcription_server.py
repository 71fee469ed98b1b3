"""A small real server that speaks OpenAI's transcription API, and can be made to fail."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import numpy.typing as npt
import soundfile


@dataclass(frozen=True)
class Upload:
    """A request, decoded with libraries that the client does not use."""

    path: str
    headers: dict[str, str]
    fields: dict[str, str]
    samples: npt.NDArray[np.int16]
    rate: int


@dataclass(frozen=True)
class Answer:
    """Status, body and headers of an answer."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def text(cls, text: str) -> "Answer":
        return cls(200, json.dumps({"text": text}))


@dataclass
class TranscriptionServer:
    """A running server: `answer` gets each request with its number, counted from 0."""

    url: str
    answer: Callable[[Upload, int], Answer]
    uploads: list[Upload] = field(default_factory=list)


@contextmanager
def serving(
    answer: Callable[[Upload, int], Answer] = lambda upload, _: Answer.text("가나"),
) -> Iterator[TranscriptionServer]:
    """Run a server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            upload = self._decode()
            number = len(running.uploads)
            running.uploads.append(upload)
            answered = running.answer(upload, number)
            body = answered.body.encode()
            self.send_response(answered.status)
            for name, value in answered.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _decode(self) -> Upload:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            fields, file = {}, b""
            for part in BytesParser().parsebytes(head + body).get_payload():
                name = part.get_param("name", header="content-disposition")
                content = part.get_payload(decode=True)
                if name == "file":
                    file = content
                else:
                    fields[name] = content.decode()
            samples, rate = soundfile.read(io.BytesIO(file), dtype="int16")
            return Upload(self.path, dict(self.headers), fields, samples, rate)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = TranscriptionServer(f"http://127.0.0.1:{server.server_port}", answer)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
