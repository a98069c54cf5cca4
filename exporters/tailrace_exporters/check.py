"""Whether an answer obeys what its request asked for, and a row is not too long: `[filter] schema` and `max_tokens`.

Checked are the answers that are to be learned: their tool calls against the row's tools, and the last one, where it is
the recorded answer to the request, against the request's `response_format`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson

from tailrace.records import Json
from tailrace_exporters.asking import Answers, Ask
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Dropped, Row, Stage
from tailrace_exporters.schemas import Schemas
from tailrace_exporters.surroundings import Surroundings
from tailrace_exporters.tokens import Counted, CountText, read_tokenizer, tokens_in

ANSWER_NO_JSON: Final = "answer_no_json"
ANSWER_DISOBEYS: Final = "answer_disobeys_schema"
ARGUMENTS_NO_JSON: Final = "arguments_no_json"
ARGUMENTS_DISOBEY: Final = "arguments_disobey_schema"
UNDECLARED: Final = "undeclared_tool"
BROKEN: Final = "broken_schema"
TOO_LONG: Final = "too_long"
"""Followed by who counted: `too_long:provider`."""

_Finding = tuple[str, str]
"""Reason and pointer."""


def check(recipe: Recipe, surroundings: Surroundings) -> "Check | None":
    """The stage that `[filter]` asks for."""
    rule = recipe.filter
    if not rule.obeys_schema and rule.max_tokens is None:
        return None
    tokenizer = None if rule.tokenizer is None else read_tokenizer(surroundings, rule.tokenizer)
    return Check(schema=rule.obeys_schema, max_tokens=rule.max_tokens, tokenizer=tokenizer)


class Check:
    """Lets a row pass as it is, or drops it."""

    def __init__(self, *, schema: bool, max_tokens: int | None = None, tokenizer: CountText | None = None) -> None:
        self._schemas = Schemas() if schema else None
        self._max_tokens = max_tokens
        self._tokenizer = tokenizer
        self._counted: Counter[Counted] = Counter()

    def asks(self, _row: Row) -> Sequence[Ask]:
        """No model is needed."""
        return ()

    def take(self, row: Row, _answers: Answers) -> Iterator[Row | Dropped]:
        """The row, or why not."""
        found = self._too_long(row) or (None if self._schemas is None else next(faults(self._schemas, row), None))
        yield row if found is None else Dropped(Stage.CHECK, found[0], row.learned, found[1] or None)

    def facts(self) -> Mapping[str, Json]:
        """By whom rows were counted, where there is a most."""
        if self._max_tokens is None:
            return {}
        return {"tokens_counted_by": {who.value: self._counted[who] for who in Counted}}

    def _too_long(self, row: Row) -> _Finding | None:
        if self._max_tokens is None:
            return None
        try:
            count, who = tokens_in(row, self._tokenizer)
        except TypeError:
            return None  # no JSON: it is counted as that further on
        self._counted[who] += 1
        return (f"{TOO_LONG}:{who}", "") if count > self._max_tokens else None


def faults(schemas: Schemas, row: Row) -> Iterator[_Finding]:
    """What of the learned answers is not as it was asked for, in the conversation's order."""
    tools = _parameters(row.tools)
    last = len(row.messages) - 1
    for index, message in enumerate(row.messages):
        if not row.train[index] or (index == last and row.judgement is not None and not row.judgement.wanted):
            continue  # an answer that is to be avoided may be wrong in any way
        calls = message.get("tool_calls")
        for n, call in enumerate(calls if isinstance(calls, list) else ()):
            yield from _call(schemas, call, tools, f"/messages/{index}/tool_calls/{n}/function")
        if index == last and not calls and not message.get("refusal"):
            yield from _answer(schemas, message.get("content"), row.response_format, f"/messages/{index}/content")


def _parameters(tools: Json) -> dict[str, tuple[str, Json]]:
    """Where the parameters of each declared function stand, and their schema."""
    found: dict[str, tuple[str, Json]] = {}
    for n, tool in enumerate(tools if isinstance(tools, list) else ()):
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            found[function["name"]] = f"/tools/{n}/function/parameters", function.get("parameters")
    return found


def _call(schemas: Schemas, call: Json, tools: Mapping[str, tuple[str, Json]], pointer: str) -> Iterator[_Finding]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return  # a custom tool's input is text of its own kind
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(name, str) or name not in tools:
        yield UNDECLARED, f"{pointer}/name"
        return
    try:
        value = orjson.loads(arguments if isinstance(arguments, str) else b"")
    except orjson.JSONDecodeError:
        yield ARGUMENTS_NO_JSON, f"{pointer}/arguments"
        return
    place, schema = tools[name]
    if schema is not None:
        yield from _obeys(schemas, value, schema, place, (ARGUMENTS_DISOBEY, f"{pointer}/arguments"))


def _answer(schemas: Schemas, content: Json, wanted: Json, pointer: str) -> Iterator[_Finding]:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in {"json_schema", "json_object"}:
        return
    try:
        value = orjson.loads(_text(content))
    except orjson.JSONDecodeError:
        yield ANSWER_NO_JSON, pointer
        return
    if kind == "json_object":
        if not isinstance(value, dict):
            yield ANSWER_NO_JSON, pointer
        return
    inner = wanted.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, dict) else None
    if schema is not None:
        place = "/response_format/json_schema/schema"
        yield from _obeys(schemas, value, schema, place, (ANSWER_DISOBEYS, pointer))


def _obeys(schemas: Schemas, value: Json, schema: Json, place: str, finding: _Finding) -> Iterator[_Finding]:
    fault = schemas.fault(value, schema)
    if fault is not None:
        yield (BROKEN, place) if fault.schema else (finding[0], finding[1] + fault.pointer)


def _text(content: Json) -> str:
    if isinstance(content, str):
        return content
    parts = (part.get("text") for part in content if isinstance(part, dict)) if isinstance(content, list) else ()
    return "".join(part for part in parts if isinstance(part, str))
