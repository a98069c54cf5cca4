"""What a simulated model is asked and what it answers, in words that belong to no wire.

Owns the question (`Asked`), the answer (`Answer`), how long each is in tokens, and the ordinary answers (an echo, a
tool call). How they look on the wire is the wire's: `chat.py`.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

import orjson

from tailrace.records import Json

_WORD: Final = re.compile(r"\s*\S+|\s+")
_DEEPEST: Final = 20  # a schema may refer to itself
_MESSAGE_TOKENS: Final = 4  # what a message costs beside its text


class BadRequest(Exception):
    """The request cannot be answered; told to the client with status 400, or another."""

    def __init__(self, message: str, param: str | None = None, *, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Said:
    """A message as the model hears it: `system`, `user`, `assistant` or `tool`, and its text."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the client offers: its name and the JSON schema of its arguments."""

    name: str
    schema: Json


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for an answer."""

    model: str
    messages: tuple[Said, ...]
    stream: bool = False
    choices: int = 1
    stream_usage: bool = False
    top_logprobs: int | None = None  # None: no logprobs are asked for
    tools: tuple[Tool, ...] = ()
    max_tokens: int | None = None
    caller: str | None = None  # the user or session that the body names
    schema: Json = None  # what the answer's text must fit as JSON, where the client asks for that
    body: Mapping[str, Json] = field(default_factory=dict)  # as it came, for what a wire gives back with its answer

    @property
    def last_user_text(self) -> str:
        """The text of the newest user message, or nothing."""
        return next((said.text for said in reversed(self.messages) if said.role == "user"), "")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a function; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of one call."""

    prompt: int
    completion: int
    reasoning: int = 0
    cached: int = 0


class Reports(Enum):
    """How often usage is told."""

    NEVER = 0
    ONCE = 1
    TWICE = 2


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an answer's text, its log probability, and what might have stood there, itself included."""

    text: str
    logprob: float
    others: tuple[tuple[str, float], ...]


class Telling(Enum):
    """What a provider tells of log probabilities that were asked for."""

    ALL = "all"
    EMPTY = "empty"  # an object without a token
    NOTHING = "nothing"  # null


@dataclass(frozen=True, slots=True)
class Scores:
    """The tokens of an answer; joined they are its text."""

    tokens: tuple[Token, ...]
    telling: Telling = Telling.ALL


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, given alike in each choice. `counts` None means: counted from the texts."""

    text: str | None = ""
    reasoning: str | None = None
    refusal: str | None = None
    calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    reports: Reports = Reports.ONCE
    counts: Counts | None = None
    sources: tuple[str, ...] = ()  # URLs that the text goes back to
    scores: Scores | None = None  # None: each word is a token, of a probability that means nothing


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes an answer unlike the one before: its number, from 1, and its time in whole seconds since 1970."""

    number: int
    created: int


def tokens(text: str | None) -> int:
    """The length of `text` in simulated tokens: four characters each, the last one begun counts."""
    return -(-len(text) // 4) if text else 0


def words(text: str) -> Iterator[str]:
    """The pieces a model would stream: words with the white space before them. Joined they are `text`."""
    return (match[0] for match in _WORD.finditer(text))


def logprob(token: str) -> float:
    """A log probability that depends on the token alone, above -1."""
    return -(zlib.crc32(token.encode("utf-8", "surrogatepass")) % 1000) / 1000


def counts_of(asked: Asked, answer: Answer) -> Counts:
    """The tokens of one call, all choices counted."""
    if answer.counts is not None:
        return answer.counts
    prompt = sum(_MESSAGE_TOKENS + tokens(said.text) for said in asked.messages)
    reasoning = tokens(answer.reasoning)
    calls = sum(tokens(call.name) + tokens(call.arguments) for call in answer.calls)
    text = len(answer.scores.tokens) if answer.scores is not None else tokens(answer.text)
    each = text + tokens(answer.refusal) + calls + reasoning
    return Counts(prompt, each * asked.choices, reasoning * asked.choices)


def echo(asked: Asked) -> Answer:
    """The last user text again."""
    return Answer(asked.last_user_text)


def limited(asked: Asked, answer: Answer) -> Answer:
    """`answer`, its text cut at the tokens the client allows, as `length`."""
    if asked.max_tokens is not None and answer.scores is not None and len(answer.scores.tokens) > asked.max_tokens:
        kept = answer.scores.tokens[: asked.max_tokens]
        text = "".join(token.text for token in kept)
        return replace(answer, text=text, scores=replace(answer.scores, tokens=kept), finish="length")
    if asked.max_tokens is None or answer.scores is not None or tokens(answer.text) <= asked.max_tokens:
        return answer
    return replace(answer, text=(answer.text or "")[: 4 * asked.max_tokens], finish="length")


def counted(n: int) -> str:
    """A text of exactly `n` words."""
    return " ".join(f"word{i}" for i in range(1, n + 1))


def at_least(text: str, n: int) -> str:
    """`text` without the white space around it, and counted words after it until it has at least `n`."""
    text = text.strip()
    missing = n - sum(1 for _ in words(text))
    return text if missing <= 0 else f"{text} {counted(missing)}".lstrip()


def call_tools(asked: Asked, n: int) -> Answer:
    """Calls of the first `n` offered tools; after a tool's result, or without tools, a text."""
    if asked.messages and asked.messages[-1].role == "tool":
        return Answer(f"The tool answered: {asked.messages[-1].text}")
    if not asked.tools:
        return echo(asked)
    calls = tuple(ToolCall(tool.name, _arguments(tool.schema, asked.last_user_text)) for tool in asked.tools[:n])
    return Answer(None, calls=calls, finish="tool_calls")


def fitting(asked: Asked) -> Answer:
    """JSON that the schema the client asks for allows; without one, an object that says the user's words."""
    schema = asked.schema if asked.schema is not None else {"properties": {"text": {"type": "string"}}}
    return Answer(_arguments(schema, asked.last_user_text))


def _arguments(schema: Json, text: str) -> str:
    """Arguments that `schema` allows, as far as its types and enums say; strings are the user's own words."""
    value = _value({"type": "object", **schema} if isinstance(schema, dict) else {"type": "object"}, text, schema, 0)
    return orjson.dumps(value).decode()


def _value(schema: Json, text: str, root: Json, depth: int) -> Json:
    """A value that `schema`, a part of `root`, allows: the first of what it leaves open, and no array empty."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    if isinstance(schema.get("$ref"), str):
        return _value(_referred(root, schema["$ref"]), text, root, depth + 1)
    for name in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(name), list) and schema[name]:
            return _value(schema[name][0], text, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type")
    named = kind.lower() if isinstance(kind, str) else ""  # Gemini writes types in capitals
    if named == "object":
        properties = schema.get("properties")
        inner = properties if isinstance(properties, dict) else {}
        return {name: _value(of, text, root, depth + 1) for name, of in inner.items()}
    if named == "array":
        return [_value(schema["items"], text, root, depth + 1)] if isinstance(schema.get("items"), dict) else []
    by_type: dict[str, Json] = {"string": text, "integer": 1, "number": 0.5, "boolean": True}
    return by_type.get(named)


def _referred(root: Json, path: str) -> Json:
    """The part of `root` that a reference inside it names (`#/$defs/City`)."""
    for name in path.removeprefix("#/").split("/"):
        root = root.get(name) if isinstance(root, dict) else None
    return root
