"""What a request to label asks: the text, what was said before it, the labels to choose from, the form of the answer.

Owns the reading of the prompt contract: a system message with instructions and labels, examples as pairs of user and
assistant, and a last user message that holds the context and at its end the text between two tags. Requests that do
not keep it are read as far as they go: without tags the last user message is the text.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from tailrace.records import Json
from tailrace.simulate.answer import Asked, Said
from tailrace.simulate.labelling.gold import Gold

_TAGGED: Final = re.compile(r"<message_to_classify>\s?(.*)\s?</message_to_classify>(.*)\Z", re.DOTALL)
_AGAIN: Final = re.compile(r"\byour last answer was\b", re.IGNORECASE)
"""How the instructions of a corrective re-ask begin, where it is told to the model in the system message."""
_SCHEMA: Final = re.compile(r"\{\s*\"(?:type|properties)\"")
_FIRST_END: Final = "</message_to_classify>"
_DEEPEST: Final = 20


@dataclass(frozen=True, slots=True)
class Question:
    """`schema` is that of the JSON answer, or of the arguments of `tool`; None: plain text is expected."""

    text: str
    context: str
    beside: str
    """What stands in the message after a closing tag: nothing, unless a text broke out of its tags."""
    again: bool
    """Whether this is a corrective re-ask, after an answer that was not on the list."""
    options: tuple[str, ...]
    schema: Json
    tool: str | None


def read(asked: Asked, gold: Gold) -> Question:
    """The question in `asked`. Never raises: what is missing is empty."""
    users = [at for at, said in enumerate(asked.messages) if said.role == "user"]
    tagged = [at for at in users if _TAGGED.search(asked.messages[at].text)]
    at = tagged[-1] if tagged else (users[-1] if users else None)
    whole = asked.messages[at].text if at is not None else ""
    text, context, beside = _parts(whole)
    tool = asked.tools[0] if asked.tools and asked.schema is None else None
    told = "\n".join(said.text for said in asked.messages if said.role == "system")
    schema = tool.schema if tool is not None else asked.schema if asked.schema is not None else _shown(told)
    options = options_of(schema) or _named(told, gold)
    again = _AGAIN.search(told) is not None or (
        at is not None and (at != users[-1] or _answered_off_list(asked.messages, users, text, options))
    )
    return Question(text, context, beside, again, options, schema, tool.name if tool else None)


def _parts(whole: str) -> tuple[str, str, str]:
    """The text, the context before it, and what follows the first closing tag."""
    found = _TAGGED.search(whole)
    if found is None:
        return whole, "", ""
    beside = whole[found.start() :].partition(_FIRST_END)[2].removesuffix(_FIRST_END)
    return found[1].strip("\n"), whole[: found.start()], beside


def _answered_off_list(messages: tuple[Said, ...], users: list[int], text: str, options: tuple[str, ...]) -> bool:
    """Whether the user message before the last asked the same and got what is no label: an example would be one."""
    if len(users) < 2 or _parts(messages[users[-2]].text)[0] != text:
        return False
    told = [said.text for said in messages[users[-2] : users[-1]] if said.role == "assistant"]
    return any(not _on_list(answer, options) for answer in told)


def _on_list(answer: str, options: tuple[str, ...]) -> bool:
    try:
        shape = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return answer.strip() in options
    return all(label in options for label in _strings(shape)) if isinstance(shape, dict) else answer in options


def _strings(shape: dict[str, Json]) -> list[Json]:
    """The label or labels of an answer."""
    many = shape.get("labels")
    return many if isinstance(many, list) else [shape.get("label")] if "label" in shape else []


def _shown(told: str) -> Json:
    """The schema that instructions write out for models which cannot be held to one; None: there is none."""
    for found in _SCHEMA.finditer(told):
        try:
            shape, _ = json.JSONDecoder().raw_decode(told, found.start())
        except json.JSONDecodeError:
            continue
        if isinstance(shape, dict) and isinstance(shape.get("properties"), dict):
            return shape
    return None


def _named(told: str, gold: Gold) -> tuple[str, ...]:
    """The labels of gold that the instructions name, in the order of the instructions; all, where they name none."""
    places = [(found.start(), label) for label in gold.labels if (found := _word(label).search(told))]
    return tuple(label for _, label in sorted(places)) or gold.labels


def _word(label: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(label)}(?!\w)")


def options_of(schema: Json) -> tuple[str, ...]:
    """The strings of the first enum in `schema`, that of `label` or `labels` before others."""
    found = list(_enums(schema, schema, "", 0))
    found.sort(key=lambda one: one[0] not in {"label", "labels"})
    return found[0][1] if found else ()


def _enums(schema: Json, root: Json, name: str, depth: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    schema = resolved(schema, root)
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return
    values = schema.get("enum")
    if isinstance(values, list) and values and all(value is None or isinstance(value, str) for value in values):
        yield name, tuple(value for value in values if value is not None)
    if isinstance(schema.get("items"), dict):
        yield from _enums(schema["items"], root, name, depth + 1)
    if isinstance(schema.get("properties"), dict):
        for inner, shape in schema["properties"].items():
            yield from _enums(shape, root, inner, depth + 1)


def resolved(schema: Json, root: Json) -> Json:
    """`schema` without references, and the first of its alternatives that is not null."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, dict):
            return schema
        if isinstance(schema.get("$ref"), str):
            schema = _referred(root, schema["$ref"])
            continue
        for name in ("anyOf", "oneOf", "allOf"):
            if isinstance(schema.get(name), list) and schema[name]:
                schema = next((one for one in schema[name] if one != {"type": "null"}), None)
                break
        else:
            return schema
    return None


def _referred(root: Json, path: str) -> Json:
    for name in path.removeprefix("#/").split("/"):
        root = root.get(name) if isinstance(root, dict) else None
    return root
