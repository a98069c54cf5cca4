"""`[templates]`: rows whose request was made from a template go on without its static text.

The very function that the relay calls (`tailrace.templates.prune`), so that a model is asked in the words it learned.
Rows that no template fits stay whole, and are counted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tailrace.errors import RecipeError
from tailrace.records import Endpoint, Json
from tailrace.templates.file import TemplatesError, parse_templates
from tailrace.templates.match import Templates
from tailrace.templates.prune import prune
from tailrace_exporters.asking import Answers, Ask
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.rows import Dropped, Made, Row, Stage
from tailrace_exporters.surroundings import Surroundings


def pruning(recipe: Recipe, surroundings: Surroundings) -> "Pruning | None":
    """The stage that `[templates]` asks for.

    Raises:
        RecipeError: the file of templates is not there, or wrong; or pruned rows are to be paraphrased.
    """
    if recipe.templates is None:
        return None
    name = recipe.templates.file
    if recipe.templates.prune and recipe.augment.paraphrase is not None:
        raise RecipeError("augment.paraphrase: would say tags and slots in other words; leave it or [templates] out")
    try:
        return Pruning(parse_templates(surroundings.read(name)), prunes=recipe.templates.prune)
    except TemplatesError as exc:
        raise RecipeError(f"{name}: {exc}") from exc


class Pruning:
    """Prunes one row after the other; with `prunes` false it only counts."""

    def __init__(self, templates: Templates, *, prunes: bool) -> None:
        self._templates = templates
        self._prunes = prunes
        self._rows: Counter[str] = Counter()
        self._unknown = 0
        self._saved_tokens = 0

    def asks(self, _row: Row) -> Sequence[Ask]:
        """No model is needed."""
        return ()

    def take(self, row: Row, _answers: Answers) -> Iterator[Row | Dropped]:
        """The row, pruned where a template fits."""
        found = prune(row.messages, self._templates) if row.head.endpoint == Endpoint.CHAT else None
        if found is None:
            self._unknown += 1
            yield row
            return
        self._rows[found.template_id] += 1
        if not self._prunes:
            yield row
            return
        self._saved_tokens += found.saved_tokens
        train = tuple(row.train[index] for index in found.kept)
        made = (*row.made, Made(Stage.PRUNE, found.template_id))
        yield replace(row, messages=found.messages, train=train, made=made)

    def facts(self) -> Mapping[str, Json]:
        """Rows by template, and what was saved; see `stages.Telling`."""
        rows = {each.id: self._rows[each.id] for each in self._templates.all}
        told = {"rows": dict(sorted(rows.items())), "unknown": self._unknown, "saved_tokens": self._saved_tokens}
        return {"templates": told}
