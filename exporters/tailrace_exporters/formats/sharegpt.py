"""ShareGPT's rows, as LLaMA-Factory reads them, with `dataset_info.json` beside the files.

    {"conversations": [{"from": "human", "value": "U"}, {"from": "gpt", "value": "A"}], "system": "S", "tools": "[...]"}

LLaMA-Factory is strict: human and observation stand at odd places, gpt and function_call at even ones, and the last is
an answer; anything else is dropped with a warning. Its `openai` formatting has worse traps (a system prompt that grows
a line, text beside calls that is overwritten), so this is the one to use. All answers are learned.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from tailrace.records import Json
from tailrace_exporters.formats.base import Beside, Format, Line, Problem, UnfitError
from tailrace_exporters.formats.reading import at, items
from tailrace_exporters.formats.shape import MASK, Shaper
from tailrace_exporters.formats.trl_shape import TRL_REASONS, TRL_RULES
from tailrace_exporters.formats.turns import (
    LATE_SYSTEM,
    NO_ALTERNATION,
    SYSTEM_JOINED,
    TEXT_REASONS,
    TEXT_RULES,
    system_and_rest,
)
from tailrace_exporters.rows import Row

RESULTS: Final = "tool_results_joined"
BESIDE: Final = "words_and_calls"
MEDIA: Final = "media_token_in_text"

_ASKS: Final = ("human", "observation")
_ANSWERS: Final = ("gpt", "function_call")
_TOKENS: Final = ("<image>", "<video>", "<audio>")
_TAGS: Final = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
}


def project(row: Row) -> Line:
    """A row as one line of the file."""
    shaper = Shaper(row)
    system, rest = system_and_rest(shaper, row)
    shaper.all_learned()
    turns: list[dict[str, str]] = []
    for index, each in rest:
        _add(turns, shaper, index, each)
    if len(turns) % 2 or not turns:
        raise UnfitError(NO_ALTERNATION, f"/messages/{len(row.messages) - 1}/role")
    tools = shaper.tools()
    line: dict[str, Json] = {
        "conversations": turns,
        "system": system or "",
        "tools": "" if tools is None else _text([tool["function"] for tool in tools]),
    }
    return Line(line, frozenset(shaper.rules))


def _add(turns: list[dict[str, str]], shaper: Shaper, index: int, message: dict[str, Json]) -> None:
    turn = _turn(index, message)
    if turn["from"] == "observation" and turns and turns[-1]["from"] == "observation":
        shaper.rules.add(RESULTS)
        turns[-1]["value"] += f"\n{turn['value']}"
        return
    if (turn["from"] in _ASKS) != (len(turns) % 2 == 0):
        raise UnfitError(NO_ALTERNATION, f"/messages/{index}/role")
    turns.append(turn)


def _turn(index: int, message: dict[str, Json]) -> dict[str, str]:
    text, calls = message["content"], message.get("tool_calls")
    for token in _TOKENS:
        if token in text:
            raise UnfitError(MEDIA, f"/messages/{index}/content")
    if not calls:
        return {"from": {"user": "human", "tool": "observation", "assistant": "gpt"}[message["role"]], "value": text}
    if text:
        raise UnfitError(BESIDE, f"/messages/{index}/content")
    functions = [call["function"] for call in calls]
    return {"from": "function_call", "value": _text(functions[0] if len(functions) == 1 else functions)}


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def check(line: Json) -> Iterator[Problem]:
    """What LLaMA-Factory's converter asks of a line."""
    turns = items(at(line, "conversations"))
    if not turns or len(turns) % 2:
        yield Problem("/conversations", "expected an even number of turns")
    for index, turn in enumerate(turns):
        wanted = _ASKS if index % 2 == 0 else _ANSWERS
        if at(turn, "from") not in wanted:
            yield Problem(f"/conversations/{index}/from", f"expected {' or '.join(wanted)} in this place")
        if type(at(turn, "value")) is not str:
            yield Problem(f"/conversations/{index}/value", "expected text")
    for name in ("system", "tools"):
        if type(at(line, name)) is not str:
            yield Problem(f"/{name}", "expected text, empty where there is none")


def beside(told: Beside) -> Mapping[str, Json | str]:
    """LLaMA-Factory's register of the files."""
    columns = {"messages": "conversations", "system": "system", "tools": "tools"}
    entry = {"formatting": "sharegpt", "columns": columns, "tags": _TAGS}
    return {
        "dataset_info.json": {
            f"{told.name}_{PurePosixPath(file).stem}": {"file_name": file, **entry} for file in told.files
        }
    }


FORMAT: Final = Format(
    about="ShareGPT rows for LLaMA-Factory, with dataset_info.json",
    project=project,
    rules=TRL_RULES
    | {SYSTEM_JOINED: TEXT_RULES[SYSTEM_JOINED], RESULTS: "several tool results in a row become one, a line each"},
    reasons=TRL_REASONS
    | {name: TEXT_REASONS[name] for name in (NO_ALTERNATION, LATE_SYSTEM)}
    | {
        MASK: "an answer is not to be learned, and the target has no mark for that",
        BESIDE: "an answer has text beside its tool calls, and the target has room for one of them",
        MEDIA: "a text holds <image>, <video> or <audio>, which LLaMA-Factory takes for a place of media",
    },
    check=check,
    beside=beside,
)
