"""The outcome of a model call that Tailrace makes for itself: an answer, or why there is none. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tailrace.records import Json

_QUOTED_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Completed:
    """`answer` is a whole JSON answer of status 2xx; else `failure` says why there is none."""

    status: int | None  # None: no answer came
    answer: dict[str, Any] | None
    failure: str | None = None
    id: str | None = None  # of the completion that the relay logged
    body: bytes = b""  # as it came

    @property
    def may_be_tried_again(self) -> bool:
        """Whether the failure is one that passes: none came, too many calls, or the provider's trouble."""
        return self.answer is None and (self.status is None or self.status in (408, 409, 429) or self.status >= 500)


def read_completed(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Completed:
    """What an answer of `status` amounts to."""
    id_ = next((value.decode("ascii", "replace") for name, value in headers if name == b"x-tailrace-id"), None)
    if status >= 400:
        return Completed(status, None, f"status {status}: {_told(body)}", id_, body)
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Completed(status, None, "the answer is no JSON", id_, body)
    if not isinstance(answer, dict):
        return Completed(status, None, "the answer is no JSON object", id_, body)
    return Completed(status, answer, None, id_, body)


def read_vectors(done: Completed, count: int) -> list[list[float]] | None:
    """The `count` vectors of an answer of `/v1/embeddings`, in the order of its indices; None where it holds others."""
    data = done.answer.get("data") if done.answer is not None else None
    if not isinstance(data, list) or len(data) != count:
        return None
    vectors: dict[int, list[float]] = {}
    for item in data:
        index, vector = (item.get("index"), item.get("embedding")) if isinstance(item, dict) else (None, None)
        if not isinstance(index, int) or not isinstance(vector, list):
            return None
        if not all(isinstance(number, float | int) and not isinstance(number, bool) for number in vector):
            return None
        vectors[index] = vector
    return [vectors[index] for index in range(count)] if vectors.keys() == set(range(count)) else None


def _told(body: bytes) -> str:
    """The message of an error in any dialect, else the beginning of its body."""
    try:
        said: Json = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:_QUOTED_CHARS].decode("utf-8", "replace")
    error = said.get("error") if isinstance(said, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message[:_QUOTED_CHARS] if isinstance(message, str) else body[:_QUOTED_CHARS].decode("utf-8", "replace")
