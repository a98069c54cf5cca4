"""The messages of a chat request as turns that a translation into another dialect can walk.

Beside OpenAI's own fields these are understood, because clients echo an answer with what stood in it:

    message.thinking_blocks                   Anthropic's thinking as it came, with its signature
    extra_content.google.thought_signature    Gemini's, of a message or a tool call, where Google's own chat API has it
    part.cache_control                        Anthropic's cache marks, as OpenRouter and others take them

`reasoning_content`, `reasoning`, `reasoning_details`, `annotations` and `images` of an assistant's message are what a
model said beside its answer; no dialect takes them back, and they are left out.

Owns: reading, and refusing what is no chat message. Where a turn's parts can go is the business of each dialect.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

from tailrace.records import Json
from tailrace.wire.dialects.carrying import a_string, an_array, an_object, cannot, only

Role = Literal["system", "user", "assistant", "tool"]

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_KNOWN: Final[dict[Role, frozenset[str]]] = {
    "system": frozenset(("role", "content")),
    "user": frozenset(("role", "content")),
    "tool": frozenset(("role", "content", "tool_call_id", "name")),
    "assistant": frozenset(
        (
            *("role", "content", "refusal", "tool_calls", "thinking_blocks", "extra_content"),
            *("reasoning_content", "reasoning", "reasoning_details", "annotations", "images"),
        )
    ),
}
_MARKS: Final = frozenset(("cache_control", "prompt_cache_breakpoint"))
_CALL: Final = frozenset(("id", "type", "function", "index", "extra_content"))
_AUDIO: Final = {"wav": "audio/wav", "mp3": "audio/mp3"}


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text. `mark`: where a cached prefix ends, in Anthropic's words; None where none does."""

    text: str
    mark: Json = None


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a sound or a file: either `data`, in base64, or a `url`."""

    path: str  # where it stands in the request, for a refusal
    kind: Literal["image", "audio", "file"]
    mime: str = ""  # empty where it is not said
    data: str = ""
    url: str = ""
    name: str = ""
    mark: Json = None


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of an assistant."""

    id: str
    name: str
    arguments: dict[str, Any]
    signature: str  # Gemini's; empty where there is none


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    path: str
    role: Role
    parts: list[Text | Media]
    calls: list[Call] = field(default_factory=list)
    call_id: str = ""  # of a tool's answer
    tool_name: str = ""  # the same, where it is said
    thinking: list[dict[str, Any]] = field(default_factory=list)
    signature: str = ""


def read_turns(asked: dict[str, Any]) -> list[Turn]:
    """The turns in `messages`. Raises Refused."""
    return [_turn(message, f"messages[{i}]") for i, message in enumerate(an_array(asked.get("messages"), "messages"))]


def _turn(said: Json, path: str) -> Turn:
    message = an_object(said, path)
    role = _ROLES.get(a_string(message.get("role"), f"{path}.role"))
    if role is None:
        raise cannot(f"{path}.role", "its dialect has no such role")
    only(message, path, _KNOWN[role])
    parts = _parts(message.get("content"), f"{path}.content")
    if role == "tool":
        call_id = a_string(message.get("tool_call_id"), f"{path}.tool_call_id")
        name = message.get("name")
        return Turn(path, role, parts, call_id=call_id, tool_name=name if isinstance(name, str) else "")
    if role != "assistant":
        return Turn(path, role, parts)
    refusal = message.get("refusal")
    if isinstance(refusal, str):
        parts.append(Text(refusal))
    return Turn(
        path,
        role,
        parts,
        calls=_calls(message.get("tool_calls"), f"{path}.tool_calls"),
        thinking=_thinking(message.get("thinking_blocks"), f"{path}.thinking_blocks"),
        signature=_signature(message),
    )


def _parts(content: Json, path: str) -> list[Text | Media]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]
    return [_part(an_object(part, f"{path}[{j}]"), f"{path}[{j}]") for j, part in enumerate(an_array(content, path))]


def _part(part: dict[str, Any], path: str) -> Text | Media:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        only(part, path, _MARKS | {"type", kind})
        return Text(a_string(part.get(kind), f"{path}.{kind}"), _mark(part))
    if kind == "image_url":
        return _image(part, path)
    if kind == "input_audio":
        return _audio(part, path)
    if kind == "file":
        return _file(part, path)
    raise cannot(f"{path}.type", "its dialect has no such part")


