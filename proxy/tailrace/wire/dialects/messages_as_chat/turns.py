"""The turns of Anthropic's messages as a chat.

    system                    the first message; its blocks are paragraphs of it
    user: text, image         text, image_url with a data URI or the address
    user: document            file for a PDF; text for plain text, under its title
    user: tool_result         a tool's message; its images and documents follow in a user's message: a tool says text
    tool_result.is_error      `Error: ` before the text, which says in words what chat has no flag for
    assistant: text, tool_use content, tool_calls
    assistant: thinking       reasoning_content, where it is unsigned: then a chat provider said it. Signed thinking and
                              redacted_thinking are left out: only Anthropic can read them

`cache_control` is a hint, and left out; citations are what a model said beside its answer, and left out too. An answer
that the client has begun (the last message is the assistant's) cannot be gone on with in a chat.
"""

from typing import Any, Final

import orjson

from tailrace.records import Json
from tailrace.wire.dialects.carrying import a_string, an_array, an_object, cannot, only

_TEXT: Final = frozenset(("type", "text", "cache_control", "citations"))
_IMAGE: Final = frozenset(("type", "source", "cache_control"))
_DOCUMENT: Final = frozenset(("type", "source", "title", "cache_control", "citations"))
_RESULT: Final = frozenset(("type", "tool_use_id", "content", "is_error", "cache_control"))
_USE: Final = frozenset(("type", "id", "name", "input", "cache_control", "caller", "extra_content"))
_ERROR: Final = "Error: "

Message = dict[str, Any]
Part = dict[str, Any]


def messages_of(asked: dict[str, Any]) -> list[Message]:
    """The chat messages. Raises Refused."""
    chat: list[Message] = []
    if asked.get("system") is not None:
        chat.append({"role": "system", "content": _paragraphs(asked["system"], "system")})
    said = an_array(asked.get("messages"), "messages")
    for i, message in enumerate(said):
        path = f"messages[{i}]"
        _add(chat, an_object(message, path), path)
    if said and said[-1]["role"] == "assistant":
        raise cannot(f"messages[{len(said) - 1}].role", "an answer that is begun cannot be gone on with there")
    return chat


def _add(chat: list[Message], message: dict[str, Any], path: str) -> None:
    only(message, path, frozenset(("role", "content")))
    role, content = message.get("role"), message.get("content")
    if role == "user":
        chat += _user(_blocks(content, f"{path}.content"))
    elif role == "assistant":
        chat.append(_assistant(_blocks(content, f"{path}.content")))
    elif role == "system":
        chat.append({"role": "system", "content": _paragraphs(content, f"{path}.content")})
    else:
        raise cannot(f"{path}.role", "there is no such role there")


def _blocks(content: Json, path: str) -> list[tuple[dict[str, Any], str]]:
    """Each block with its path."""
    if isinstance(content, str):
        return [({"type": "text", "text": content}, path)]
    return [(an_object(b, f"{path}[{j}]"), f"{path}[{j}]") for j, b in enumerate(an_array(content, path))]


def _paragraphs(content: Json, path: str) -> str:
    texts = []
    for block, at in _blocks(content, path):
        if block.get("type") != "text":
            raise cannot(f"{at}.type", "it is no text")
        texts.append(_text(block, at))
    return "\n\n".join(texts)


def _user(blocks: list[tuple[dict[str, Any], str]]) -> list[Message]:
    messages: list[Message] = []
    parts: list[Part] = []
    for block, path in blocks:
        if block.get("type") == "tool_result":
            message, media = _tool(block, path)
            messages.append(message)
            parts += media
        else:
            parts.append(_part(block, path))
    if parts or not messages:
        messages.append({"role": "user", "content": _content(parts)})
    return messages


