"""What a line of Vertex AI's tuning rows must be: checks a line as it stands in a file. Pure, and never raises."""

import re
from collections.abc import Iterator
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat_rules, gemini_schema, images
from tailrace_exporters.formats.base import Problem
from tailrace_exporters.formats.shape import ARGUMENTS

EMPTY: Final = "empty_text"
_TOP: Final = ("systemInstruction", "contents", "tools")
_KINDS: Final = {
    "system": ("text",),
    "user": ("text", "fileData", "functionResponse"),
    "model": ("text", "functionCall"),
}
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_PLACE: Final = re.compile(r"(gs|https?)://\S+")


def check(line: Json) -> Iterator[Problem]:
    """What Vertex AI would refuse about a line."""
    if type(line) is not dict:
        yield Problem("", "a line is an object", chat_rules.SHAPE)
        return
    yield from chat_rules.unknown_keys(line, _TOP, "")
    if "systemInstruction" in line:
        yield from _content(line["systemInstruction"], ("system",), "/systemInstruction")
    contents = line.get("contents")
    if type(contents) is not list or not contents:
        yield Problem("/contents", "a line has a list of contents", chat_rules.SHAPE)
        return
    for index, content in enumerate(contents):
        yield from _content(content, ("user", "model"), f"/contents/{index}")
    yield from _turns(contents)
    yield from _calls(contents)
    if "tools" in line:
        yield from _tools(line["tools"])


def _turns(contents: list[Json]) -> Iterator[Problem]:
    for index, content in enumerate(contents):
        turn = ("user", "model")[index % 2]
        if chat_rules.role_of(content) != turn:
            yield Problem(f"/contents/{index}", f"it is the turn of the {turn}", chat_rules.ADJACENT)
            return
    if len(contents) % 2:
        yield Problem(f"/contents/{len(contents) - 1}", "the last turn is the model's", chat_rules.LAST)


def _content(content: Json, roles: tuple[str, ...], at: str) -> Iterator[Problem]:
    role = chat_rules.role_of(content)
    if role not in roles:
        yield Problem(f"{at}/role", f"is {' or '.join(roles)}", "unknown_role")
        return
    yield from chat_rules.unknown_keys(content, ("role", "parts"), at)
    parts = content.get("parts")
    if type(parts) is not list or not parts:
        yield Problem(f"{at}/parts", "a list of parts", chat_rules.SHAPE)
        return
    for index, part in enumerate(parts):
        yield from _part(part, _KINDS[role], f"{at}/parts/{index}")


def _part(part: Json, kinds: tuple[str, ...], at: str) -> Iterator[Problem]:
    kind = next(iter(part)) if type(part) is dict and len(part) == 1 else None
    if kind not in kinds:
        yield Problem(at, f"one member: {' or '.join(kinds)}", "unknown_part")
        return
    value = part[kind]
    if kind == "text":
        if type(value) is not str or not value:
            yield Problem(f"{at}/text", "is text", EMPTY)
    elif kind == "fileData":
        if not _file(value):
            yield Problem(f"{at}/fileData", "an image by its gs:// or https:// address", images.UNFIT)
    else:
        yield from _function(value, "args" if kind == "functionCall" else "response", f"{at}/{kind}")


def _file(value: Json) -> bool:
    if type(value) is not dict or set(value) != {"mimeType", "fileUri"}:
        return False
    kind, uri = value["mimeType"], value["fileUri"]
    known = type(kind) is str and kind in {"image/jpeg", "image/png", "image/webp"}
    return known and type(uri) is str and _PLACE.fullmatch(uri) is not None


def _function(value: Json, holds: str, at: str) -> Iterator[Problem]:
    if type(value) is not dict or set(value) != {"name", holds}:
        yield Problem(at, f"a name and {holds}", chat_rules.SHAPE)
        return
    if not _named(value["name"]):
        yield Problem(f"{at}/name", "a name that Gemini takes", chat_rules.TOOL)
    if type(value[holds]) is not dict:
        yield Problem(f"{at}/{holds}", "an object", ARGUMENTS)


def _calls(contents: list[Json]) -> Iterator[Problem]:
    """That right behind a turn with calls comes one with just their results, but behind the last turn."""
    asked: list[str] = []
    for index, content in enumerate(contents):
        given = _names(content, "functionResponse")
        parts = content.get("parts") if type(content) is dict else None
        if sorted(asked) != sorted(given):
            yield Problem(f"/contents/{index}", "as many results as there were calls before it", chat_rules.UNANSWERED)
        if given and type(parts) is list and len(given) != len(parts):
            yield Problem(f"/contents/{index}/parts", "beside results of tools there is nothing", chat_rules.ADJACENT)
        asked = _names(content, "functionCall")


def _names(content: Json, kind: str) -> list[str]:
    parts = content.get("parts") if type(content) is dict else None
    values = [part.get(kind) for part in parts if type(part) is dict] if type(parts) is list else []
    return [str(value.get("name")) for value in values if type(value) is dict]


def _tools(tools: Json) -> Iterator[Problem]:
    declared = tools[0].get("functionDeclarations") if type(tools) is list and _single(tools) else None
    if type(declared) is not list or not declared:
        yield Problem("/tools", "one tool with its functionDeclarations", "unknown_tool")
        return
    for index, function in enumerate(declared):
        at = f"/tools/0/functionDeclarations/{index}"
        if type(function) is not dict or not _named(function.get("name")):
            yield Problem(f"{at}/name", "a name that Gemini takes", chat_rules.TOOL)
            continue
        yield from chat_rules.unknown_keys(function, ("name", "description", "parameters"), at)
        if type(function.get("description", "")) is not str:
            yield Problem(f"{at}/description", "is text", chat_rules.TOOL)
        for fault in gemini_schema.faults(function.get("parameters", {}), f"{at}/parameters"):
            yield Problem(fault, "is no schema of Gemini's", gemini_schema.UNFIT)


def _single(tools: list[Json]) -> bool:
    return len(tools) == 1 and type(tools[0]) is dict and len(tools[0]) == 1


def _named(name: Json) -> bool:
    return type(name) is str and _NAME.fullmatch(name) is not None
