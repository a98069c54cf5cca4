"""An Anthropic message as a chat completion.

| messages                                    | chat                                                                   |
|---------------------------------------------|------------------------------------------------------------------------|
| text blocks                                 | message.content, put together                                          |
| thinking blocks                             | message.reasoning_content, put together                                |
| signed thinking, redacted_thinking          | message.thinking_blocks, as they came: echoed, they are sent back      |
| tool_use blocks                             | message.tool_calls                                                     |
| stop_reason end_turn, stop_sequence         | finish_reason stop                                                     |
| max_tokens, model_context_window_exceeded   | length                                                                 |
| tool_use                                    | tool_calls                                                             |
| refusal, with stop_details.explanation      | content_filter, with message.refusal                                   |
| any other                                   | as it is                                                               |
| input + cache read + cache creation         | prompt_tokens, with cached_tokens and cache_write_tokens               |
| output_tokens, of them thinking_tokens      | completion_tokens, of them reasoning_tokens                            |

Citations and the blocks of server tools have no place, and no chat request can ask for them.
"""

from typing import Any, Final

import orjson

from tailrace.records import Json
from tailrace.wire.dialects.chat_answers import chat_answer, chat_choice, chat_error, chat_usage, tool_call
from tailrace.wire.dialects.reading import (
    Unreadable,
    added,
    count,
    json_bytes,
    obj,
    objects,
    parsed_or_none,
    text,
    unreadable_error,
)

_FINISH_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def translate_answer(said: Json, now_s: int) -> Json:
    """As `Translation.answer`."""
    message = obj(said)
    if message.get("type") == "error":
        return error_of(message)
    if not isinstance(message.get("content"), list):
        return chat_error("The provider's answer is no message of Anthropic's.")
    try:
        said_message = _message(message)
    except Unreadable as exc:
        return chat_error(str(exc))
    choice = chat_choice(said_message, finish_reason=finish_reason_of(message))
    usage = usage_of(obj(message.get("usage")))
    return chat_answer(text(message.get("id")), text(message.get("model")), now_s, [choice], usage)


def translate_error(body: bytes, status: int) -> bytes:
    """As `Translation.error`."""
    said = obj(parsed_or_none(body))
    if not isinstance(said.get("error"), dict):
        return unreadable_error(body, status)
    return orjson.dumps(error_of(said))


def error_of(said: dict[str, Any]) -> dict[str, Any]:
    """The error in an answer, a body or an event. The type keeps Anthropic's word."""
    error = obj(said.get("error"))
    code = text(obj(error.get("details")).get("error_code")) or None
    return chat_error(text(error.get("message")), text(error.get("type")) or "api_error", code)


def finish_reason_of(said: dict[str, Any]) -> str | None:
    """Why the message ended, None where it has not."""
    reason = text(said.get("stop_reason"))
    return _FINISH_REASONS.get(reason, reason) or None


def refusal_of(said: dict[str, Any]) -> str:
    """The explanation that comes with a refusal; empty where there is none."""
    return text(obj(said.get("stop_details")).get("explanation"))


def usage_of(usage: dict[str, Any]) -> dict[str, Any] | None:
    """Usage in chat's words. Anthropic counts what was read from and written to its cache beside the rest."""
    read, written = count(usage.get("cache_read_input_tokens")), count(usage.get("cache_creation_input_tokens"))
    thinking = count(obj(usage.get("output_tokens_details")).get("thinking_tokens"))
    return chat_usage(
        added(count(usage.get("input_tokens")), read, written),
        count(usage.get("output_tokens")),
        into={"cached_tokens": read, "cache_write_tokens": written},
        out_of={"reasoning_tokens": thinking},
    )


def _message(said: dict[str, Any]) -> dict[str, Any]:
    """The message of the one choice. Raises Unreadable."""
    texts: list[str] = []
    reasoning: list[str] = []
    kept: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for block in objects(said["content"]):
        kind = block.get("type")
        if kind == "text":
            texts.append(text(block.get("text")))
        elif kind == "thinking":
            reasoning.append(text(block.get("thinking")))
        elif kind == "tool_use":
            calls.append(
                tool_call(text(block.get("id")), text(block.get("name")), json_bytes(obj(block.get("input"))).decode())
            )
        if (blocks := kept_block(block)) is not None:
            kept.append(blocks)
    message: dict[str, Any] = {"content": "".join(texts) or None, "refusal": refusal_of(said) or None}
    if any(reasoning):
        message["reasoning_content"] = "".join(reasoning)
    if kept:
        message["thinking_blocks"] = kept
    if calls:
        message["tool_calls"] = calls
    return message


def kept_block(block: dict[str, Any]) -> dict[str, Any] | None:
    """What of a block must be sent back as it came, None where nothing must: thinking is only taken back signed."""
    kind = block.get("type")
    if kind == "thinking" and (signature := text(block.get("signature"))):
        return {"type": "thinking", "thinking": text(block.get("thinking")), "signature": signature}
    if kind == "redacted_thinking":
        return {"type": "redacted_thinking", "data": text(block.get("data"))}
    return None
