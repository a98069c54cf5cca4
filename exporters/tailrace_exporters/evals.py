"""Eval sets as people keep them, item by item: JSON lines, CSV with a header, the test split of an earlier export."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from tailrace.classify.item_files import GoldError, parse_rows
from tailrace.errors import RecipeError
from tailrace.records import Json
from tailrace_exporters.surroundings import Surroundings

_CONVERSATIONS: Final = ("messages", "conversations", "contents")
_ASKED: Final = ("prompt", "question", "instruction", "input", "context", "text")
_ANSWERED: Final = ("completion", "answer", "output", "response", "chosen", "preferred_output", "reference_answer")
_ANSWERERS: Final = ("assistant", "model", "gpt")
_UNSEEN: Final = ("system", "developer")
"""Their words are the application's, and the same in every item."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a model is tested with."""

    file: str
    line: int
    asked: tuple[str, ...]
    """What it is shown, turn by turn, without system prompts."""
    answered: tuple[str, ...] = ()
    """How it should answer."""


def items(surroundings: Surroundings, name: str) -> Iterator[Item]:
    """The items of what a recipe calls `name`.

    Raises:
        RecipeError: it cannot be read, or a line is no item; with file and line.
    """
    if surroundings.is_folder(name):
        for path in _test_files(surroundings, name):
            yield from _items(surroundings, path)
    else:
        yield from _items(surroundings, name)


def _items(surroundings: Surroundings, name: str) -> Iterator[Item]:
    try:
        for line, value in _csv(surroundings, name) if name.endswith(".csv") else _jsonl(surroundings, name):
            item = item_of(value, name, line)
            if item is None:
                raise RecipeError(
                    f"{name}:{line}: no item of an eval set; give a text, or an object with messages, prompt, "
                    "question, instruction, input or text"
                )
            yield item
    except GoldError as exc:
        raise RecipeError(f"{name}: {exc}") from exc


def _csv(surroundings: Surroundings, name: str) -> Iterator[tuple[int, Json]]:
    return parse_rows(surroundings.read(name), ".csv")


def _jsonl(surroundings: Surroundings, name: str) -> Iterator[tuple[int, Json]]:
    for line, text in enumerate(surroundings.lines(name), 1):
        if text.strip():
            try:
                yield line, orjson.loads(text)
            except orjson.JSONDecodeError as exc:
                raise RecipeError(f"{name}:{line}: is no JSON ({exc.msg}); write an item a line") from exc


def _test_files(surroundings: Surroundings, name: str) -> list[str]:
    """The files of one format; each format has the same rows."""
    try:
        files = orjson.loads(surroundings.read(f"{name}/manifest.json"))["files"]
        found = sorted(str(path) for path in files if str(path).rpartition("/")[2].startswith("test"))
    except (ValueError, KeyError, TypeError) as exc:
        raise RecipeError(f"{name}: the manifest in this folder is none of an export") from exc
    found = [path for path in found if path.endswith((".jsonl", ".csv"))]
    if not found:
        raise RecipeError(f"{name}: this export has no split named test, or none in JSON lines or CSV")
    first = found[0].partition("/")[0]
    return [f"{name}/{path}" for path in found if path.partition("/")[0] == first]


def item_of(value: Json, file: str, line: int) -> Item | None:
    """An item in one of the shapes that eval sets and training files have; None where it is none of them."""
    if isinstance(value, str):
        return Item(file, line, (value,))
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("input"), dict):
        value = value | value["input"]
    turns = next((value[key] for key in _CONVERSATIONS if isinstance(value.get(key), list)), None)
    if turns is not None:
        found = [(role, text) for role, text in map(turn, turns) if role not in _UNSEEN and text]
        last = len(found) - 1 if found and found[-1][0] in _ANSWERERS else len(found)
        asked, answered = ([text for _, text in some] for some in (found[:last], found[last:]))
    else:
        asked, answered = [], []
    if not asked:
        asked = [text for key in _ASKED for text in _said(value.get(key))]
    answered += [text for key in _ANSWERED for text in _said(value.get(key))]
    return Item(file, line, tuple(asked), tuple(answered)) if asked or answered else None


def turn(value: Json) -> tuple[str, str]:
    """Role and text of a message, in OpenAI's shape, ShareGPT's, Gemini's or that of gold files; empty where none."""
    if not isinstance(value, dict):
        return "", ""
    content = next((value[key] for key in ("content", "value", "parts", "text") if value.get(key) is not None), None)
    return str(value.get("role") or value.get("from") or ""), " ".join(_said(content))


def _said(value: Json) -> list[str]:
    """The texts of a member: one, or those of its messages or parts."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, list):
        return [
            each if isinstance(each, str) else text for each in value for role, text in (turn(each),) if _seen(each)
        ]
    return []


def _seen(value: Json) -> bool:
    role, text = turn(value)
    return isinstance(value, str) or (role not in _UNSEEN and bool(text))
