"""Rows of every shape that a log may hold, good and bad, for hypothesis to draw; and lines that were tampered with."""

import base64
from typing import Any

from hypothesis import strategies as st

from tailrace.records import Json
from tailrace_exporters.rows import Judgement, Kind, Row
from tests.exporters.logged import opened

TEXTS = st.sampled_from(["", "a", "b", "User: x", "ü\u2028", "{}", "<image>"])
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
URLS = st.sampled_from(
    [
        PNG,
        "https://example.com/a.png",
        "http://x/a",
        "s3://bucket/a.jpg",
        "gs://b/a.webp",
        "data:image/bmp;base64,AA==",
        "",
    ]
)
IDS = st.sampled_from(["call_1", "call_2", "abcdefghi", "123456789", ""])
NAMES = st.sampled_from(["weather", "a.b", "", "x" * 65, "größe"])
ARGUMENTS = st.sampled_from(["{}", '{"a": 1}', "[]", "", '{"a": 1, "a": 2}'])
JSON: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.sampled_from(["", "a", "user", "assistant", "text", "function"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=4,
)


def _parts() -> st.SearchStrategy[Json]:
    return st.lists(
        st.one_of(
            st.builds(lambda text: {"type": "text", "text": text}, TEXTS),
            st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, URLS),
            st.builds(lambda text: {"type": "refusal", "refusal": text}, TEXTS),
            st.just({"type": "input_audio", "input_audio": {"data": ""}}),
            st.just({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}),
        ),
        max_size=3,
    )


CONTENTS = st.one_of(TEXTS, TEXTS, _parts(), st.none())
CALLS = st.builds(
    lambda id_, name, arguments: {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}},
    IDS,
    st.just("weather") | NAMES,
    ARGUMENTS,
)
SCHEMAS = st.sampled_from(
    [
        {"type": "object", "properties": {"city": {"type": ["string", "null"]}}, "additionalProperties": False},
        {"type": "object", "properties": {"n": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}}},
        {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
        {"$ref": "#/x"},
        {"type": ["string", "integer"]},
        {"properties": {"a/b~": {"type": "string", "enum": [1]}}},
        {},
    ]
)


def _tool(name: str, schema: Json | None, extra: dict[str, Json]) -> Json:
    function = {"name": name} | ({} if schema is None else {"parameters": schema}) | extra
    return {"type": "function", "function": function}


TOOLS = st.builds(
    _tool,
    st.just("weather") | NAMES,
    st.none() | SCHEMAS,
    st.sampled_from([{}, {"description": "d"}, {"strict": True}, {"description": 3}]),
)


@st.composite
def _message(draw: st.DrawFn) -> Json:
    role = draw(st.sampled_from(["user", "user", "assistant", "assistant", "tool", "system", "developer", "function"]))
    message: dict[str, Json] = {"role": role, "content": draw(CONTENTS)}
    if role == "assistant":
        message |= draw(_answer_members())
    if role == "tool":
        message["tool_call_id"] = draw(IDS)
    if draw(st.integers(0, 9)) == 0:
        message["name"] = draw(NAMES)
    return message


@st.composite
def _answer_members(draw: st.DrawFn) -> dict[str, Json]:
    members: dict[str, Json] = {}
    kind = draw(st.integers(0, 11))
    if kind in {0, 1, 2}:
        members["tool_calls"] = draw(st.lists(CALLS, max_size=2))
    elif kind == 3:
        members["refusal"] = draw(TEXTS)
    elif kind == 4:
        members[draw(st.sampled_from(["reasoning_content", "reasoning"]))] = draw(TEXTS)
    elif kind == 5:
        members["function_call"] = {"name": "f", "arguments": "{}"}
    return members


@st.composite
def _coherent(draw: st.DrawFn) -> list[Json]:
    """Turns as an agent takes them, so that the formats have something to carry."""
    lead = draw(st.sampled_from([[], [{"role": "system", "content": "S"}], [{"role": "developer", "content": "D"}]]))
    messages: list[Json] = list(lead)
    for turn in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(CONTENTS.filter(bool))})
        if draw(st.booleans()):
            ids = [f"call_{turn}_{n}" for n in range(draw(st.integers(1, 2)))]
            calls = [draw(CALLS) | {"id": id_} for id_ in ids]
            words = draw(st.sampled_from([None, None, "Let me see."]))
            messages.append({"role": "assistant", "content": words, "tool_calls": calls})
            messages += ({"role": "tool", "tool_call_id": id_, "content": draw(TEXTS)} for id_ in ids)
        messages.append({"role": "assistant", "content": draw(TEXTS.filter(bool))} | draw(_answer_members()))
    return messages


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """A row; its last message is an answer, as the stages before the formats see to."""
    messages = draw(_coherent() | st.lists(_message(), max_size=5))
    last = draw(_message().filter(lambda message: message["role"] == "assistant"))
    if not messages or messages[-1]["role"] != "assistant" or draw(st.integers(0, 4)) == 0:
        messages = [*messages, last]
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    learned = draw(st.sampled_from([set(answers), {answers[-1]}, {answers[0]}]))
    kind = draw(st.sampled_from(list(Kind)))
    rejected = draw(_message()) if kind is Kind.PREFERENCE else None
    fields: dict[str, Any] = {
        "tools": draw(st.none() | st.lists(TOOLS, max_size=2)),
        "response_format": draw(st.none() | st.just({"type": "json_object"})),
        "parallel_tool_calls": draw(st.none() | st.booleans()),
    }
    return Row(
        head=opened(1),
        messages=messages,
        train=tuple(index in learned for index in range(len(messages))),
        learned=(opened(1),),
        kind=kind,
        judgement=None if kind is Kind.CONVERSATION else Judgement("told", None, rejected=rejected),
        **fields,
    )


@st.composite
def tampered(draw: st.DrawFn, line: Json) -> Json:
    """`line` with one part of it, at any depth, taken out or put in place of by anything."""
    if type(line) is dict and line and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(line)))
        return line | {key: draw(tampered(line[key]))}
    if type(line) is list and line and draw(st.integers(0, 3)):
        index = draw(st.integers(0, len(line) - 1))
        return [*line[:index], draw(tampered(line[index])), *line[index + 1 :]]
    if type(line) is dict and line and draw(st.booleans()):
        gone = draw(st.sampled_from(sorted(line)))
        return {key: value for key, value in line.items() if key != gone}
    return draw(JSON)
