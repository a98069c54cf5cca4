"""Answers given again by a stronger model: `[relabel] model`. Pure.

Of a conversation the last answer is replaced, and from then on only it is learned: the answers before it are another
model's, and what the user said next was said to them. The logged answer stays beside the row, as the
completion that the lineage calls learned. Rows that prefer or judge an answer pass as they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from tailrace_exporters import recipe_calls
from tailrace_exporters.asking import NOT_ASKED, Answers, Ask, ask
from tailrace_exporters.check import faults
from tailrace_exporters.filter import NO_FINISH
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Dropped, Kind, Made, Row, Stage
from tailrace_exporters.schemas import Schemas
from tailrace_exporters.surroundings import Surroundings

UNENCODABLE: Final = "unencodable"
_ANSWER_TOKENS: Final = 400
"""Where the logged answer does not say how long answers here are."""


def relabel(recipe: Recipe, _surroundings: Surroundings) -> "Relabel | None":
    """The stage that `[relabel]` asks for."""
    if recipe.relabel is None:
        return None
    return Relabel(recipe.relabel, recipe.filter.finish, Schemas() if recipe.filter.obeys_schema else None)


class Relabel:
    """Puts another model's answer in the place of the last one."""

    def __init__(self, rule: recipe_calls.Relabel, finish: Sequence[str], schemas: Schemas | None = None) -> None:
        """`finish`: the finish reasons with which an answer may be learned; with `schemas` it obeys its request's."""
        self._rule = rule
        self._finish = finish
        self._schemas = schemas

    def asks(self, row: Row) -> Sequence[Ask]:
        """The head's request, as far as a row has it."""
        call = self._call(row)
        return () if call is None else (call,)

    def take(self, row: Row, answers: Answers) -> Iterator[Row | Dropped]:
        """The row with the new answer, or why there is none."""
        if row.kind is not Kind.CONVERSATION:
            yield row
            return
        call = self._call(row)
        if call is None:
            yield Dropped(Stage.RELABEL, UNENCODABLE, row.learned)
            return
        answer = answers[call.key]
        if isinstance(answer, str):
            yield row if answer == NOT_ASKED else Dropped(Stage.RELABEL, answer, row.learned)
            return
        finish = answer.finish_reason or NO_FINISH
        if finish not in self._finish:
            yield Dropped(Stage.RELABEL, f"finish:{finish}", row.learned)
            return
        others = tuple(completion for completion in row.learned if completion.seq != row.head.seq)
        again = replace(
            row,
            messages=[*row.messages[:-1], answer.message],
            train=(False,) * (len(row.messages) - 1) + (True,),
            learned=(row.head,),
            context=(*row.context, *others),
            made=(*row.made, Made(Stage.RELABEL, answer.teacher, (answer.completion,), depth=1)),
        )
        fault = None if self._schemas is None else next(faults(self._schemas, again), None)
        yield again if fault is None else Dropped(Stage.RELABEL, fault[0], row.learned, fault[1])

    def _call(self, row: Row) -> Ask | None:
        if row.kind is not Kind.CONVERSATION:
            return None
        beside = {
            "tools": row.tools,
            "response_format": row.response_format,
            "parallel_tool_calls": row.parallel_tool_calls,
        }
        request = {"model": self._rule.model, "messages": list(row.messages[:-1])}
        request |= {name: value for name, value in beside.items() if value is not None}
        try:
            return ask(Stage.RELABEL, request, about=row.head, output_tokens=row.head.output_tokens or _ANSWER_TOKENS)
        except TypeError:
            return None
