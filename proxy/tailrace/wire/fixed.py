"""An answer that Tailrace gives itself, without a provider: a text in the shape of the endpoint that was asked. Pure.

Plain or streamed, as the client asked; a stream tells the text in one piece, since it is there in one piece. No token
was used, so usage is zero, not unknown. Embeddings are no text: they cannot be answered so.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tailrace.records import Endpoint, Json
from tailrace.wire.dialects import messages_as_chat
from tailrace.wire.dialects.chat_answers import (
    DONE,
    FIRST_DELTA,
    ChatChunks,
    asks_usage,
    chat_answer,
    chat_choice,
    chat_usage,
)

_JSON: Final = b"application/json"
_EVENTS: Final = b"text/event-stream; charset=utf-8"
_GIVEN_BACK: Final[dict[str, Json]] = {
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
}
"""What a response says of its request, and what it says where the request did not."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """The body of an answer."""

    content_type: bytes
    body: bytes

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream of events."""
        return self.content_type == _EVENTS


def fixed_answer(endpoint: Endpoint, asked: dict[str, Any], text: str, *, id_: str, created_s: int) -> Fixed:
    """`text` as the answer to the request `asked`; `id_` is what its id is made of, `created_s` Unix seconds.

    Raises:
        ValueError: the endpoint's answers are no text (not in `ANSWERED`).
    """
    said = _Said(asked, id_.replace("-", ""), created_s, text)
    write = _WRITERS.get(endpoint)
    if write is None:
        raise ValueError(f"an answer of {endpoint} is no text")
    return write(said, asked.get("stream") is True)


@dataclass(frozen=True, slots=True)
class _Said:
    asked: dict[str, Any]
    name: str
    created_s: int
    text: str

    @property
    def model(self) -> str:
        return str(self.asked.get("model", ""))


def _json(answer: Json) -> Fixed:
    return Fixed(_JSON, orjson.dumps(answer))


def _events(events: Iterable[bytes]) -> Fixed:
    return Fixed(_EVENTS, b"".join(events))


def _data(event: Json) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"


def _chat(said: _Said, stream: bool) -> Fixed:
    return _events(_chat_events(said, with_usage=asks_usage(said.asked))) if stream else _json(_chat_answer(said))


def _chat_answer(said: _Said) -> dict[str, Any]:
    choice = chat_choice({"content": said.text}, finish_reason="stop")
    return chat_answer(f"chatcmpl-{said.name}", said.model, said.created_s, [choice], chat_usage(0, 0))


def _chat_events(said: _Said, *, with_usage: bool) -> list[bytes]:
    chunks = ChatChunks(f"chatcmpl-{said.name}", said.model, said.created_s, with_usage=with_usage)
    told = [chunks.delta(FIRST_DELTA | {"content": said.text}), chunks.delta({}, finish_reason="stop")]
    return [*told, chunks.usage(chat_usage(0, 0)), DONE]


def _messages(said: _Said, stream: bool) -> Fixed:
    """The chat answer, translated as a provider's would be."""
    translation = messages_as_chat.TRANSLATION
    if not stream:
        return _json(translation.answer(_chat_answer(said), said.created_s))
    translator = translation.stream(said.asked, said.created_s)
    return _events([translator.feed(b"".join(_chat_events(said, with_usage=True))), translator.finish()])


def _completions(said: _Said, stream: bool) -> Fixed:
    whole = {
        "id": f"cmpl-{said.name}",
        "object": "text_completion",
        "created": said.created_s,
        "model": said.model,
        "choices": [{"index": 0, "text": said.text, "logprobs": None, "finish_reason": "stop"}],
    }
    return _events([_data(whole), DONE]) if stream else _json(whole | {"usage": chat_usage(0, 0)})


def _responses(said: _Said, stream: bool) -> Fixed:
    part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    item = {"id": f"msg_{said.name}", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    usage = {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }
    whole = _response(said) | {"status": "completed", "output": [item], "usage": usage}
    return _events(_response_events(said, part, item, whole)) if stream else _json(whole)


def _response(said: _Said) -> dict[str, Any]:
    """A response that has only begun. What it says of its request is the request's, where it says so."""
    given_back = {name: said.asked.get(name, default) for name, default in _GIVEN_BACK.items()}
    return {
        "id": f"resp_{said.name}",
        "object": "response",
        "created_at": said.created_s,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": said.model,
        "output": [],
        "usage": None,
        **given_back,
    }


def _response_events(said: _Said, part: Json, item: Json, whole: Json) -> Iterator[bytes]:
    begun = _response(said)
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0,
         "item": item | {"status": "in_progress", "content": []}},
        {"type": "response.content_part.added", **place, "part": part | {"text": ""}},
        {"type": "response.output_text.delta", **place, "delta": said.text, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": said.text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]  # fmt: skip
    for number, event in enumerate(events):
        yield b"event: " + event["type"].encode() + b"\n" + _data(event | {"sequence_number": number})


_WRITERS: Final[dict[Endpoint, Callable[[_Said, bool], Fixed]]] = {
    Endpoint.CHAT: _chat,
    Endpoint.COMPLETIONS: _completions,
    Endpoint.MESSAGES: _messages,
    Endpoint.RESPONSES: _responses,
}
ANSWERED: Final = frozenset(_WRITERS)
"""The endpoints whose answers are text."""
