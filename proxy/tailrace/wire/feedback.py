"""What somebody says of an answer, as `POST /v1/feedback` takes it. Pure.

    {"id": …, "score": 0.2, "thumb": "down", "text": "…", "correction": "…", "source": "user", "tags": {…}}

`id` is our id (`x-tailrace-id`), the provider's (`chatcmpl-…`), or the caller's own (`x-tailrace-external-id`). One at
least of `score`, `thumb`, `text` and `correction` says something. The same feedback sent again is the same feedback: by
its `idempotency-key`, else by what it says.
"""

import math
from hashlib import blake2b
from typing import Any, Final

import orjson

from tailrace.errors import Code, Refused
from tailrace.records import Feedback, Json

MAX_TEXT_CHARS: Final = 65_536
_MAX_NAME_CHARS: Final = 512
_MAX_TAGS: Final = 64
_FIELDS: Final = frozenset(("id", "score", "thumb", "text", "correction", "source", "tags"))
_SAYING: Final = ("score", "thumb", "text", "correction")


def read_feedback(body: bytes, *, at_us: int, project: str, key: str | None, idempotency: str | None) -> Feedback:
    """The feedback in `body`.

    Raises:
        Refused: INVALID_JSON or INVALID_REQUEST, 400, naming the field and what it should be.
    """
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise Refused(Code.INVALID_JSON, "The feedback is not valid JSON.", status=400) from exc
    if not isinstance(said, dict):
        raise _invalid("The feedback must be a JSON object.")
    unknown = said.keys() - _FIELDS
    if unknown:
        raise _invalid(f"`{min(unknown)[:100]}` is no field of feedback; the fields are {', '.join(sorted(_FIELDS))}.")
    if all(said.get(name) is None for name in _SAYING):
        raise _invalid("The feedback says nothing; give one of `score`, `thumb`, `text` and `correction`.")
    target = _name(said, "id", None)
    source = _name(said, "source", "user")
    feedback = Feedback(
        id="",
        at_us=at_us,
        project=project,
        key=key,
        target=target,
        source=source,
        score=_score(said.get("score")),
        thumb=_thumb(said.get("thumb")),
        text=_text(said.get("text")),
        correction=_correction(said.get("correction")),
        tags=_tags(said.get("tags")),
    )
    return _identified(feedback, said, idempotency)


def _identified(feedback: Feedback, said: dict[str, Any], idempotency: str | None) -> Feedback:
    """`feedback` with its id: no two projects or callers share one."""
    basis = [feedback.project, feedback.key, idempotency or said]
    id_ = blake2b(orjson.dumps(basis, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
    return Feedback(
        id_, feedback.at_us, feedback.project, feedback.key, feedback.target, feedback.source, feedback.score,
        feedback.thumb, feedback.text, feedback.correction, feedback.tags,
    )  # fmt: skip


def _name(said: dict[str, Any], field: str, default: str | None) -> str:
    value = said.get(field, default)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME_CHARS:
        raise _invalid(f"`{field}` must be a string of 1 to {_MAX_NAME_CHARS} characters.")
    return value


def _score(value: Json) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _invalid("`score` must be a number.")
    return float(value)


def _thumb(value: Json) -> str | None:
    if value not in (None, "up", "down"):
        raise _invalid('`thumb` must be "up" or "down".')
    return None if value is None else str(value)


def _text(value: Json) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > MAX_TEXT_CHARS):
        raise _invalid(f"`text` must be a string of at most {MAX_TEXT_CHARS} characters.")
    return value


def _correction(value: Json) -> Json:
    """What the answer should have been, as a message."""
    if value is None:
        return None
    if isinstance(value, str):
        return {"role": "assistant", "content": value}
    if not isinstance(value, dict) or value.get("role", "assistant") != "assistant":
        raise _invalid("`correction` must be the text that the answer should have been, or an assistant message.")
    try:
        orjson.dumps([[value]])  # as deep as it is written on the way into the log
    except TypeError as exc:
        raise _invalid("`correction` is nested too deep.") from exc
    return {"role": "assistant", **value}


def _tags(value: Json) -> dict[str, str] | None:
    if value is None:
        return None
    if (
        not isinstance(value, dict)
        or len(value) > _MAX_TAGS
        or not all(isinstance(text, str) and len(text) <= _MAX_NAME_CHARS for text in value.values())
        or not all(0 < len(name) <= _MAX_NAME_CHARS for name in value)
    ):
        raise _invalid(f"`tags` must be an object of at most {_MAX_TAGS} short strings.")
    return value or None


def _invalid(message: str) -> Refused:
    return Refused(Code.INVALID_REQUEST, message, status=400)
