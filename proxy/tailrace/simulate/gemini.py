"""The generateContent wire: Gemini's `POST /v1beta/models/MODEL:generateContent`, and its stream (`alt=sse`).

Source of the shapes: Google's API reference, "Generating content", as the google-genai package types them.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

import orjson

from tailrace.records import Json
from tailrace.simulate.answer import Answer, Asked, BadRequest, Reports, Said, Stamp, Tool, counts_of, words
from tailrace.simulate.chat import whole_number
from tailrace.simulate.wire import Manner

MANNER: Final = Manner(
    "gemini",
    "/v1beta/models/MODEL:generateContent, :streamGenerateContent?alt=sse",
    member=b'"candidates":',
    usage=b'"usageMetadata":',
    finish="finishReason",
)
TERMINAL: Final = b""
PATH: Final = re.compile(r"/models/(?P<model>[^:]+):(?P<how>generateContent|streamGenerateContent)$")
_CAPITAL: Final = re.compile(r"[A-Z]")
_SIGNATURE: Final = "c2ltdWxhdGVk"
_REASONS: Final = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
_WORDS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def read(body: Json, path: str) -> Asked:
    """The question in a request; its model stands in the path. Raises BadRequest."""
    found = PATH.search(path)
    contents = body.get("contents") if isinstance(body, dict) else None
    if found is None or not isinstance(contents, list) or not contents:
        raise BadRequest("GenerateContentRequest.contents: contents is not specified", "contents")
    config = _of(body, "generationConfig")
    config = config if isinstance(config, dict) else {}
    system = _text(_of(body, "systemInstruction"))
    most = _of(config, "maxOutputTokens")
    return Asked(
        model=unquote(found["model"]),
        messages=(*((Said("system", system),) if system else ()), *(said for one in contents for said in _said(one))),
        stream=found["how"] == "streamGenerateContent",
        choices=whole_number(config, "candidateCount", 1, 8) or 1,
        stream_usage=True,
        tools=_tools(body.get("tools")),
        max_tokens=most if isinstance(most, int) and most > 0 else None,
        schema=_of(config, "responseJsonSchema") or _of(config, "responseSchema"),
        body=body,
    )


def document(asked: Asked, answer: Answer, stamp: Stamp) -> dict[str, Json]:
    """The body of a plain answer."""
    candidates = [_candidate(_parts(answer), index, answer.finish) for index in range(asked.choices)]
    return _response(asked, answer, stamp, candidates, told=answer.reports is not Reports.NEVER)


def events(asked: Asked, answer: Answer, stamp: Stamp) -> Iterator[dict[str, Json]]:
    """The answers of a stream."""
    pieces = list(_pieces(answer)) or [{"text": ""}]
    for number, part in enumerate(pieces, 1):
        is_last = number == len(pieces)
        finish = answer.finish if is_last else None
        candidates = [_candidate([part], index, finish) for index in range(asked.choices)]
        yield _response(asked, answer, stamp, candidates, told=answer.reports is not Reports.NEVER and is_last)


def frame(event: Json, number: int = 0) -> bytes:  # noqa: ARG001 - the interface of a wire
    """One answer as it is streamed."""
    return b"data: " + orjson.dumps(event) + b"\r\n\r\n"


def failure(
    message: str,
    *,
    kind: str,  # noqa: ARG001 - the interface of a wire, as are `code` and `param`
    status: int = 500,
    code: str | None = None,  # noqa: ARG001
    param: str | None = None,  # noqa: ARG001
) -> dict[str, Json]:
    """An error body."""
    word = _WORDS.get(status, "FAILED_PRECONDITION" if status < 500 else "INTERNAL")
    return {"error": {"code": status, "message": message, "status": word}}


def _of(shape: dict[str, Json], name: str) -> Json:
    """A member by either of the names it has in protobuf's JSON: `maxOutputTokens` or `max_output_tokens`."""
    return shape.get(name, shape.get(_CAPITAL.sub(r"_\g<0>", name).lower()))


def _said(content: Json) -> Iterator[Said]:
    if not isinstance(content, dict):
        raise BadRequest("GenerateContentRequest.contents: must be objects", "contents")
    parts = content.get("parts")
    answered = [_of(part, "functionResponse") for part in parts or () if isinstance(part, dict)]
    results = [one for one in answered if isinstance(one, dict)]
    for result in results:
        yield Said("tool", orjson.dumps(result.get("response")).decode())
    text = _text(content)
    if text or not results:
        yield Said("assistant" if content.get("role") == "model" else "user", text)


def _text(content: Json) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, list):
        return ""
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _tools(tools: Json) -> tuple[Tool, ...]:
    if not isinstance(tools, list):
        return ()
    declared = [one for tool in tools if isinstance(tool, dict) for one in _of(tool, "functionDeclarations") or ()]
    return tuple(
        Tool(one["name"], _of(one, "parametersJsonSchema") or one.get("parameters"))
        for one in declared
        if isinstance(one, dict) and isinstance(one.get("name"), str)
    )


def _parts(answer: Answer) -> list[dict[str, Json]]:
    parts: list[dict[str, Json]] = []
    if answer.reasoning is not None:
        parts.append({"text": answer.reasoning, "thought": True})
    said = answer.text if answer.refusal is None else answer.refusal
    if said:
        parts.append({"text": said})
    called: list[dict[str, Json]] = [
        {"functionCall": {"name": call.name, "args": _arguments(call.arguments)}} for call in answer.calls
    ]
    if called and answer.reasoning is not None:
        called[0]["thoughtSignature"] = _SIGNATURE
    return parts + called


def _pieces(answer: Answer) -> Iterator[dict[str, Json]]:
    for part in _parts(answer):
        if "text" in part:
            yield from ({**part, "text": word} for word in words(part["text"]))
        else:
            yield part


def _arguments(text: str) -> Json:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}


def _candidate(parts: list[dict[str, Json]], index: int, finish: str | None) -> dict[str, Json]:
    shape: dict[str, Json] = {"content": {"role": "model", "parts": parts}, "index": index}
    return shape if finish is None else shape | {"finishReason": _REASONS.get(finish, "OTHER")}


def _response(
    asked: Asked, answer: Answer, stamp: Stamp, candidates: list[dict[str, Json]], *, told: bool
) -> dict[str, Json]:
    counts = counts_of(asked, answer)
    shape: dict[str, Json] = {"candidates": candidates}
    if told:
        shape["usageMetadata"] = {
            "promptTokenCount": counts.prompt,
            "candidatesTokenCount": counts.completion - counts.reasoning,
            "thoughtsTokenCount": counts.reasoning,
            "cachedContentTokenCount": counts.cached,
            "totalTokenCount": counts.prompt + counts.completion,
        }
    return shape | {"modelVersion": asked.model, "responseId": f"sim{stamp.number:020d}"}
