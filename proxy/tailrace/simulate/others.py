"""Every other path: answered with a word on what was received, which is how a proxy's passing on is checked, and with
what official clients need of a file, a transcript, a picture, a verdict or a job to go on.

Which scenario plays is told by the query (`?sim=cut-after-3`), a JSON body's `model` or a form's field of that name;
else an echo. A download (`…/content`, `/audio/speech`, or any path with `?sim_bytes=N`) is a stream of bytes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qs

import orjson

from tailrace.records import Json
from tailrace.simulate import chat, messages
from tailrace.simulate.answer import Answer, Asked, BadRequest, Stamp
from tailrace.simulate.ledger import SimRequest
from tailrace.simulate.objects import like
from tailrace.simulate.wire import Manner, Wire

MANNER: Final = Manner("others", "every other path, such as /v1/files; a scenario is named by ?sim=NAME")
PATHS: Final = re.compile(
    r"/(files|uploads|audio|images|videos|moderations|batches|vector_stores|fine_tuning|threads|assistants|responses"
    r"|conversations|containers|evals|messages|chat/completions)(/|$)"
)
_DOWNLOADS: Final = re.compile(r"(/content|/audio/speech|/results)$")
_SPEECH: Final = re.compile(r"/audio/speech$")
_CONTENT_BYTES: Final = 65_536
_MOST_BYTES: Final = 2**40
_PIECE_BYTES: Final = 4_096
_PIECES: Final = 64  # a long download comes in about so many sizes of piece more
_LARGEST_PIECE: Final = 65_536


@dataclass(frozen=True, slots=True)
class Passed:
    """A wire that has no question in it: one request, told back."""

    request: SimRequest
    asked: Asked
    size_bytes: int
    """Of a download."""
    MANNER: Manner = field(init=False)
    TERMINAL: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        kind = b"audio/mpeg" if _SPEECH.search(self.request.path) else b"application/octet-stream"
        object.__setattr__(self, "MANNER", replace(MANNER, stream_type=(b"content-type", kind)))

    def read(self, body: Json, path: str) -> Asked:  # noqa: ARG002 - the interface of a wire
        """What was found when it was made."""
        return self.asked

    def document(self, asked: Asked, answer: Answer, stamp: Stamp) -> dict[str, Json]:
        """What was received."""
        request = self.request
        told = {
            "object": "echo",
            "id": f"echo-sim{stamp.number:020d}",
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "content_type": request.content_type,
            "body_bytes": request.size_bytes,
            "bytes": request.size_bytes,
            "sha256": request.sha256,
            "parts": [] if request.upload is None else [part.shape() for part in request.upload.parts],
        }
        return told | like(request, asked, answer, stamp)

    def events(self, asked: Asked, answer: Answer, stamp: Stamp) -> Iterator[bytes]:  # noqa: ARG002
        """The pieces of a download: bytes that are no text, the same for the same path."""
        seed = sha256(self.request.path.encode()).digest()
        size = min(_LARGEST_PIECE, max(_PIECE_BYTES, self.size_bytes // _PIECES))
        piece = (seed + bytes(range(224))) * (-(-size // 256))
        for _ in range(self.size_bytes // size):
            yield piece[:size]
        if rest := self.size_bytes % size:
            yield piece[:rest]

    def frame(self, event: Json, number: int = 0) -> bytes:  # noqa: ARG002 - the interface of a wire
        """A piece as it is, or an error in the middle of a download, which no client will see as one."""
        return event if isinstance(event, bytes) else orjson.dumps(event)

    def failure(
        self, message: str, *, kind: str, status: int = 500, code: str | None = None, param: str | None = None
    ) -> dict[str, Json]:
        """An error body, in the dialect of the path."""
        wire: Wire = messages if "/messages" in self.request.path else chat
        return wire.failure(message, kind=kind, status=status, code=code, param=param)


def passed(request: SimRequest) -> Passed | None:
    """The wire of `request`; None where its path is nobody's. Raises BadRequest for a download of no size."""
    query = {name: values[-1] for name, values in parse_qs(request.query).items()}
    if not PATHS.search(request.path) and not query.keys() & {"sim", "sim_bytes"}:
        return None
    body = _json(request)
    size = query.get("sim_bytes", str(_CONTENT_BYTES))
    if not re.fullmatch(r"[0-9]{1,13}", size) or int(size) > _MOST_BYTES:
        raise BadRequest(f"sim_bytes: expected an integer from 0 to {_MOST_BYTES}", "sim_bytes")
    model = query.get("sim") or (request.upload.field("model") if request.upload else None) or body.get("model")
    asked = Asked(
        model=model if isinstance(model, str) else "",
        messages=(),
        stream="sim_bytes" in query or _DOWNLOADS.search(request.path) is not None,
        body=body,
    )
    return Passed(request, asked, int(size))


def _json(request: SimRequest) -> dict[str, Json]:
    """A JSON body; empty where there is none or it is no object."""
    if "json" not in request.content_type:
        return {}
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
