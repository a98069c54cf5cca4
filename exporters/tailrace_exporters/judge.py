"""A model's opinion of each row: `[filter] judge = {model, rubric, keep_at_least}`. Pure.

One row at a time against a rubric, so that no answer stands before another. The score comes after its reason, out of a
list of five that the answer's schema knows; the row is data in the request, never instruction. Rows that are to be
avoided (kind `judged`, not wanted) pass: a low score is their point.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import orjson

from tailrace.errors import RecipeError
from tailrace.records import Json
from tailrace_exporters import recipe_tables
from tailrace_exporters.asking import NOT_ASKED, Answer, Answers, Ask, ask, said
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.recipe_tables import OffScale
from tailrace_exporters.rows import Dropped, Row, Stage
from tailrace_exporters.surroundings import Surroundings

OFF_SCALE: Final = "off_scale"
UNENCODABLE: Final = "unencodable"

_PROMPT: Final = (Path(__file__).parent / "prompts" / "judge.md").read_text()
_SCALE: Final = (1, 2, 3, 4, 5)
_ANSWER_TOKENS: Final = 80
_FORMAT: Final = {
    "type": "json_schema",
    "json_schema": {
        "name": "grade",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "enum": list(_SCALE)}},
            "required": ["reason", "score"],
            "additionalProperties": False,
        },
    },
}


def judge(recipe: Recipe, surroundings: Surroundings) -> "Judge | None":
    """The stage that `[filter] judge` asks for.

    Raises:
        RecipeError: the rubric cannot be read.
    """
    if recipe.filter.judge is None:
        return None
    try:
        rubric = surroundings.read(recipe.filter.judge.rubric).decode()
    except UnicodeDecodeError as exc:
        raise RecipeError(f"{recipe.filter.judge.rubric}: byte {exc.start} is no UTF-8; save it as UTF-8") from exc
    return Judge(recipe.filter.judge, rubric)


class Judge:
    """Lets the rows pass that score high enough."""

    def __init__(self, rule: recipe_tables.Judge, rubric: str) -> None:
        self._rule = rule
        self._system = _PROMPT.replace("{rubric}", rubric.strip())

    def asks(self, row: Row) -> Sequence[Ask]:
        """One call a row."""
        call = self._call(row)
        return () if call is None else (call,)

    def take(self, row: Row, answers: Answers) -> Iterator[Row | Dropped]:
        """The row, or why it is not kept."""
        if not _graded(row):
            yield row
            return
        call = self._call(row)
        reason = UNENCODABLE if call is None else self._against(answers[call.key])
        yield row if reason is None else Dropped(Stage.JUDGE, reason, row.learned)

    def _against(self, answer: Answer | str) -> str | None:
        if isinstance(answer, str):
            return None if answer == NOT_ASKED else answer
        score = _score(answer)
        if score is None:
            return OFF_SCALE if self._rule.off_scale is OffScale.DROP else None
        return None if score >= self._rule.keep_at_least else f"score:{score}"

    def _call(self, row: Row) -> Ask | None:
        graded = _graded(row)
        if not graded:
            return None
        shown = {"conversation": list(row.messages), "graded": graded, "tools": row.tools}
        try:
            request = {
                "model": self._rule.model,
                "messages": [
                    {"role": "system", "content": self._system},
                    {"role": "user", "content": orjson.dumps(shown).decode()},
                ],
                "response_format": _FORMAT,
            }
            return ask(Stage.JUDGE, request, about=row.head, output_tokens=_ANSWER_TOKENS)
        except TypeError:  # what no JSON can carry, no model can be shown
            return None


def _graded(row: Row) -> list[int]:
    if row.judgement is not None and not row.judgement.wanted:
        return []
    return [index for index, learned in enumerate(row.train) if learned]


def _score(answer: Answer) -> int | None:
    value: Json = said(answer)
    score = value.get("score") if value is not None else None
    return score if type(score) is int and score in _SCALE else None