def _tool(block: dict[str, Any], path: str) -> tuple[Message, list[Part]]:
    """A tool's message, and what of the result it cannot hold."""
    only(block, path, _RESULT)
    content = block.get("content")
    parts = [] if content is None else [_part(inner, at) for inner, at in _blocks(content, f"{path}.content")]
    texts = [part for part in parts if part["type"] == "text"]
    if block.get("is_error") is True:
        first = texts[0]["text"] if texts else ""
        if not first.lower().startswith("error"):
            texts[:1] = [{"type": "text", "text": _ERROR + first}]
    call_id = a_string(block.get("tool_use_id"), f"{path}.tool_use_id")
    message = {"role": "tool", "tool_call_id": call_id, "content": _content(texts)}
    return message, [part for part in parts if part["type"] != "text"]


def _content(parts: list[Part]) -> str | list[Part]:
    """One text stands alone: the form that every server takes."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(block: dict[str, Any], path: str) -> Part:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": _text(block, path)}
    if kind == "image":
        only(block, path, _IMAGE)
        return {"type": "image_url", "image_url": {"url": _image_url(block, path)}}
    if kind == "document":
        return _document(block, path)
    raise cannot(f"{path}.type", "there is no such part there")


def _text(block: dict[str, Any], path: str) -> str:
    only(block, path, _TEXT)
    return a_string(block.get("text"), f"{path}.text")


def _source(block: dict[str, Any], path: str) -> tuple[dict[str, Any], Json]:
    source = an_object(block.get("source"), f"{path}.source")
    return source, source.get("type")


def _image_url(block: dict[str, Any], path: str) -> str:
    source, kind = _source(block, path)
    if kind == "base64":
        return _data_uri(source, path)
    if kind == "url":
        return a_string(source.get("url"), f"{path}.source.url")
    raise cannot(f"{path}.source.type", "it is neither base64 nor an address")


def _document(block: dict[str, Any], path: str) -> Part:
    only(block, path, _DOCUMENT)
    if block.get("citations") not in (None, {"enabled": False}):
        raise cannot(f"{path}.citations", "an answer there cites nothing")
    source, kind = _source(block, path)
    title = block.get("title")
    title = title if isinstance(title, str) else ""
    if kind == "base64":
        return {
            "type": "file",
            "file": {"filename": title or "document.pdf", "file_data": _data_uri(source, path)},
        }
    if kind == "text":
        plain = a_string(source.get("data"), f"{path}.source.data")
        return {"type": "text", "text": f"{title}\n\n{plain}" if title else plain}
    raise cannot(f"{path}.source.type", "it is neither base64 nor plain text")


def _data_uri(source: dict[str, Any], path: str) -> str:
    media_type = a_string(source.get("media_type"), f"{path}.source.media_type")
    return f"data:{media_type};base64,{a_string(source.get('data'), f'{path}.source.data')}"


def _assistant(blocks: list[tuple[dict[str, Any], str]]) -> Message:
    texts: list[str] = []
    reasoning: list[str] = []
    calls: list[dict[str, Any]] = []
    for block, path in blocks:
        kind = block.get("type")
        if kind == "text":
            texts.append(_text(block, path))
        elif kind == "tool_use":
            calls.append(_call(block, path))
        elif kind == "thinking":
            if not block.get("signature"):
                reasoning.append(a_string(block.get("thinking"), f"{path}.thinking"))
        elif kind != "redacted_thinking":
            raise cannot(f"{path}.type", "there is no such part of an answer there")
    message: Message = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    if reasoning:
        message["reasoning_content"] = "".join(reasoning)
    if calls:
        message["tool_calls"] = calls
    return message


def _call(block: dict[str, Any], path: str) -> dict[str, Any]:
    """`extra_content` is what a chat provider wants back with a call: see `chat_turns`."""
    only(block, path, _USE)
    arguments = an_object(block.get("input"), f"{path}.input")
    try:
        written = orjson.dumps(arguments).decode()
    except TypeError as exc:
        raise cannot(f"{path}.input", "it is nested too deep") from exc
    name = a_string(block.get("name"), f"{path}.name")
    call = {
        "id": a_string(block.get("id"), f"{path}.id"),
        "type": "function",
        "function": {"name": name, "arguments": written},
    }
    if block.get("extra_content") is not None:
        call["extra_content"] = block["extra_content"]
    return call
