"""The embeddings wire: OpenAI's `POST /v1/embeddings`, texts and token arrays, as numbers or base64. Never streamed.

A vector is a hash of its text: of length 1, the same for the same text, unlike for any other.
"""

import base64
import hashlib
import struct
from collections.abc import Iterator
from typing import Final

import orjson

from tailrace.records import Json
from tailrace.simulate import chat
from tailrace.simulate.answer import Answer, Asked, BadRequest, Reports, Said, Stamp, tokens
from tailrace.simulate.wire import Manner

MANNER: Final = Manner("embeddings", "/v1/embeddings")
TERMINAL: Final = b""
frame = chat.frame
failure = chat.failure
_DIMENSIONS: Final = 64
_MOST_DIMENSIONS: Final = 4_096
_MOST_INPUTS: Final = 2_048  # OpenAI's own bound


def read(body: Json, path: str) -> Asked:  # noqa: ARG001 - the interface of a wire
    """The question in a request body. Raises BadRequest."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadRequest("you must provide a model parameter", "model")
    if body.get("encoding_format") not in {None, "float", "base64"}:
        raise BadRequest("Invalid value for 'encoding_format': expected 'float' or 'base64'.", "encoding_format")
    chat.whole_number(body, "dimensions", 1, _MOST_DIMENSIONS)
    return Asked(
        model=body["model"],
        messages=tuple(Said("user", one if isinstance(one, str) else "") for one in _inputs(body)),
        caller=body["user"] if isinstance(body.get("user"), str) else None,
        body=body,
    )


def document(asked: Asked, answer: Answer, stamp: Stamp) -> dict[str, Json]:  # noqa: ARG001 - a vector depends on neither
    """The body of the answer."""
    inputs = _inputs(asked.body)
    size = asked.body.get("dimensions") or _DIMENSIONS
    as_base64 = asked.body.get("encoding_format") == "base64"
    shape: dict[str, Json] = {"object": "list", "data": [], "model": asked.model}
    for index, one in enumerate(inputs):
        vector = _vector(one, size)
        told = _base64(vector) if as_base64 else vector
        shape["data"].append({"object": "embedding", "index": index, "embedding": told})
    if answer.reports is not Reports.NEVER:
        count = sum(tokens(one) if isinstance(one, str) else len(one) for one in inputs)
        if answer.counts is not None:
            count = answer.counts.prompt
        shape["usage"] = {"prompt_tokens": count, "total_tokens": count}
    return shape


def events(asked: Asked, answer: Answer, stamp: Stamp) -> Iterator[Json]:
    """The answer as an only event. Never asked for: no question over this wire wants a stream."""
    yield document(asked, answer, stamp)


def _inputs(body: Json) -> list[Json]:
    """Texts and arrays of tokens. Raises BadRequest."""
    given = body.get("input")
    is_tokens = isinstance(given, list) and given and all(type(one) is int for one in given)
    inputs: list[Json] = given if isinstance(given, list) and not is_tokens else [given]
    if not 0 < len(inputs) <= _MOST_INPUTS or not all(isinstance(one, str) or _is_tokens(one) for one in inputs):
        raise BadRequest("Invalid type for 'input': expected texts or arrays of tokens.", "input")
    return inputs


def _is_tokens(one: Json) -> bool:
    return isinstance(one, list) and len(one) > 0 and all(type(token) is int for token in one)


def _vector(text: Json, size: int) -> list[float]:
    """A vector of length 1 that depends on the text alone."""
    raw = hashlib.shake_256(orjson.dumps(text)).digest(2 * size)
    values = [value / 32768 for value in struct.unpack(f"<{size}h", raw)]
    norm = sum(value * value for value in values) ** 0.5 or 1.0
    return [value / norm for value in values]


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
