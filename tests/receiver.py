"""A receiver of webhooks on a real socket: says what came, checks signatures, and answers as it is told to."""

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Received:
    """One call."""

    id: str
    body: dict[str, Any]
    signed: bool  # with the secret, as Standard Webhooks has it


@dataclass(slots=True)
class Receiver:
    """`answers` are given in turn, the last one again and again; 0 closes the connection without a word."""

    secret: str
    address: str = ""
    answers: list[int] = field(default_factory=lambda: [204])
    calls: list[Received] = field(default_factory=list)
    hang: threading.Event | None = None  # until it is set nothing is answered

    def take(self, headers: Any, body: bytes) -> int:
        """A call has come."""
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = base64.b64encode(hmac.digest(self.secret.encode(), signed, hashlib.sha256)).decode()
        is_good = hmac.compare_digest(f"v1,{digest}", headers["webhook-signature"])
        self.calls.append(Received(headers["webhook-id"], orjson.loads(body), is_good))
        if self.hang is not None:
            self.hang.wait(30)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def receiver(secret: str) -> Iterator[Receiver]:
    """A receiver that runs."""
    taking = Receiver(secret)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = taking.take(self.headers, self.rfile.read(int(self.headers["content-length"])))
            if status:
                self.send_response(status)
                self.send_header("location", "http://127.0.0.1:9/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taking.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield taking
    finally:
        if taking.hang is not None:
            taking.hang.set()
        server.shutdown()
        thread.join()
        server.server_close()
