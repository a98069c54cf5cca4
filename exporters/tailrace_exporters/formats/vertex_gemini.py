"""Vertex AI's supervised tuning rows for Gemini.

    {"systemInstruction": {"role": "system", "parts": [{"text": "S"}]},
     "contents": [{"role": "user", "parts": [{"text": "U"}]}, {"role": "model", "parts": [{"text": "A"}]}],
     "tools": [{"functionDeclarations": [...]}]}

Every answer is learned. Tool arguments are objects, results come in a user turn right behind the calls, images by their
address only. Sources: Google's guides to supervised tuning and to tuning function calls; `google.genai.types`.
"""

from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats import chat, chat_rules, gemini_schema, images
from tailrace_exporters.formats.base import Format, Limits, Line, UnfitError, settled
from tailrace_exporters.formats.dialect import Dialect
from tailrace_exporters.formats.gemini_rules import EMPTY, check
from tailrace_exporters.formats.images import MEGABYTE
from tailrace_exporters.formats.shape import ARGUMENTS, arguments
from tailrace_exporters.rows import Row

_MERGED: Final = "turns_merged"
_OUTPUT: Final = "tool_result_as_output"
_KINDS: Final = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
_READ: Final = Dialect(
    vendor="Vertex",
    keys={
        "system": ("role", "content"),
        "user": ("role", "content"),
        "assistant": ("role", "content", "tool_calls"),
        "tool": ("role", "content", "tool_call_id"),
    },
    parts={"user": ("text", "image_url")},
    top=("messages", "tools"),
    function_keys=("name", "description", "parameters"),
    weights=False,
)


class _Turns:
    """The contents of a line as they grow, with the message of the row that each of them starts with."""

    def __init__(self) -> None:
        self.contents: list[dict[str, Json]] = []
        self.origins: list[int] = []
        self.merged = False

    def add(self, role: str, parts: list[Json], index: int) -> None:
        """One more message's parts. Neighbours of the user's side are one turn; two answers never are."""
        if self.contents and self.contents[-1]["role"] == role == "user":
            self.contents[-1]["parts"] += parts
            self.merged = self.merged or "functionResponse" not in parts[0]
            return
        self.contents.append({"role": role, "parts": parts})
        self.origins.append(index)

    def origin(self, pointer: str) -> str:
        """The pointer into the row for one into the line."""
        words = pointer.split("/")
        if words[1] == "contents" and len(words) > 2:
            return f"/messages/{self.origins[int(words[2])]}"
        return "/messages/0" if words[1] == "systemInstruction" else pointer


def project(row: Row) -> Line:
    """A row as one line of the file."""
    line, shaper = chat.shaped(row, _READ)
    shaper.all_learned()
    named: dict[str, str] = {}
    turns, system = _Turns(), []
    for index, message in enumerate(line["messages"]):
        if message["role"] == "system":
            if turns.contents:
                raise UnfitError(chat_rules.SYSTEM, f"/messages/{index}")
            system.append({"text": message["content"]})
        elif message["role"] == "tool":
            shaper.rules.add(_OUTPUT)
            turns.add("user", [_result(message, named)], index)
        else:
            role = "model" if message["role"] == "assistant" else "user"
            turns.add(role, _parts(message, f"/messages/{index}", named), index)
    if turns.merged:
        shaper.rules.add(_MERGED)
    value: dict[str, Json] = {}
    if system:
        value["systemInstruction"] = {"role": "system", "parts": system}
    value["contents"] = turns.contents
    if "tools" in line:
        declared = [_declared(tool, f"/tools/{n}", shaper.rules) for n, tool in enumerate(line["tools"])]
        value["tools"] = [{"functionDeclarations": declared}]
    return settled(Line(value, frozenset(shaper.rules)), check(value), turns.origin)


def _parts(message: dict[str, Json], pointer: str, named: dict[str, str]) -> list[Json]:
    content = message["content"]
    if type(content) is list:
        parts = [_part(part, f"{pointer}/content/{n}") for n, part in enumerate(content)]
    else:
        parts = [{"text": content}] if content else []
    for n, call in enumerate(message.get("tool_calls", [])):
        name = call["function"]["name"]
        named[call["id"]] = name
        parts.append({"functionCall": {"name": name, "args": arguments(call, f"{pointer}/tool_calls/{n}")}})
    if not parts:
        raise UnfitError(EMPTY, f"{pointer}/content")
    return parts


def _part(part: dict[str, Json], pointer: str) -> Json:
    if part["type"] == "text":
        return {"text": part["text"]}
    image = part["image_url"]
    url = image.get("url") if type(image) is dict else None
    kind = _KINDS.get(url.rpartition(".")[2].lower()) if type(url) is str else None
    if kind is None:
        raise UnfitError(images.UNFIT, f"{pointer}/image_url")
    return {"fileData": {"mimeType": f"image/{kind}", "fileUri": url}}


def _result(message: dict[str, Json], named: dict[str, str]) -> Json:
    response = {"output": message["content"]}
    return {"functionResponse": {"name": named[message["tool_call_id"]], "response": response}}


def _declared(tool: dict[str, Json], pointer: str, rules: set[str]) -> Json:
    function = tool["function"]
    if "parameters" not in function:
        return function
    schema = gemini_schema.gemini_schema(function["parameters"], f"{pointer}/function/parameters", rules)
    return function | {"parameters": schema}


FORMAT: Final = Format(
    about="Vertex AI supervised tuning of Gemini (JSONL)",
    project=project,
    rules=chat.TEXT_RULES
    | chat.PARALLEL_RULE
    | {
        _MERGED: "neighbouring messages of the user become one turn of several parts",
        _OUTPUT: "the text of a tool's result becomes the `output` of an object",
        gemini_schema.NARROWED: "keys of a tool's JSON Schema that Gemini has no word for are left out",
    },
    reasons=chat.CHAT_REASONS
    | chat_rules.SYSTEM_REASON
    | chat_rules.ADJACENT_REASON
    | chat_rules.UNANSWERED_REASON
    | {
        EMPTY: "a content is empty",
        images.UNFIT: images.REASONS[images.UNFIT],
        ARGUMENTS: "a tool call's arguments are no JSON object with distinct keys and finite numbers",
        gemini_schema.UNFIT: "a tool's JSON Schema says what Gemini has no word for",
    },
    limits=Limits(least_rows=100, most_file_bytes=1000 * MEGABYTE, most_row_tokens=131_072),
    check=check,
)
