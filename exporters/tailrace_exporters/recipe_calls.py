"""The tables of a recipe for the stages that ask a model, and for the calls that they make."""

from typing import Annotated

from pydantic import Field

from tailrace_exporters.recipe_tables import Model, Table


class Relabel(Table):
    """Answers given again by another model."""

    model: Model
    """It answers the last turn of each conversation again; the logged answer stays beside it."""


class Paraphrase(Table):
    """Variants of what the user said last."""

    model: Model
    """It says the message in other words."""
    per_row: Annotated[int, Field(ge=1, le=8)] = 2
    """Variants that it is asked for, each a row of its own with the same answer."""


class Augment(Table):
    """Rows made from logged ones, marked as such."""

    paraphrase: Paraphrase | None = None


class Calls(Table):
    """What the calls of a recipe may cost, and how many run at once."""

    budget_usd: Annotated[float, Field(ge=0)] | None = None
    """Most that all answers of the dataset cost together, those found in the log included."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Calls at once."""
