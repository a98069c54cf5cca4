"""Whose words may be learned: `[policy] teacher_terms = "strict"`. A row that the terms forbid ends the export."""

from collections.abc import Iterator

from tailrace.errors import WorkFailed
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.recipe_tables import TeacherTerms
from tailrace_exporters.rows import Dropped, Placed, id_text, teachers
from tailrace_exporters.surroundings import Surroundings
from tailrace_exporters.terms import TermsTable, Verdict, terms_of


def policy(recipe: Recipe, surroundings: Surroundings) -> "Policy | None":
    """The stage that `[policy]` asks for."""
    if recipe.policy.teacher_terms is TeacherTerms.WARN:
        return None
    return Policy(terms_of(recipe, surroundings))


class Policy:
    """Lets every row pass that may be learned.

    The first that may not ends the export: a dataset without it would be another than the recipe means, and nobody
    would have decided that. What the terms say of every teacher stands in the manifest, with or without this stage.
    """

    def __init__(self, terms: TermsTable) -> None:
        self._terms = terms
        self._known: dict[str, bool] = {}

    def take(self, placed: Placed) -> Iterator[Placed | Dropped]:
        """The row.

        Raises:
            WorkFailed: one of its teachers is forbidden.
        """
        for name in teachers(placed.row):
            if name not in self._known:
                self._known[name] = self._terms.of(name).verdict is not Verdict.FORBIDDEN
            if not self._known[name]:
                term = self._terms.of(name)
                raise WorkFailed(
                    f"completion {id_text(placed.row.head.id)}: its teacher {name} must not be learned from: "
                    f"{term.says} ({term.source}); "
                    'leave it out with [select] where, or set [policy] teacher_terms = "warn"'
                )
        yield placed

    def end(self) -> Iterator[Placed | Dropped]:
        """Nothing is held back."""
        yield from ()
