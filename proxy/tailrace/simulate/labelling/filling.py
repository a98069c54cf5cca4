"""What is true of a text, put into the form that a schema asks for.

Owns which member of an answer gets what: an enum a label, an array of an enum several, an array of objects the spans,
`answer` and other members what gold says under their name, `reasoning` a sentence. No task has a name here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tailrace.records import Json
from tailrace.simulate.labelling.choices import Choice
from tailrace.simulate.labelling.gold import GoldSpan, Truth
from tailrace.simulate.labelling.question import Question, options_of, resolved

NONE: Final = "none"
_REASON: Final = "The text says so in its own words."
_DEEPEST: Final = 20

Choose = Callable[[str, tuple[str, ...], str], Choice]
"""Of a true label, the options and a name for the draw: what is chosen."""


@dataclass(frozen=True, slots=True)
class Filling:
    """One answer to `question`, of which `truth` is true; `choose` decides each label."""

    question: Question
    truth: Truth
    choose: Choose

    def value(self) -> Any:
        """The answer as a value that JSON can say, labels as choices. None without a schema."""
        schema = self.question.schema
        if not isinstance(schema, dict):
            return None
        shape = resolved(schema, schema)
        return self._of(shape if isinstance(shape, dict) and shape.get("properties") else {"type": "string"}, "", 0)

    def label(self) -> Choice | None:
        """The one label, for an answer in plain text."""
        return self._label(self.question.options, "label") if self.question.options else None

    def _of(self, schema: Json, name: str, depth: int) -> Any:
        shape = resolved(schema, self.question.schema)
        if not isinstance(shape, dict) or depth > _DEEPEST:
            return None
        if "const" in shape:
            return shape["const"]
        if isinstance(shape.get("enum"), list):
            return self._enum(shape, name)
        if isinstance(shape.get("properties"), dict):
            return {inner: self._of(of, inner, depth + 1) for inner, of in shape["properties"].items()}
        if isinstance(shape.get("items"), dict):
            return self._many(resolved(shape["items"], self.question.schema), name)
        return self._plain(shape, name)

    def _enum(self, shape: dict[str, Json], name: str) -> Any:
        options = options_of(shape)
        if not options:
            return shape["enum"][0] if shape["enum"] else None
        said = self._said(name)
        if said is None and None in shape["enum"] and self._has_members():
            return None
        return self._label(options, name, said if isinstance(said, str) else None)

    def _label(self, options: tuple[str, ...], name: str, said: str | None = None) -> Choice:
        told = said if said is not None else (self.truth.labels[0] if self.truth.labels else NONE)
        return self.choose(_option(told, options) or _nothing(options), options, name)

    def _many(self, items: Json, name: str) -> list[Any]:
        if isinstance(items, dict) and isinstance(items.get("properties"), dict):
            return [self._span(items["properties"], span, at) for at, span in enumerate(self.truth.spans)]
        options = options_of(items)
        if options:
            found = [option for label in self.truth.labels if (option := _option(label, options)) is not None]
            if not found and NONE in options:
                found = [NONE]
            return [self.choose(label, options, f"{name}/{at}") for at, label in enumerate(found)]
        said = self._said(name)
        return said if isinstance(said, list) else [said] if isinstance(said, str) else []

    def _span(self, properties: dict[str, Json], span: GoldSpan, at: int) -> dict[str, Any]:
        return {name: self._of_span(resolved(shape, self.question.schema), name, span, at)
                for name, shape in properties.items()}  # fmt: skip

    def _of_span(self, shape: Json, name: str, span: GoldSpan, at: int) -> Any:
        options = options_of(shape)
        if options:
            return self.choose(_option(span.label, options) or _nothing(options), options, f"span/{at}")
        if isinstance(shape, dict) and shape.get("type") in {"integer", "number"}:
            return span.end if "end" in name else span.start
        return span.label if name in {"label", "type", "kind"} else span.text

    def _plain(self, shape: dict[str, Json], name: str) -> Any:
        """A string, number or truth value: what gold says under this name, or under none."""
        if name == "reasoning":
            return _REASON
        said = self._said(name)
        kinds = shape.get("type")
        kind = next((one for one in kinds if one != "null"), None) if isinstance(kinds, list) else kinds
        if said is None and (isinstance(kinds, list) or self._has_members()):
            return None
        if kind == "boolean":
            return said if isinstance(said, bool) else self.truth.labels[:1] not in {("no",), ("different",), (NONE,)}
        if kind in {"integer", "number"}:
            return said if isinstance(said, int | float) else 1
        if said is None:
            return self.truth.labels[0] if self.truth.labels else ""
        return said if isinstance(said, str) else orjson.dumps(said).decode()

    def _has_members(self) -> bool:
        """Whether gold answers by members, so that one without an answer is known to have none."""
        return self.truth.answer.startswith(b"{")

    def _said(self, name: str) -> Json:
        """What gold answers under `name`: its member of that name, or all of an answer without members."""
        answer = orjson.loads(self.truth.answer)
        if not isinstance(answer, dict):
            return answer
        return answer.get(name)


def _option(label: str, options: tuple[str, ...]) -> str | None:
    if label in options:
        return label
    return next((option for option in options if option.casefold() == label.casefold()), None)


def _nothing(options: tuple[str, ...]) -> str:
    """What is chosen where gold's label is not on the list."""
    return NONE if NONE in options else options[0]
