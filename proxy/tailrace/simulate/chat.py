"""The chat completions wire: how a question is read and an answer is written, in OpenAI's shapes.

Owns the JSON of `POST /v1/chat/completions`, plain and streamed. Pure; which answer is given, and how its bytes are
mistreated on the way, is a scenario's.
Source of the shapes: OpenAI's API reference, "Chat" and "Chat streaming", as openai-python 3.x types them.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from tailrace.records import Json
from tailrace.simulate.answer import (
    Answer,
    Asked,
    BadRequest,
    Counts,
    Reports,
    Said,
    Stamp,
    Telling,
    Token,
    Tool,
    counts_of,
    logprob,
    words,
)
from tailrace.simulate.wire import Manner

MANNER: Final = Manner("chat", "/v1/chat/completions")
TERMINAL: Final = b"data: [DONE]\n\n"
_FINGERPRINT: Final = "fp_simulated"
_MOST_CHOICES: Final = 128  # OpenAI's own bound
_MOST_LOGPROBS: Final = 20


def read(body: Json, path: str = "") -> Asked:  # noqa: ARG001 - the interface of a wire
    """The question in a request body. Raises BadRequest, with the parameter, as OpenAI would."""
    if not isinstance(body, dict):
        raise BadRequest("We could not parse the JSON body of your request.")
    if not isinstance(body.get("model"), str):
        raise BadRequest("you must provide a model parameter", "model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("Missing required parameter: 'messages'.", "messages")
    options = body.get("stream_options")
    return Asked(
        model=body["model"],
        messages=tuple(_said(message) for message in messages),
        stream=body.get("stream") is True,
        choices=whole_number(body, "n", 1, _MOST_CHOICES) or 1,
        stream_usage=isinstance(options, dict) and options.get("include_usage") is True,
        top_logprobs=(whole_number(body, "top_logprobs", 0, _MOST_LOGPROBS) or 0)
        if body.get("logprobs") is True
        else None,
        tools=_tools(body.get("tools")),
        max_tokens=whole_number(body, "max_completion_tokens", 1) or whole_number(body, "max_tokens", 1),
        caller=next((body[name] for name in ("user", "session_id") if isinstance(body.get(name), str)), None),
        schema=_schema(body.get("response_format")),
        body=body,
    )


def document(asked: Asked, answer: Answer, stamp: Stamp) -> dict[str, Json]:
    """The body of a plain answer."""
    shape = _envelope(asked, stamp, "chat.completion")
    shape["choices"] = [_choice(asked, answer, stamp, index) for index in range(asked.choices)]
    if answer.reports is not Reports.NEVER:
        shape["usage"] = _usage(counts_of(asked, answer))
    return shape


def events(asked: Asked, answer: Answer, stamp: Stamp) -> Iterator[dict[str, Json]]:
    """The chunks of a streamed answer, its choices side by side, without the terminal event."""
    shape = _envelope(asked, stamp, "chat.completion.chunk")
    if asked.stream_usage:
        shape["usage"] = None
    indices = range(asked.choices)
    for delta, token in _deltas(answer, stamp):
        told = _logprobs(asked, answer, (token,)) if token is not None else None
        for index in indices:
            yield {**shape, "choices": [{"index": index, "delta": delta, "logprobs": told, "finish_reason": None}]}
    for index in indices:
        yield {**shape, "choices": [{"index": index, "delta": {}, "logprobs": None, "finish_reason": answer.finish}]}
    if asked.stream_usage:
        for _ in range(answer.reports.value):
            yield {**shape, "choices": [], "usage": _usage(counts_of(asked, answer))}


def frame(event: Json, number: int = 0) -> bytes:  # noqa: ARG001 - the interface of a wire
    """One chunk as a server-sent event."""
    return b"data: " + orjson.dumps(event) + b"\n\n"


def failure(
    message: str,
    *,
    kind: str,
    status: int = 500,  # noqa: ARG001 - the interface of a wire
    code: str | None = None,
    param: str | None = None,
) -> dict[str, Json]:
    """An error body."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _said(message: Json) -> Said:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise BadRequest("Missing required parameter: 'messages[].role'.", "messages")
    role = message["role"]
    return Said("system" if role == "developer" else role, text_of(message.get("content")))


def text_of(content: Json) -> str:
    """The text of a message's content, whether a string, parts or nothing."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))


def whole_number(body: dict[str, Json], name: str, least: int, most: int | None = None) -> int | None:
    """A parameter that is an integer within bounds, or None where it is not given. Raises BadRequest."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or value < least or (most is not None and value > most):
        bound = f"an integer of at least {least}" + ("" if most is None else f" and at most {most}")
        raise BadRequest(f"Invalid value for '{name}': expected {bound}.", name)
    return value


