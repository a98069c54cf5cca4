"""What may be trained with whose answers: the table of terms, and how a teacher is looked up in it.

The table is data (`terms.toml`), dated and with sources; it is no legal advice.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from tailrace.errors import RecipeError
from tailrace.records import Json
from tailrace_exporters.recipe import Recipe
from tailrace_exporters.recipe_tables import Table
from tailrace_exporters.surroundings import Surroundings


class Verdict(StrEnum):
    """What the terms say of training with a model's outputs, the best first."""

    ALLOWED = "allowed"
    CONDITIONAL = "conditional"
    UNKNOWN = "unknown"
    FORBIDDEN = "forbidden"


class Term(Table):
    """An entry of the table."""

    teacher: str
    """A shell pattern over `provider/model`; case does not matter."""
    verdict: Verdict
    says: str
    """What is permitted, or not, in a line."""
    source: str
    """Where it says so."""
    checked: date | None = None
    """When that was last read."""


class _Terms(Table):
    terms: tuple[Term, ...]


UNKNOWN: Final = Term(teacher="*", verdict=Verdict.UNKNOWN, says="the table has no entry for it", source="")


@dataclass(frozen=True, slots=True)
class TermsTable:
    """The entries in force, the first that matches first."""

    terms: Sequence[Term]

    def of(self, teacher: str) -> Term:
        """The entry that counts for `provider/model`."""
        name = teacher.casefold()
        return next((term for term in self.terms if fnmatchcase(name, term.teacher.casefold())), UNKNOWN)

    def verdicts(self, teachers: Iterable[str]) -> Mapping[str, Json]:
        """What the manifest says of each teacher."""
        return {name: _shown(self.of(name)) for name in sorted(teachers)}


def terms_of(recipe: Recipe, surroundings: Surroundings) -> TermsTable:
    """The table that comes with the code, with the entries of the recipe's own `[policy] table` before it.

    Raises:
        RecipeError: that is no such file.
    """
    name = recipe.policy.table
    own = () if name is None else _entries(name, surroundings.read(name))
    return TermsTable((*own, *_entries("terms.toml", Path(__file__).with_name("terms.toml").read_bytes())))


def _entries(name: str, content: bytes) -> tuple[Term, ...]:
    try:
        return _Terms.model_validate(tomllib.loads(content.decode())).terms
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise RecipeError(f"{name}: {exc}; expected TOML with [[terms]]") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"{name}: {key}: {first['msg']}; see terms.toml beside the exporters' code") from exc


def _shown(term: Term) -> Json:
    checked = None if term.checked is None else term.checked.isoformat()
    return {"verdict": term.verdict.value, "says": term.says, "source": term.source, "checked": checked}