def _image(part: dict[str, Any], path: str) -> Media:
    """`detail` is a hint of how many tokens to spend, and is left out."""
    only(part, path, _MARKS | {"type", "image_url"})
    image = an_object(part.get("image_url"), f"{path}.image_url")
    only(image, f"{path}.image_url", frozenset(("url", "detail")))
    at = f"{path}.image_url.url"
    url = a_string(image.get("url"), at)
    if url.startswith("data:"):
        mime, data = _data_uri(url, at)
        return Media(at, "image", mime, data, mark=_mark(part))
    return Media(at, "image", url=url, mark=_mark(part))


def _audio(part: dict[str, Any], path: str) -> Media:
    only(part, path, _MARKS | {"type", "input_audio"})
    audio = an_object(part.get("input_audio"), f"{path}.input_audio")
    only(audio, f"{path}.input_audio", frozenset(("data", "format")))
    mime = _AUDIO.get(a_string(audio.get("format"), f"{path}.input_audio.format"))
    if mime is None:
        raise cannot(f"{path}.input_audio.format", "it is neither wav nor mp3")
    data = a_string(audio.get("data"), f"{path}.input_audio.data")
    return Media(f"{path}.input_audio", "audio", mime, data, mark=_mark(part))


def _file(part: dict[str, Any], path: str) -> Media:
    only(part, path, _MARKS | {"type", "file"})
    file = an_object(part.get("file"), f"{path}.file")
    only(file, f"{path}.file", frozenset(("file_data", "filename")))
    at = f"{path}.file.file_data"
    data = a_string(file.get("file_data"), at)
    name = file.get("filename")
    name = name if isinstance(name, str) else ""
    if data.startswith("data:"):
        mime, data = _data_uri(data, at)
    else:  # bare base64, as OpenAI takes it too
        mime = "application/pdf" if name.lower().endswith(".pdf") else ""
    return Media(at, "file", mime, data, name=name, mark=_mark(part))


def _data_uri(uri: str, path: str) -> tuple[str, str]:
    """The media type and the base64 text of a `data:` URI (RFC 2397)."""
    head, comma, data = uri[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        raise cannot(path, "it is no data URI in base64")
    return head.partition(";")[0].lower(), data


def _mark(part: dict[str, Any]) -> Json:
    """A cache mark in Anthropic's words. OpenAI's keeps a prefix for at least 30 minutes, which is the longer there."""
    mark = part.get("cache_control")
    if mark is None and part.get("prompt_cache_breakpoint") is not None:
        return {"type": "ephemeral", "ttl": "1h"}
    return mark


def _calls(said: Json, path: str) -> list[Call]:
    if said is None:
        return []
    return [_call(an_object(call, f"{path}[{j}]"), f"{path}[{j}]") for j, call in enumerate(an_array(said, path))]


def _call(call: dict[str, Any], path: str) -> Call:
    if call.get("type") not in (None, "function"):
        raise cannot(f"{path}.type", "it is no call of a function")
    only(call, path, _CALL)
    function = an_object(call.get("function"), f"{path}.function")
    only(function, f"{path}.function", frozenset(("name", "arguments")))
    return Call(
        a_string(call.get("id"), f"{path}.id"),
        a_string(function.get("name"), f"{path}.function.name"),
        _arguments(function.get("arguments"), f"{path}.function.arguments"),
        _signature(call),
    )


def _arguments(said: Json, path: str) -> dict[str, Any]:
    """The arguments as an object. Models write nothing at all where a function takes none."""
    written = a_string(said, path)
    if not written or written.isspace():
        return {}
    try:
        arguments = orjson.loads(written)
    except orjson.JSONDecodeError as exc:
        raise cannot(path, "it is not JSON") from exc
    return an_object(arguments, path)


def _thinking(said: Json, path: str) -> list[dict[str, Any]]:
    if said is None:
        return []
    return [an_object(block, f"{path}[{j}]") for j, block in enumerate(an_array(said, path))]


def _signature(holder: dict[str, Any]) -> str:
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""
