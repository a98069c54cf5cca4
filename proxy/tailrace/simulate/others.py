"""What a simulated provider answers outside the wires of completions: embeddings, token counts, kept responses, and a
word on whatever else is sent to it, which is how a proxy's passing on is checked.
"""

import base64
import hashlib
import re
import struct
from collections.abc import Sequence
from typing import Final

import orjson

from tailrace.records import Json
from tailrace.simulate import chat, messages
from tailrace.simulate.acts import Act, Data, Fin, chunked
from tailrace.simulate.answer import BadRequest, tokens
from tailrace.simulate.call import json_acts
from tailrace.simulate.ledger import SimRequest

_DIMENSIONS: Final = 64
_MOST_DIMENSIONS: Final = 4096
_CONTENT_BYTES: Final = 65_536
_ECHOED: Final = re.compile(
    r"/(files|uploads|audio|images|moderations|batches|vector_stores|fine_tuning|threads|assistants|responses|evals)\b"
)
_CONTENT: Final = re.compile(r"(/content|/audio/speech)$")


def answer(request: SimRequest) -> Sequence[Act] | None:
    """The answer to `request`; None where its path is nobody's."""
    path = request.path
    try:
        if path.endswith("/embeddings") and request.method == "POST":
            return json_acts(200, _embeddings(orjson.loads(request.body)))
        if path.endswith("/messages/count_tokens"):
            return json_acts(200, messages.count_tokens(orjson.loads(request.body)))
    except orjson.JSONDecodeError:
        return json_acts(
            400, chat.failure("We could not parse the JSON body of your request.", kind="invalid_request_error")
        )
    except BadRequest as bad:
        return json_acts(400, chat.failure(bad.message, kind="invalid_request_error", param=bad.param))
    if not _ECHOED.search(path):
        return None
    if _CONTENT.search(path):
        return _content(path)
    return json_acts(200, _told(request))


def _told(request: SimRequest) -> dict[str, Json]:
    """What was received."""
    kind = next((value for name, value in request.headers if name == b"content-type"), b"")
    return {
        "object": "echo",
        "id": f"echo-{hashlib.sha256(request.body).hexdigest()[:12]}",
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "content_type": kind.decode("latin-1"),
        "bytes": len(request.body),
        "sha256": hashlib.sha256(request.body).hexdigest(),
        "text": "",
    }


def _content(path: str) -> tuple[Act, ...]:
    """Bytes that are no text, in pieces; the same for the same path."""
    seed = hashlib.sha256(path.encode()).digest()
    pieces = [Data((seed + bytes(range(224))) * 16) for _ in range(_CONTENT_BYTES // 4096)]
    return (chunked(200, ((b"content-type", b"application/octet-stream"),)), *pieces, Fin())


def _embeddings(body: Json) -> dict[str, Json]:
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadRequest("you must provide a model parameter", "model")
    given = body.get("input")
    if isinstance(given, list) and given and isinstance(given[0], int):
        given = [given]
    inputs: list[Json] = given if isinstance(given, list) else [given]
    if not inputs or not all(isinstance(one, str | list) for one in inputs):
        raise BadRequest("Invalid type for 'input'.", "input")
    size = chat.whole_number(body, "dimensions", 1, _MOST_DIMENSIONS) or _DIMENSIONS
    as_base64 = body.get("encoding_format") == "base64"
    vectors = [_vector(one, size) for one in inputs]
    count = sum([tokens(one) if isinstance(one, str) else len(one) for one in inputs])
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _base64(vector) if as_base64 else vector}
            for index, vector in enumerate(vectors)
        ],
        "model": body["model"],
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }


def _vector(text: Json, size: int) -> list[float]:
    """A vector of length 1 that depends on the text alone."""
    raw = hashlib.shake_256(orjson.dumps(text)).digest(2 * size)
    values = [value / 32768 for value in struct.unpack(f"<{size}h", raw)]
    norm = sum(value * value for value in values) ** 0.5 or 1.0
    return [value / norm for value in values]


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
