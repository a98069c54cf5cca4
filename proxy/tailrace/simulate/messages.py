"""The messages wire: Anthropic's `POST /v1/messages`, plain and streamed, with tool use, thinking and pings.

Source of the shapes: Anthropic's API reference, "Messages" and "Streaming messages", as its package types them.
"""

from collections.abc import Iterator
from typing import Final

import orjson

from tailrace.records import Json
from tailrace.simulate.answer import Answer, Asked, BadRequest, Reports, Said, Stamp, Tool, counts_of, words
from tailrace.simulate.chat import text_of, whole_number
from tailrace.simulate.wire import Manner

MANNER: Final = Manner(
    "messages",
    "/v1/messages",
    ping=b'event: ping\ndata: {"type":"ping"}\n\n',
    request_id=b"request-id",
    member=b'"type":',
    finish="stop_reason",
)
TERMINAL: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_SIGNATURE: Final = "c2ltdWxhdGVk"
_ERRORS: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def read(body: Json, path: str) -> Asked:  # noqa: ARG001 - the interface of a wire
    """The question in a request body. Raises BadRequest."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadRequest("model: Field required", "model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages: at least one message is required", "messages")
    if body.get("max_tokens") is None:
        raise BadRequest("max_tokens: Field required", "max_tokens")
    system = text_of(body.get("system"))
    told = body.get("metadata")
    return Asked(
        model=body["model"],
        messages=(*((Said("system", system),) if system else ()), *(said for one in messages for said in _said(one))),
        stream=body.get("stream") is True,
        stream_usage=True,
        tools=_tools(body.get("tools")),
        max_tokens=whole_number(body, "max_tokens", 1),
        caller=told.get("user_id") if isinstance(told, dict) and isinstance(told.get("user_id"), str) else None,
        schema=_schema(body),
        body=body,
    )


def document(asked: Asked, answer: Answer, stamp: Stamp) -> dict[str, Json]:
    """The body of a plain answer."""
    counts = counts_of(asked, answer)
    shape = _shape(asked, stamp)
    shape |= {
        "content": _blocks(answer, stamp),
        "stop_reason": _REASONS.get(answer.finish, "end_turn"),
        "usage": _usage(counts.prompt, counts.cached, counts.completion),
    }
    if answer.reports is Reports.NEVER:
        del shape["usage"]
    return shape


def events(asked: Asked, answer: Answer, stamp: Stamp) -> Iterator[dict[str, Json]]:
    """The events of a streamed answer, without message_stop."""
    counts = counts_of(asked, answer)
    is_told = answer.reports is not Reports.NEVER
    begun: dict[str, Json] = {"usage": _usage(counts.prompt, counts.cached, 1)} if is_told else {}
    yield {"type": "message_start", "message": _shape(asked, stamp) | begun}
    yield {"type": "ping"}
    arguments = iter([call.arguments for call in answer.calls])
    for index, block in enumerate(_blocks(answer, stamp)):
        yield {"type": "content_block_start", "index": index, "content_block": _begun(block)}
        for delta in _input_deltas(next(arguments)) if block["type"] == "tool_use" else _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": _REASONS.get(answer.finish, "end_turn"), "stop_sequence": None}
    usage: dict[str, Json] = {"usage": {"output_tokens": counts.completion}} if is_told else {}
    yield {"type": "message_delta", "delta": ended, **usage}


def frame(event: Json, number: int = 0) -> bytes:  # noqa: ARG001 - the interface of a wire
    """One event as it is streamed."""
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


def failure(
    message: str,
    *,
    kind: str,  # noqa: ARG001 - the interface of a wire, as are `code` and `param`
    status: int = 500,
    code: str | None = None,  # noqa: ARG001
    param: str | None = None,  # noqa: ARG001
) -> dict[str, Json]:
    """An error body."""
    word = _ERRORS.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": word, "message": message}, "request_id": None}


def _said(message: Json) -> Iterator[Said]:
    """A message, and the results of tools inside it as messages of their own."""
    if not isinstance(message, dict) or message.get("role") not in {"user", "assistant"}:
        raise BadRequest("messages: Unexpected role", "messages")
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    results = [block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_result"]
    for result in results:
        yield Said("tool", text_of(result.get("content")))
    text = text_of(content)
    if text or not results:
        yield Said(message["role"], text)


def _schema(body: dict[str, Json]) -> Json:
    config = body.get("output_config")
    wanted = config.get("format") if isinstance(config, dict) else body.get("output_format")
    return wanted.get("schema") if isinstance(wanted, dict) else None


def _tools(tools: Json) -> tuple[Tool, ...]:
    if not isinstance(tools, list):
        return ()
    return tuple(
        Tool(tool["name"], tool.get("input_schema"))
        for tool in tools
        if isinstance(tool, dict) and isinstance(tool.get("name"), str)
    )


def _shape(asked: Asked, stamp: Stamp) -> dict[str, Json]:
    return {
        "id": f"msg_sim{stamp.number:020d}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(answer: Answer, stamp: Stamp) -> list[dict[str, Json]]:
    blocks: list[dict[str, Json]] = []
    if answer.reasoning is not None:
        blocks.append({"type": "thinking", "thinking": answer.reasoning, "signature": _SIGNATURE})
    said = answer.text if answer.refusal is None else answer.refusal
    if said:
        blocks.append({"type": "text", "text": said})
    for i, call in enumerate(answer.calls):
        id_ = f"toolu_sim{stamp.number:016d}{i:04d}"
        blocks.append({"type": "tool_use", "id": id_, "name": call.name, "input": _input(call.arguments)})
    return blocks


def _input(arguments: str) -> Json:
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {}


def _begun(block: dict[str, Json]) -> dict[str, Json]:
    empty: dict[str, Json] = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: empty.get(name, value) for name, value in block.items()}


def _deltas(block: dict[str, Json]) -> Iterator[dict[str, Json]]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": word} for word in words(block["text"]))
    else:
        yield from ({"type": "thinking_delta", "thinking": word} for word in words(block["thinking"]))
        yield {"type": "signature_delta", "signature": block["signature"]}


def _input_deltas(arguments: str) -> Iterator[dict[str, Json]]:
    """A tool's input as text, which need not be whole; the first piece is empty, as Anthropic's is."""
    yield {"type": "input_json_delta", "partial_json": ""}
    for at in range(0, len(arguments), 8):
        yield {"type": "input_json_delta", "partial_json": arguments[at : at + 8]}


def _usage(prompt: int, cached: int, completion: int) -> dict[str, Json]:
    return {
        "input_tokens": prompt - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": completion,
        "service_tier": "standard",
    }