def _schema(wanted: Json) -> Json:
    """The schema of `response_format`, an empty one where any JSON will do."""
    if not isinstance(wanted, dict) or wanted.get("type") not in {"json_schema", "json_object"}:
        return None
    described = wanted.get("json_schema")
    return (described.get("schema") if isinstance(described, dict) else None) or {}


def _tools(tools: Json) -> tuple[Tool, ...]:
    if not isinstance(tools, list):
        return ()
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    return tuple(
        Tool(function["name"], function.get("parameters"))
        for function in functions
        if isinstance(function, dict) and isinstance(function.get("name"), str)
    )


def _envelope(asked: Asked, stamp: Stamp, kind: str) -> dict[str, Json]:
    return {
        "id": f"chatcmpl-sim{stamp.number:026d}",
        "object": kind,
        "created": stamp.created,
        "model": asked.model,
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }


def _choice(asked: Asked, answer: Answer, stamp: Stamp, index: int) -> dict[str, Json]:
    message: dict[str, Json] = {
        "role": "assistant",
        "content": answer.text,
        "refusal": answer.refusal,
        "annotations": _annotations(answer),
    }
    if answer.reasoning is not None:
        message["reasoning_content"] = answer.reasoning
    if answer.calls:
        message["tool_calls"] = [_call(answer, stamp, i) for i in range(len(answer.calls))]
    said = _logprobs(asked, answer, _pieces(answer)) if answer.text else None
    return {"index": index, "message": message, "logprobs": said, "finish_reason": answer.finish}


def _annotations(answer: Answer) -> list[Json]:
    """Where the text comes from, each source cited for all of it."""
    length = len(answer.text or "")
    return [
        {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": length, "title": url, "url": url}}
        for url in answer.sources
    ]


def _call(answer: Answer, stamp: Stamp, i: int) -> dict[str, Json]:
    call = answer.calls[i]
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": f"call_sim{stamp.number:016d}{i:04d}", "type": "function", "function": function}


def _deltas(answer: Answer, stamp: Stamp) -> Iterator[tuple[dict[str, Json], str | Token | None]]:
    """What each chunk adds, and the token whose probability goes with it."""
    yield {"role": "assistant", "content": "" if answer.text is not None else None, "refusal": None}, None
    for word in words(answer.reasoning or ""):
        yield {"reasoning_content": word}, None
    for word in words(answer.refusal or ""):
        yield {"refusal": word}, None
    for piece in _pieces(answer):
        yield {"content": piece if isinstance(piece, str) else piece.text}, piece
    if answer.sources:
        yield {"annotations": _annotations(answer)}, None
    for i in range(len(answer.calls)):
        yield from ((delta, None) for delta in _call_deltas(answer, stamp, i))


def _call_deltas(answer: Answer, stamp: Stamp, i: int) -> Iterator[dict[str, Json]]:
    """A call's id and name first, then its arguments in eights of characters, as OpenAI sends them."""
    first = _call(answer, stamp, i)
    first["function"] = {"name": answer.calls[i].name, "arguments": ""}
    yield {"tool_calls": [{"index": i, **first}]}
    arguments = answer.calls[i].arguments
    for at in range(0, len(arguments), 8):
        yield {"tool_calls": [{"index": i, "function": {"arguments": arguments[at : at + 8]}}]}


def _pieces(answer: Answer) -> Iterable[str | Token]:
    """The pieces in which a text comes: its tokens, else its words."""
    return answer.scores.tokens if answer.scores is not None else words(answer.text or "")


def _logprobs(asked: Asked, answer: Answer, said: Iterable[str | Token]) -> dict[str, Json] | None:
    telling = answer.scores.telling if answer.scores is not None else Telling.ALL
    if asked.top_logprobs is None or telling is Telling.NOTHING:
        return None
    told = [_token(token, asked.top_logprobs) for token in said] if telling is Telling.ALL else []
    return {"content": told, "refusal": None}


def _token(token: str | Token, top: int) -> dict[str, Json]:
    if isinstance(token, Token):
        ranked_by_model = [_weight(text, value) for text, value in token.others[:top]]
        return {**_weight(token.text, token.logprob), "top_logprobs": ranked_by_model}
    ranked = [token, *(f"{token}{i}" for i in range(1, top))][:top]
    least = logprob(token)
    others = [_weight(other, least - 0.5 * rank) for rank, other in enumerate(ranked)]
    return {**_weight(token, least), "top_logprobs": others}


def _weight(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": list(token.encode("utf-8", "surrogatepass"))}


def _usage(counts: Counts) -> dict[str, Json]:
    return {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
