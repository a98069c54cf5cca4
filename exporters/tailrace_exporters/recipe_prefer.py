"""The table of a recipe for what is mined from the log: which answers are to be preferred, and which avoided."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from tailrace_exporters.recipe_tables import Table


class Reason(StrEnum):
    """Why one answer is preferred to another."""

    CORRECTED = "corrected"  # feedback says what the answer should have been
    REJECTED = "rejected"  # the user rejects the one, and accepts the next
    REGENERATED = "regenerated"  # asked again, and gone on with the second
    SCHEMA = "schema"  # the one does not obey the schema that was asked for, the other does
    TOOL_ERROR = "tool_error"  # the one's tool call fails, the other's succeeds


class Sign(StrEnum):
    """By what an answer is known to be good or bad."""

    THUMB = "thumb"
    SCORE = "score"
    LABEL = "label"


class Prefer(Table):
    """What is mined, where a format of the recipe takes such rows."""

    reasons: tuple[Reason, ...] = tuple(Reason)
    """Why one answer is preferred to another; of two that find the same pair the first is told."""
    signs: tuple[Sign, ...] = tuple(Sign)
    """By what an answer is good or bad; the first that says something counts."""
    classifier: str | None = None
    """The classifier whose label of the user's next turn says what the user thinks of the answer."""
    accept: tuple[str, ...] = ()
    """Its labels by which a user accepts an answer."""
    reject: tuple[str, ...] = ()
    """Its labels by which a user rejects an answer."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Rows whose confidence is known and lower are dropped; where it is not known, it is no reason."""
    good_score: float | None = None
    """Answers with this score or more are good; without it no score makes one so."""
    bad_score: float | None = None
    """Answers with this score or less are bad; without it no score makes one so."""

    @model_validator(mode="after")
    def _goes_together(self) -> "Prefer":
        if (self.classifier is None) != (not self.accept and not self.reject):
            raise ValueError('!classifier goes with accept and reject: reject = ["correction"], accept = ["thanks"]')
        if set(self.accept) & set(self.reject):
            raise ValueError("!a label cannot both accept and reject")
        if self.good_score is not None and self.bad_score is not None and self.bad_score >= self.good_score:
            raise ValueError("!bad_score must be below good_score")
        return self
