"""Chat completions as we write them: whole, in chunks, and their errors.

Owns: their shape. A stream of these chunks folds into the answer that `chat_answer` writes (tests hold it).
"""

from typing import Any, Final

import orjson

from tailrace.errors import OPENAI
from tailrace.records import Json
from tailrace.wire.dialects.reading import added

DONE: Final = b"data: [DONE]\n\n"
FIRST_DELTA: Final[dict[str, Any]] = {"role": "assistant", "content": None, "refusal": None}
"""What each choice's first chunk says."""


class ChatChunks:
    """The chunks of one stream. `with_usage`: the client asked for usage, so that each chunk has the field."""

    __slots__ = ("_head", "_tail", "_with_usage")

    def __init__(self, completion_id: str, model: str, created_s: int, *, with_usage: bool) -> None:
        fields = {"id": completion_id, "object": "chat.completion.chunk", "created": created_s, "model": model}
        self._head = b"data: " + orjson.dumps(fields)[:-1] + b',"choices":'
        self._tail = b',"usage":null}\n\n' if with_usage else b"}\n\n"
        self._with_usage = with_usage

    def delta(
        self, delta: dict[str, Any], *, index: int = 0, finish_reason: str | None = None, logprobs: Json = None
    ) -> bytes:
        """A chunk of choice `index`."""
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        return b"".join((self._head, orjson.dumps([choice]), self._tail))

    def usage(self, usage: dict[str, Any] | None) -> bytes:
        """The chunk with the usage, nothing where the client did not ask for it or it is unknown."""
        if usage is None or not self._with_usage:
            return b""
        return b"".join((self._head, b'[],"usage":', orjson.dumps(usage), b"}\n\n"))


def asks_usage(asked: dict[str, Any]) -> bool:
    """Whether the request wants a chunk with usage at the end of its stream."""
    options = asked.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def chat_answer(
    completion_id: str, model: str, created_s: int, choices: list[dict[str, Any]], usage: dict[str, Any] | None
) -> dict[str, Any]:
    """A whole chat completion."""
    answer: dict[str, Any] = {
        "id": completion_id,
        "object": "chat.completion",
        "created": created_s,
        "model": model,
        "choices": choices,
    }
    if usage is not None:
        answer["usage"] = usage
    return answer


def chat_choice(
    message: dict[str, Any], *, index: int = 0, finish_reason: str | None, logprobs: Json = None
) -> dict[str, Any]:
    """One choice of a whole chat completion."""
    return {
        "index": index,
        "message": {**FIRST_DELTA, **message},
        "logprobs": logprobs,
        "finish_reason": finish_reason,
    }


def tool_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A tool call of a message, or the beginning of one in a delta."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def chat_usage(
    input_tokens: int | None,
    output_tokens: int | None,
    *,
    total: int | None = None,
    into: dict[str, int | None] | None = None,
    out_of: dict[str, int | None] | None = None,
) -> dict[str, Any] | None:
    """Usage, None where nothing is known. `into`, `out_of`: details of input and output; unknown ones are left out."""
    if input_tokens is None and output_tokens is None:
        return None
    usage: dict[str, Any] = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": total if total is not None else added(input_tokens, output_tokens),
    }
    for name, details in (("prompt_tokens_details", into), ("completion_tokens_details", out_of)):
        known = {kind: value for kind, value in (details or {}).items() if value is not None}
        if known:
            usage[name] = known
    return usage


def chat_error(message: str, kind: str = "api_error", code: str | None = None) -> dict[str, Any]:
    """An error of the provider."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def chat_error_event(error: dict[str, Any]) -> bytes:
    """`error` inside a stream."""
    return OPENAI.event_name + b"data: " + orjson.dumps(error) + b"\n\n"
