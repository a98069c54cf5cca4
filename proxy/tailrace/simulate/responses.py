"""The responses wire: OpenAI's `POST /v1/responses`, plain and with each event of a stream.

Source of the shapes: OpenAI's API reference, "Responses" and "Streaming events", as openai-python 3.x types them.
"""

from collections.abc import Iterator
from typing import Final

import orjson

from tailrace.records import Json
from tailrace.simulate import chat
from tailrace.simulate.answer import Answer, Asked, BadRequest, Reports, Said, Stamp, Tool, counts_of, words
from tailrace.simulate.wire import Manner

MANNER: Final = Manner("responses", "/v1/responses", member=b'"type":', finish="status")
TERMINAL: Final = b""
failure = chat.failure
_GIVEN_BACK: Final[dict[str, Json]] = {
    "background": False,
    "conversation": None,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}
"""What a response says of its request, and what it says where the request did not."""
_ROLES: Final = {"developer": "system", "system": "system", "user": "user", "assistant": "assistant"}


def read(body: Json, path: str) -> Asked:  # noqa: ARG001 - the interface of a wire
    """The question in a request body. Raises BadRequest."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadRequest("Missing required parameter: 'model'.", "model")
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list):
        raise BadRequest("Missing required parameter: 'input'.", "input")
    instructions = body.get("instructions")
    system = (Said("system", instructions),) if isinstance(instructions, str) else ()
    return Asked(
        model=body["model"],
        messages=(*system, *(said for item in items for said in _said(item))),
        stream=body.get("stream") is True,
        stream_usage=True,
        tools=_tools(body.get("tools")),
        max_tokens=chat.whole_number(body, "max_output_tokens", 1),
        caller=next((body[name] for name in ("safety_identifier", "user") if isinstance(body.get(name), str)), None),
        schema=_schema(body.get("text")),
        body=body,
    )


def document(asked: Asked, answer: Answer, stamp: Stamp) -> dict[str, Json]:
    """The body of a plain answer."""
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(answer.finish)
    shape = _shape(asked, stamp, "incomplete" if cut else "completed")
    shape["output"] = _items(asked, answer, stamp)
    shape["incomplete_details"] = {"reason": cut} if cut else None
    if answer.reports is not Reports.NEVER:
        counts = counts_of(asked, answer)
        shape["usage"] = {
            "input_tokens": counts.prompt,
            "input_tokens_details": {"cached_tokens": counts.cached},
            "output_tokens": counts.completion,
            "output_tokens_details": {"reasoning_tokens": counts.reasoning},
            "total_tokens": counts.prompt + counts.completion,
        }
    return shape


def events(asked: Asked, answer: Answer, stamp: Stamp) -> Iterator[dict[str, Json]]:
    """All events of a streamed answer, the terminal one included."""
    whole = document(asked, answer, stamp)
    begun = _shape(asked, stamp, "in_progress")
    numbered = enumerate(_told(whole, begun))
    for number, event in numbered:
        yield {**event, "sequence_number": number}


def frame(event: Json, number: int = 0) -> bytes:
    """One event as it is streamed. An error is an event of its own, with its place in the order."""
    if "type" not in event:
        event = {"type": "error", "sequence_number": number, **event}
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def _told(whole: dict[str, Json], begun: dict[str, Json]) -> Iterator[dict[str, Json]]:
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole["output"]):
        yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
        yield from (event | {"item_id": item["id"], "output_index": index} for event in _pieces(item))
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    kind = "response.incomplete" if whole["status"] == "incomplete" else "response.completed"
    yield {"type": kind, "response": whole}


def _begun(item: dict[str, Json]) -> dict[str, Json]:
    empty: dict[str, Json] = {"content": [], "summary": [], "arguments": "", "status": "in_progress"}
    return {name: empty.get(name, value) for name, value in item.items()}


def _pieces(item: dict[str, Json]) -> Iterator[dict[str, Json]]:
    if item["type"] == "function_call":
        arguments = item["arguments"]
        for at in range(0, len(arguments), 8):
            yield {"type": "response.function_call_arguments.delta", "delta": arguments[at : at + 8]}
        yield {"type": "response.function_call_arguments.done", "arguments": arguments, "name": item["name"]}
    elif item["type"] == "reasoning":
        text = item["summary"][0]["text"]
        place = {"summary_index": 0}
        yield {"type": "response.reasoning_summary_part.added", **place, "part": {"type": "summary_text", "text": ""}}
        for word in words(text):
            yield {"type": "response.reasoning_summary_text.delta", **place, "delta": word}
        yield {"type": "response.reasoning_summary_text.done", **place, "text": text}
        yield {"type": "response.reasoning_summary_part.done", **place, "part": item["summary"][0]}
    else:
        yield from _spoken(item["content"][0])


def _spoken(part: dict[str, Json]) -> Iterator[dict[str, Json]]:
    place = {"content_index": 0}
    kind, field = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
    extra: dict[str, Json] = {} if kind == "refusal" else {"logprobs": []}
    empty: dict[str, Json] = {field: "", **({"annotations": []} if "annotations" in part else {})}
    yield {"type": "response.content_part.added", **place, "part": {**part, **empty}}
    for word in words(part[field]):
        yield {"type": f"response.{kind}.delta", **place, "delta": word, **extra}
    added = "response.output_text.annotation.added"
    for index, source in enumerate(part.get("annotations") or []):
        yield {"type": added, **place, "annotation_index": index, "annotation": source}
    yield {"type": f"response.{kind}.done", **place, field: part[field], **extra}
    yield {"type": "response.content_part.done", **place, "part": part}


def _said(item: Json) -> Iterator[Said]:
    if not isinstance(item, dict):
        raise BadRequest("Invalid type for 'input': expected objects.", "input")
    if item.get("type") == "function_call_output":
        output = item.get("output")
        yield Said("tool", output if isinstance(output, str) else chat.text_of(output))
    elif item.get("type", "message") == "message":
        role = item.get("role")
        if role not in _ROLES:
            raise BadRequest("Invalid value for 'input[].role'.", "input")
        yield Said(_ROLES[role], chat.text_of(item.get("content")))


def _schema(text: Json) -> Json:
    wanted = text.get("format") if isinstance(text, dict) else None
    if not isinstance(wanted, dict) or wanted.get("type") not in {"json_schema", "json_object"}:
        return None
    return wanted.get("schema") or {}


def _tools(tools: Json) -> tuple[Tool, ...]:
    if not isinstance(tools, list):
        return ()
    return tuple(
        Tool(tool["name"], tool.get("parameters"))
        for tool in tools
        if isinstance(tool, dict) and tool.get("type") == "function" and isinstance(tool.get("name"), str)
    )


def _shape(asked: Asked, stamp: Stamp, status: str) -> dict[str, Json]:
    return {
        "id": response_id(stamp),
        "object": "response",
        "created_at": stamp.created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": asked.model,
        "output": [],
        "usage": None,
        **{name: asked.body.get(name, default) for name, default in _GIVEN_BACK.items()},
    }


def response_id(stamp: Stamp) -> str:
    """The id of the response so stamped."""
    return f"resp_sim{stamp.number:026d}"


def _annotations(answer: Answer) -> list[Json]:
    """Where the text comes from, each source cited for all of it."""
    length = len(answer.text or "")
    return [
        {"type": "url_citation", "start_index": 0, "end_index": length, "title": url, "url": url}
        for url in answer.sources
    ]


def _items(asked: Asked, answer: Answer, stamp: Stamp) -> list[dict[str, Json]]:
    items: list[dict[str, Json]] = []
    name = f"sim{stamp.number:020d}"
    if answer.reasoning is not None:
        summary = [{"type": "summary_text", "text": answer.reasoning}]
        item: dict[str, Json] = {"id": f"rs_{name}", "type": "reasoning", "summary": summary}
        if "reasoning.encrypted_content" in (asked.body.get("include") or ()):
            item["encrypted_content"] = "c2ltdWxhdGVk"
        items.append(item)
    if answer.text is not None or answer.refusal is not None:
        part: dict[str, Json] = {
            "type": "output_text",
            "text": answer.text or "",
            "annotations": _annotations(answer),
            "logprobs": [],
        }
        if answer.refusal is not None:
            part = {"type": "refusal", "refusal": answer.refusal}
        message = {
            "id": f"msg_{name}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
        items.append(message)
    for i, call in enumerate(answer.calls):
        items.append(
            {
                "id": f"fc_{name}{i:04d}",
                "type": "function_call",
                "status": "completed",
                "call_id": f"call_{name}{i:04d}",
                "name": call.name,
                "arguments": call.arguments,
            }
        )
    return items
