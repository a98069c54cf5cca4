"""Axolotl's chat rows, for `type: chat_template` with a training mark on each message.

    {"messages": [{"role", "content", "train"}, ...], "tools": [...] or null}

The mark is read with `message_field_training: train` in the dataset's settings (`datasets.json` beside the files has
them whole); without it all assistant messages are learned. Arguments and parameters are JSON text, because `datasets`
gives all objects of a column the keys of all others.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Beside, Format, Line, Problem
from tailrace_exporters.formats.reading import at, items
from tailrace_exporters.formats.shape import Shaper
from tailrace_exporters.formats.trl_shape import TRL_REASONS, TRL_RULES, message
from tailrace_exporters.rows import Row

PARAMETERS: Final = "parameters_as_text"


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    messages = [_message(shaper, row, index) for index in range(len(row.messages))]
    return Line({"messages": messages, "tools": _tools(shaper)}, frozenset(shaper.rules))


def _message(shaper: Shaper, row: Row, index: int) -> dict[str, Json]:
    made = message(shaper, index) | {"train": row.train[index]}
    for call in made.get("tool_calls", ()):
        call["function"] = call["function"] | {"arguments": _text(call["function"]["arguments"])}
    return made


def _tools(shaper: Shaper) -> list[Json] | None:
    tools = shaper.tools()
    if tools is None:
        return None
    found = []
    for tool in tools:
        function = tool["function"]
        if "parameters" in function:
            shaper.rules.add(PARAMETERS)
            function = function | {"parameters": _text(function["parameters"])}
        found.append(tool | {"function": function})
    return found


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def check(line: Json) -> Iterator[Problem]:
    """What Axolotl asks of a line."""
    for index, each in enumerate(items(at(line, "messages"))):
        if type(at(each, "train")) is not bool:
            yield Problem(f"/messages/{index}/train", "expected true or false, else the message is learned by its role")
        elif at(each, "train") and at(each, "role") != "assistant":
            yield Problem(f"/messages/{index}/train", "expected false: only answers are learned")
        if type(at(each, "content")) is not str:
            yield Problem(f"/messages/{index}/content", "expected text")
        for n, call in enumerate(items(at(each, "tool_calls"))):
            if type(at(call, "function", "arguments")) is not str:
                yield Problem(f"/messages/{index}/tool_calls/{n}/function/arguments", "expected JSON text")


def beside(told: Beside) -> Mapping[str, Json | str]:
    """The dataset's settings, to be copied into a training's YAML, of which JSON is a part."""
    settings = {
        "type": "chat_template",
        "field_messages": "messages",
        "field_tools": "tools",
        "message_field_training": "train",
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }
    return {"datasets.json": {"datasets": [{"path": file, "ds_type": "json", **settings} for file in told.files]}}


FORMAT: Final = Format(
    about="Axolotl chat_template rows, with `train` on each message",
    project=project,
    rules=TRL_RULES | {PARAMETERS: "a tool's parameters become JSON text"},
    reasons=TRL_REASONS,
    check=check,
    beside=beside,
)
