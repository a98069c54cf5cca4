"""`POST /v1/messages`: Anthropic's messages.

Why an answer ended is told in OpenAI's words, which queries and recipes know:

    end_turn, stop_sequence → stop           tool_use → tool_calls       refusal → content_filter
    max_tokens, model_context_window_exceeded → length                   others, as `pause_turn`, stay as they are

For linking, a `tool_use` block is a tool call of its message, and a `tool_result` block a tool's message of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tailrace.records import Endpoint, Json
from tailrace.wire.endpoint import EndpointWire, Read
from tailrace.wire.fold_messages import KINDS, fold_messages
from tailrace.wire.opening import read_messages
from tailrace.wire.typed_scan import TypedScan
from tailrace.wire.usage import read_messages_usage, reason_word

_REASONS: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_CALLS: Final = frozenset(("tool_use", "server_tool_use", "mcp_tool_use"))


def read(parsed: dict[str, Any]) -> Read:
    """As `EndpointWire.read`. Raises Refused where `messages` is no list of objects."""
    step, first_user = read_messages(parsed.get("messages"))
    return Read(step, first_user)


def finish_reason(answer: Json) -> str | None:
    """As `EndpointWire.finish_reason`."""
    reason = reason_word(answer.get("stop_reason")) if isinstance(answer, dict) else None
    return None if reason is None else _REASONS.get(reason, reason)


def turns_of(request: Json) -> Sequence[dict[str, Any]]:
    """As `EndpointWire.turns_of`. The `system` field is no turn."""
    messages = request.get("messages") if isinstance(request, dict) else None
    if not isinstance(messages, list):
        return ()
    return [turn for message in messages if isinstance(message, dict) for turn in _turns(message)]


def answers_of(answer: Json) -> Sequence[tuple[int, dict[str, Any]]]:
    """As `EndpointWire.answers_of`: the message itself."""
    if not isinstance(answer, dict) or answer.get("role") != "assistant" or "content" not in answer:
        return ()
    return [(0, _said(answer["content"]))]


def _turns(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    if message.get("role") == "assistant":
        return [_said(content)]
    if not isinstance(content, list):
        return [message]
    turns: list[dict[str, Any]] = []
    rest: list[Json] = []
    for block in content:
        if isinstance(block, dict) and block.get("type") == "tool_result":
            turns.append({"role": "tool", "content": block.get("content")})
        else:
            rest.append(block)
    return [*turns, message | {"content": rest}] if rest or not turns else turns


def _said(content: Json) -> dict[str, Any]:
    """An assistant's message with its tool calls where chat has them."""
    if not isinstance(content, list):
        return {"role": "assistant", "content": content}
    calls: list[dict[str, Any]] = []
    rest: list[Json] = []
    for block in content:
        if isinstance(block, dict) and isinstance(kind := block.get("type"), str) and kind in _CALLS:
            calls.append({"function": {"name": block.get("name"), "arguments": block.get("input")}})
        else:
            rest.append(block)
    return {"role": "assistant", "content": rest, "tool_calls": calls}


WIRE: Final = EndpointWire(
    endpoint=Endpoint.MESSAGES,
    path="/messages",
    read=read,
    scan=lambda _: TypedScan(KINDS),
    fold=fold_messages,
    usage=lambda answer, ended: read_messages_usage(answer, ended=ended),
    finish_reason=finish_reason,
    turns_of=turns_of,
    answers_of=answers_of,
)
