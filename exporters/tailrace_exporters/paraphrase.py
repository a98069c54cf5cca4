"""Variants of what users said, with the same answer: `[augment] paraphrase = {model, per_row}`. Pure.

The last text of a user is said in other words, a row for each way, in which only the answer to it is learned. A
variant stays in the group and the split of the row it was made from. Whatever is measured on held-out rows must be
measured on what users really wrote: variants that fall outside of the first split are dropped (`held_out`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from tailrace.records import Json
from tailrace_exporters import recipe_calls
from tailrace_exporters.asking import NOT_ASKED, Answer, Answers, Ask, ask, said
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Dropped, Kind, Made, Placed, Row, Stage
from tailrace_exporters.surroundings import Surroundings

SAME_AS_ORIGINAL: Final = "same_as_original"
REPEATED_VARIANT: Final = "repeated_variant"
NO_VARIANT: Final = "no_variant"
HELD_OUT: Final = "held_out"

_PROMPT: Final = (Path(__file__).parent / "prompts" / "paraphrase.md").read_text()
_BYTES_PER_TOKEN: Final = 4


def paraphrase(recipe: Recipe, _surroundings: Surroundings) -> "Paraphrase | None":
    """The stage that `[augment] paraphrase` asks for."""
    return None if recipe.augment.paraphrase is None else Paraphrase(recipe.augment.paraphrase)


def held_out(recipe: Recipe, _surroundings: Surroundings) -> "HeldOut | None":
    """What keeps variants out of the splits after the first, where there are variants and such splits."""
    splits = list(recipe.split.shares)
    return HeldOut(splits[0]) if recipe.augment.paraphrase is not None and len(splits) > 1 else None


class Paraphrase:
    """Lets every row pass, its variants after it."""

    def __init__(self, rule: recipe_calls.Paraphrase) -> None:
        self._rule = rule
        self._names = [f"variant_{n}" for n in range(1, rule.per_row + 1)]

    def asks(self, row: Row) -> Sequence[Ask]:
        """One call a row whose user wrote a text."""
        found = _last_text(row)
        call = None if found is None else self._call(row, found[1])
        return () if call is None else (call,)

    def take(self, row: Row, answers: Answers) -> Iterator[Row | Dropped]:
        """The row; then each variant, or why it is none."""
        yield row
        found = _last_text(row)
        call = None if found is None else self._call(row, found[1])
        if found is None or call is None:
            return
        answer = answers[call.key]
        if not isinstance(answer, str):
            yield from self._variants(row, found, answer)
        elif answer != NOT_ASKED:
            yield Dropped(Stage.PARAPHRASE, answer, row.learned)

    def _variants(self, row: Row, found: tuple[int, str], answer: Answer) -> Iterator[Row | Dropped]:
        index, text = found
        value: Json = said(answer) or {}
        seen = {_words(text): SAME_AS_ORIGINAL}
        for name in self._names:
            variant = value.get(name)
            if not isinstance(variant, str) or not variant.strip():
                yield Dropped(Stage.PARAPHRASE, NO_VARIANT, row.learned)
                continue
            known = seen.setdefault(_words(variant), "")
            if known:
                yield Dropped(Stage.PARAPHRASE, known, row.learned)
                continue
            seen[_words(variant)] = REPEATED_VARIANT
            made = Made(Stage.PARAPHRASE, answer.teacher, (answer.completion,), depth=1)
            yield replace(_after(row, index), messages=_with_text(row.messages, index, variant), made=(*row.made, made))

    def _call(self, row: Row, text: str) -> Ask | None:
        count = len(self._names)
        schema = {
            "type": "object",
            "properties": {name: {"type": "string"} for name in self._names},
            "required": self._names,
            "additionalProperties": False,
        }
        try:
            shown = orjson.dumps({"message": text, "variants": count}).decode()
            request = {
                "model": self._rule.model,
                "messages": [{"role": "system", "content": _PROMPT.strip()}, {"role": "user", "content": shown}],
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "variants", "strict": True, "schema": schema},
                },
            }
            tokens = count * (len(text.encode()) // _BYTES_PER_TOKEN + 8)
            return ask(Stage.PARAPHRASE, request, about=row.head, output_tokens=tokens)
        except (TypeError, UnicodeEncodeError):
            return None


class HeldOut:
    """Lets variants pass into one split only."""

    def __init__(self, split: str) -> None:
        self._split = split

    def take(self, placed: Placed) -> Iterator[Placed | Dropped]:
        """The row, unless it is a variant in another split."""
        is_variant = any(made.stage is Stage.PARAPHRASE for made in placed.row.made)
        if is_variant and placed.split != self._split:
            yield Dropped(Stage.AUGMENT, HELD_OUT, placed.row.learned)
        else:
            yield placed

    def end(self) -> Iterator[Placed | Dropped]:
        """Nothing is held back."""
        yield from ()


def _last_text(row: Row) -> tuple[int, str] | None:
    """Where the last user message stands, and its text.

    None where it has none, or pictures or sounds beside it, or where no answer to it is learned.
    """
    if row.kind is not Kind.CONVERSATION:
        return None  # a rejected answer was given to these very words
    index = next((n for n in range(len(row.messages) - 1, -1, -1) if row.messages[n].get("role") == "user"), None)
    if index is None or not any(row.train[index:]):
        return None
    content = row.messages[index].get("content")
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        content = content[0].get("text")
    return (index, content) if isinstance(content, str) and content.strip() else None


def _after(row: Row, index: int) -> Row:
    """The row, of which only what follows `index` is learned: what stands before was learned from the row itself."""
    before = sum(row.train[:index])
    train = (False,) * index + row.train[index:]
    return replace(row, train=train, learned=row.learned[before:], context=(*row.context, *row.learned[:before]))


def _with_text(messages: Sequence[Json], index: int, text: str) -> list[Json]:
    message = messages[index]
    content = message["content"]
    told = text if isinstance(content, str) else [{**content[0], "text": text}]
    return [*messages[:index], {**message, "content": told}, *messages[index + 1 :]]


def _words(text: str) -> str:
    """What two texts share that differ in spaces and case alone."""
    return " ".join(text.split()).casefold()
