"""A chat completion as a message of Anthropic's.

| chat                                        | messages                                                               |
|---------------------------------------------|------------------------------------------------------------------------|
| message.reasoning_content, or reasoning     | a thinking block, with an empty signature: nobody signed it            |
| message.content, then refusal               | a text block                                                           |
| message.tool_calls                          | tool_use blocks, with their extra_content                              |
| finish_reason stop                          | stop_reason end_turn, or tool_use where tools are called               |
| length, tool_calls                          | max_tokens, tool_use                                                   |
| content_filter, or any refusal              | refusal                                                                |
| any other                                   | as it is                                                               |
| prompt_tokens                               | input_tokens, cache_read_input_tokens, cache_creation_input_tokens     |
| completion_tokens, of them reasoning_tokens | output_tokens, of them thinking_tokens                                 |

Which stop sequence was met, chat does not tell. Log probabilities, annotations, audio and images have no place, and no
request for messages can ask for them; of several choices the first is taken, for the same reason.
"""

from typing import Any, Final

import orjson

from tailrace.errors import Code, anthropic_error_body
from tailrace.records import Json
from tailrace.wire.dialects.reading import Unreadable, count, json_bytes, obj, objects, parsed_or_none, text

_STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_ERROR_TYPES: Final = frozenset(
    (
        *("invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error"),
        *("request_too_large", "rate_limit_error", "timeout_error", "overloaded_error", "api_error"),
    )
)
_QUOTED_BYTES: Final = 300


def translate_answer(said: Json) -> Json:
    """As `Translation.answer`."""
    answer = obj(said)
    if answer.get("error") is not None:
        return error_of(answer)
    choices = objects(answer.get("choices"))
    if not choices or not isinstance(choices[0].get("message"), dict):
        return messages_error("The provider's answer has no choices.")
    try:
        return _message(answer, choices[0])
    except Unreadable as exc:
        return messages_error(str(exc))


def translate_error(body: bytes, status: int) -> bytes:
    """As `Translation.error`. The type follows the status, as Anthropic's clients expect."""
    said = obj(parsed_or_none(body))
    message, code = _told(said)
    if not message:
        quoted = body[:_QUOTED_BYTES].decode("utf-8", "replace").strip()
        detail = f" It began: {quoted}" if quoted else " Its body was empty."
        message = f"The provider answered {status} with a body that is no error of its dialect.{detail}"
        code = Code.PROVIDER_STATUS
    return anthropic_error_body(code, message, status)


def messages_error(message: str, kind: str = "api_error") -> dict[str, Any]:
    """An error of the provider."""
    return {"type": "error", "error": {"type": kind, "message": message}}


def error_of(said: dict[str, Any]) -> dict[str, Any]:
    """The error in an answer or in an event, which comes without a status."""
    message, _ = _told(said)
    kind = text(obj(said.get("error")).get("type"))
    return messages_error(message, kind if kind in _ERROR_TYPES else "api_error")


def reasoning_of(said: dict[str, Any]) -> str:
    """The reasoning in a message or a delta; servers differ in the field's name."""
    return text(said.get("reasoning_content")) or text(said.get("reasoning"))


def content_of(said: dict[str, Any]) -> str:
    """The text in a message or a delta; some servers say it in parts."""
    content = said.get("content")
    if isinstance(content, list):
        return "".join(text(part.get("text")) for part in objects(content))
    return text(content)


def stop_reason_of(finish_reason: str, *, calls: bool, refused: bool) -> str | None:
    """Why the message ended, None where that is not known."""
    if refused:
        return "refusal"
    if calls and finish_reason in ("", "stop"):
        return "tool_use"
    return _STOP_REASONS.get(finish_reason, finish_reason) or None


def usage_of(said: Json) -> dict[str, Any]:
    """Usage in Anthropic's words: what was read from or written to a cache is counted beside the rest."""
    usage = obj(said)
    into, out_of = obj(usage.get("prompt_tokens_details")), obj(usage.get("completion_tokens_details"))
    prompt = count(usage.get("prompt_tokens"))
    read, wrote = count(into.get("cached_tokens")) or 0, count(into.get("cache_write_tokens")) or 0
    told: dict[str, Any] = {
        "input_tokens": None if prompt is None else max(0, prompt - read - wrote),
        "cache_creation_input_tokens": wrote,
        "cache_read_input_tokens": read,
        "output_tokens": count(usage.get("completion_tokens")),
    }
    thinking = count(out_of.get("reasoning_tokens"))
    if thinking is not None:
        told["output_tokens_details"] = {"thinking_tokens": thinking}
    return told


def thinking_block(thinking: str) -> dict[str, Any]:
    """A thinking block, or its beginning."""
    return {"type": "thinking", "thinking": thinking, "signature": ""}


def text_block(words: str) -> dict[str, Any]:
    """A text block, or its beginning."""
    return {"type": "text", "text": words}


def tool_use_block(call: dict[str, Any], made_id: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A tool_use block, or its beginning. Raises Unreadable where the call names no function."""
    name = text(obj(call.get("function")).get("name"))
    if not name:
        raise Unreadable("The provider's tool call has no name.")
    block = {"type": "tool_use", "id": text(call.get("id")) or made_id, "name": name, "input": arguments}
    if isinstance(call.get("extra_content"), dict):
        block["extra_content"] = call["extra_content"]
    return block


def message_of(answer: dict[str, Any], content: list[dict[str, Any]], usage: dict[str, Any]) -> dict[str, Any]:
    """A message that has not ended."""
    return {
        "id": text(answer.get("id")),
        "type": "message",
        "role": "assistant",
        "model": text(answer.get("model")),
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _message(answer: dict[str, Any], choice: dict[str, Any]) -> dict[str, Any]:
    said = choice["message"]
    content: list[dict[str, Any]] = []
    if reasoning := reasoning_of(said):
        content.append(thinking_block(reasoning))
    refusal = text(said.get("refusal"))
    if words := content_of(said) + refusal:
        content.append(text_block(words))
    calls = objects(said.get("tool_calls"))
    for place, call in enumerate(calls):
        made_id = f"call_{text(answer.get('id'))}_{place}"
        content.append(tool_use_block(call, made_id, _arguments(call)))
    message = message_of(answer, content, usage_of(answer.get("usage")))
    reason = text(choice.get("finish_reason"))
    message["stop_reason"] = stop_reason_of(reason, calls=bool(calls), refused=bool(refusal))
    if calls:
        json_bytes(message)  # arguments that came as text may be nested deeper than they can be written inside it
    return message


def _arguments(call: dict[str, Any]) -> dict[str, Any]:
    """The arguments as an object; none where nothing is said. Raises Unreadable."""
    written = text(obj(call.get("function")).get("arguments"))
    if not written or written.isspace():
        return {}
    try:
        arguments = orjson.loads(written)
    except orjson.JSONDecodeError as exc:
        raise Unreadable("The arguments of the model's tool call are not JSON, so they cannot be translated.") from exc
    if not isinstance(arguments, dict):
        raise Unreadable("The arguments of the model's tool call are no object, so they cannot be translated.")
    return arguments


def _told(said: dict[str, Any]) -> tuple[str, str]:
    """The message of an error and its code, in any of the shapes that servers give it; empty where there is none."""
    error = said.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        return text(error.get("message")), code if isinstance(code, str) else text(error.get("type"))
    for words in (error, said.get("message"), said.get("detail")):
        if isinstance(words, str) and words:
            return words, ""
    return "", ""
